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

// hooked calls a hook before and after each operation, which it can let fail. The zero
// value calls none.
type hooked struct {
	mu   sync.Mutex
	hook func(when, op string) error
}

func (h *hooked) onCall(hook func(when, op string) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hook = hook
}

func (h *hooked) call(op string, f func() error) error {
	h.mu.Lock()
	hook := h.hook
	h.mu.Unlock()
	if hook == nil {
		return f()
	}
	err := hook("before", op)
	if err == nil {
		err = f()
	}
	if err == nil {
		err = hook("after", op)
	}
	return err
}

// fails is a hook that lets one operation fail before it begins.
func fails(failing string, err error) func(when, op string) error {
	return func(_, op string) error {
		if op == failing {
			return err
		}
		return nil
	}
}

// vendor has the credentials of a provider in memory.
type vendor struct {
	mu      sync.Mutex
	live    map[string]string // secrets by ID
	created int
}

// provider is a view of a vendor from one process.
type provider struct {
	hooked
	*vendor
}

func newProvider() *provider { return &provider{vendor: &vendor{live: make(map[string]string)}} }

func (p *provider) call(ctx context.Context, op string, f func() error) error {
	return p.hooked.call(op, func() error {
		p.vendor.mu.Lock()
		defer p.vendor.mu.Unlock()
		if err := ctx.Err(); err != nil {
			return err
		}
		return f()
	})
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
func (v *vendor) ids() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Sorted(maps.Keys(v.live))
}

// creations returns how many credentials were created.
func (v *vendor) creations() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.created
}

func (v *vendor) accepts(c upstream.Credential) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.live[c.ID] != "" && v.live[c.ID] == string(c.Secret.Reveal())
}

// store is a view of a store in memory from one process.
type store struct {
	hooked
	*upstream.Memory
}

func newStore() *store { return &store{Memory: &upstream.Memory{}} }

// fail makes the store unavailable, or available again if err is nil. With
// [upstream.ErrConflict] only Swap fails.
func (s *store) fail(err error) {
	s.onCall(func(_, op string) error {
		if op == "load" && errors.Is(err, upstream.ErrConflict) {
			return nil
		}
		return err
	})
}

func (s *store) Load(ctx context.Context, name string) (r upstream.Record, err error) {
	err = s.call("load", func() error { r, err = s.Memory.Load(ctx, name); return err })
	return r, err
}

func (s *store) Swap(ctx context.Context, name string, revision int64, data []byte) error {
	return s.call("swap", func() error { return s.Memory.Swap(ctx, name, revision, data) })
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

// current returns the current credential, after the end of a call with it.
func current(t *testing.T, r upstream.Source) upstream.Credential {
	t.Helper()
	c, release := acquire(t, r)
	release()
	return c
}
