// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/internal/flight"
	"github.com/gatehouse-go/gatehouse/internal/text"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

const (
	defaultEvery   = 30 * 24 * time.Hour
	defaultRefresh = 5 * time.Second
	defaultDrain   = 10 * time.Minute
	defaultTimeout = 30 * time.Second
)

// Provider creates and revokes credentials at a provider. The application implements it
// with the management API of the provider. One node at a time calls its methods, with a
// context that ends after [RotatorConfig].Timeout.
type Provider interface {
	// Create creates a credential that the provider can find by id, such as by its name
	// or a tag. id has 26 letters and digits and is unique.
	Create(ctx context.Context, id string) (gatehouse.Secret, error)

	// Probe makes a call without cost with a credential, such as a list of models. It
	// returns nil if the provider accepts the credential, an error that wraps
	// [ErrRejected] if the provider rejects it, and another error if the provider does
	// not respond.
	Probe(ctx context.Context, secret gatehouse.Secret) error

	// Revoke revokes every credential that Create created with id, even if Create was
	// interrupted and did not return the secret. It returns nil if there is none.
	Revoke(ctx context.Context, id string) error
}

// RotatorConfig configures a [Rotator].
type RotatorConfig struct {
	// Name is the name of the record in Store, at most 128 bytes: one for each
	// account at a provider. Required.
	Name string

	// Provider creates and revokes credentials. Required.
	Provider Provider

	// Store keeps the state of the rotation. All nodes must use the same store. Required.
	Store Store

	// Keys seal the credentials in Store. Required. To rotate them, see
	// [cookie.NewKeyring]; every write of the record seals with the first key, so the
	// old key can be removed after a minute.
	Keys *cookie.Keyring

	// Every is the time from the activation of a credential to its rotation. 30 days
	// if zero.
	Every time.Duration

	// Refresh is the interval at which a node reads the record: after it, all nodes use a
	// new credential. 5 s if zero.
	Refresh time.Duration

	// Drain limits the time from the activation of a credential to the revocation of
	// the previous one. It must be longer than the longest call. 10 minutes if zero.
	Drain time.Duration

	// Timeout bounds each call of Provider. A credential whose creation was interrupted
	// is revoked after twice this time: the provider must have finished or dropped the
	// request by then. 30 s if zero.
	Timeout time.Duration

	// Observer receives an event for each step. The step is kept even if the observer
	// returns an error.
	Observer gatehouse.Observer
}

// Rotator is a [Source] that creates, rotates and revokes its credentials. It is safe for
// concurrent use, by any number of nodes with one store. Each node must call
// [Rotator.Run].
//
// If the store is unavailable, calls continue with the last known credential and no
// rotation begins. If a node cannot reach the store for six times Refresh, other nodes no
// longer wait for its calls before they revoke a credential.
type Rotator struct {
	name     string
	provider Provider
	store    Store
	keys     *cookie.Keyring
	observer gatehouse.Observer

	every, refresh, drain, timeout time.Duration

	node    string        // random
	writing chan struct{} // held by update, so that states are applied in their order
	working chan struct{} // held by turn
	wake    chan struct{} // wakes Run: a step may be due
	flight  flight.Group[string, struct{}]

	mu      sync.Mutex
	current Credential     // zero before the first turn
	closed  bool           // decommissioned
	calls   map[string]int // in flight, by the ID of their credential
	changed chan struct{}  // closed and replaced when current changes
}

