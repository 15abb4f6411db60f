// SPDX-License-Identifier: Apache-2.0

package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/upstream"
	"github.com/gatehouse-go/gatehouse/cookie"
)

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// keyring returns the keyring of secrets that repeat the letters of text.
func keyring(t *testing.T, text string) *cookie.Keyring {
	t.Helper()
	var secrets []gatehouse.Secret
	for _, letter := range text {
		secrets = append(secrets, gatehouse.NewSecret([]byte(strings.Repeat(string(letter), 32))))
	}
	keys, err := cookie.NewKeyring(secrets...)
	noError(t, err)
	return keys
}

// events is an observer that keeps all events.
type events struct {
	mu  sync.Mutex
	all []gatehouse.Event
}

func (e *events) Observe(_ context.Context, event gatehouse.Event) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
	return nil
}

// types returns the types of the events so far, and forgets the events.
func (e *events) types() (types []gatehouse.EventType) {
	for _, event := range e.drain() {
		types = append(types, event.Type)
	}
	return types
}

func (e *events) drain() []gatehouse.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.all
	e.all = nil
	return all
}

// provider is a provider that has credentials in memory.
type provider struct {
	mu      sync.Mutex
	live    map[string]string // secrets by ID
	created int
	hook    func(when, op string) error // before and after each operation
}

func newProvider() *provider { return &provider{live: make(map[string]string)} }

func (p *provider) call(ctx context.Context, op string, f func() error) error {
	p.mu.Lock()
	hook := p.hook
	p.mu.Unlock()
	if hook != nil {
		if err := hook("before", op); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	err := f()
	p.mu.Unlock()
	if hook != nil && err == nil {
		err = hook("after", op)
	}
	return err
}

func (p *provider) Create(ctx context.Context, id string) (secret gatehouse.Secret, err error) {
	err = p.call(ctx, "create", func() error {
		p.created++
		p.live[id] = fmt.Sprintf("sk-%d-%s", p.created, id)
		secret = gatehouse.NewSecret([]byte(p.live[id]))
		return nil
	})
	return secret, err
}

func (p *provider) Probe(ctx context.Context, secret gatehouse.Secret) error {
	return p.call(ctx, "probe", func() error {
		if !slices.Contains(slices.Collect(maps.Values(p.live)), string(secret.Reveal())) {
			return fmt.Errorf("https://api.example.com says %s: %w", secret.Reveal(), upstream.ErrRejected)
		}
		return nil
	})
}

func (p *provider) Revoke(ctx context.Context, id string) error {
	return p.call(ctx, "revoke", func() error {
		delete(p.live, id)
		return nil
	})
}

// ids returns the IDs of the live credentials.
func (p *provider) ids() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.live))
}

// creations returns how many credentials were created.
func (p *provider) creations() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.created
}

func (p *provider) accepts(c upstream.Credential) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.live[c.ID] != "" && p.live[c.ID] == string(c.Secret.Reveal())
}

func (p *provider) onCall(hook func(when, op string) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hook = hook
}

// store is a memory store with a hook before and after each swap, and one that can be
// unavailable.
type store struct {
	upstream.Memory
	hook func(when, op string) error
	mu   sync.Mutex
	down error
}

func (s *store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

func (s *store) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

func (s *store) Load(ctx context.Context, name string) (upstream.Record, error) {
	if err := s.err(); err != nil && !errors.Is(err, upstream.ErrConflict) {
		return upstream.Record{}, err
	}
	return s.Memory.Load(ctx, name)
}

func (s *store) Swap(ctx context.Context, name string, revision int64, data []byte) error {
	if err := s.err(); err != nil {
		return err
	}
	if s.hook != nil {
		if err := s.hook("before", "swap"); err != nil {
			return err
		}
	}
	err := s.Memory.Swap(ctx, name, revision, data)
	if err == nil && s.hook != nil {
		err = s.hook("after", "swap")
	}
	return err
}

var errDown = errors.New("dial tcp 10.1.2.3:5432: down")

// newRotator returns a rotator with short times. change may change its configuration.
func newRotator(t *testing.T, p upstream.Provider, s upstream.Store, change func(*upstream.RotatorConfig)) *upstream.Rotator {
	t.Helper()
	config := upstream.RotatorConfig{
		Name: "main", Provider: p, Store: s, Keys: keyring(t, "k"),
		Every: 24 * time.Hour, Refresh: time.Second, Drain: 10 * time.Minute, Timeout: 5 * time.Second,
	}
	if change != nil {
		change(&config)
	}
	r, err := upstream.NewRotator(config)
	noError(t, err)
	return r
}

// run runs a rotator until stop is called or the test ends.
func run(t *testing.T, r *upstream.Rotator) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// acquire returns the current credential and the end of the call.
func acquire(t *testing.T, r upstream.Source) (upstream.Credential, func()) {
	t.Helper()
	c, release, err := r.Acquire(t.Context())
	noError(t, err)
	return c, release
}