// NewRotator returns a rotator. It reports all errors in config at once and calls
// neither the store nor the provider.
func NewRotator(config RotatorConfig) (*Rotator, error) {
	r := &Rotator{
		name: config.Name, provider: config.Provider, store: config.Store, keys: config.Keys, observer: config.Observer,
		every: config.Every, refresh: config.Refresh, drain: config.Drain, timeout: config.Timeout,
		node: rand.Text(), writing: make(chan struct{}, 1), working: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		calls: make(map[string]int), changed: make(chan struct{}),
	}
	var errs []error
	if config.Name == "" || !text.IsClean(config.Name, maxNameBytes) {
		errs = append(errs, fmt.Errorf("upstream: RotatorConfig.Name: required, at most %d bytes without control characters", maxNameBytes))
	}
	if typednil.Is(config.Provider) {
		errs = append(errs, errors.New("upstream: RotatorConfig.Provider: required"))
	}
	if typednil.Is(config.Store) {
		errs = append(errs, errors.New("upstream: RotatorConfig.Store: required"))
	}
	if config.Keys == nil {
		errs = append(errs, errors.New("upstream: RotatorConfig.Keys: required"))
	}
	if config.Observer != nil && typednil.Is(config.Observer) {
		errs = append(errs, fmt.Errorf("upstream: RotatorConfig.Observer: is a nil %T", config.Observer))
	}
	for _, limit := range []struct {
		field *time.Duration
		name  string
		zero  time.Duration
	}{
		{&r.every, "Every", defaultEvery},
		{&r.refresh, "Refresh", defaultRefresh},
		{&r.drain, "Drain", defaultDrain},
		{&r.timeout, "Timeout", defaultTimeout},
	} {
		switch {
		case *limit.field < 0:
			errs = append(errs, fmt.Errorf("upstream: RotatorConfig.%s: %v: must not be negative", limit.name, *limit.field))
		case *limit.field == 0:
			*limit.field = limit.zero
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	r.flight.Timeout = 4 * r.timeout // a probe, a creation, and a probe with its repetitions
	if _, ok := config.Store.(*Memory); ok {
		r.report(context.Background(), gatehouse.Event{Type: EventMemoryStore, Level: slog.LevelWarn})
	}
	return r, nil
}

// Acquire implements [Source]. Before the first credential is active, it creates one
// or waits for the node that does. If it cannot, the error wraps a [*gatehouse.Error] of
// status 503.
func (r *Rotator) Acquire(ctx context.Context) (Credential, func(), error) {
	c, release, err := r.take()
	if c.ID != "" || err != nil {
		return c, release, err
	}
	if err := r.until(ctx, func() bool { return r.id() != "" || r.isClosed() }); err != nil {
		return Credential{}, nil, fmt.Errorf("%w: %w", refusal(r.name, err), err)
	}
	if c, release, err = r.take(); c.ID == "" && err == nil {
		err = ErrNoCredential
	}
	return c, release, err
}

// take counts a call with the current credential, if there is one.
func (r *Rotator) take() (Credential, func(), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.current
	switch {
	case r.closed:
		return Credential{}, nil, ErrDecommissioned
	case c.ID == "":
		return Credential{}, nil, nil
	}
	r.calls[c.ID]++
	return c, func() { r.release(c.ID) }, nil
}

// release ends a call. After the last call with a credential that is not current, the
// rotation continues.
func (r *Rotator) release(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls[id]--; r.calls[id] > 0 {
		return
	}
	delete(r.calls, id)
	if id != r.current.ID {
		r.poke()
	}
}

// poke makes Run call turn now.
func (r *Rotator) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *Rotator) id() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current.ID
}

func (r *Rotator) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// apply makes the active credential of a state the current one of this node.
func (r *Rotator) apply(s *state) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := Credential{}
	if v := s.at(active); v != nil {
		next = Credential{ID: v.ID, Secret: v.secret}
	}
	if next.ID == r.current.ID && s.Closed == r.closed {
		return
	}
	r.current, r.closed = next, s.Closed
	close(r.changed)
	r.changed = make(chan struct{})
}

// hold records which credentials this node uses, and reports whether the state changed.
// It includes the current one even if the state has another active one, because calls can
// begin with it until apply.
func (r *Rotator) hold(s *state, now time.Time) bool {
	r.mu.Lock()
	uses := make([]string, 0, 2)
	for _, v := range s.Versions {
		if v.Stage == active || v.ID == r.current.ID || r.calls[v.ID] > 0 {
			uses = append(uses, v.ID)
		}
	}
	r.mu.Unlock()
	lifetime := 6 * r.refresh
	old, ok := s.Nodes[r.node]
	if ok && old.Expires.Sub(now) > lifetime/2 && slices.Equal(old.Uses, uses) {
		return false
	}
	if s.Nodes == nil {
		s.Nodes = make(map[string]node)
	}
	s.forget(now)
	s.Nodes[r.node] = node{Uses: uses, Expires: now.Add(lifetime)}
	return true
}

func (r *Rotator) report(ctx context.Context, e gatehouse.Event) {
	e.Attrs = append(e.Attrs, slog.String(AttrUpstream, r.name))
	_ = gatehouse.Report(ctx, r.observer, e)
}
