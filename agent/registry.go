// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/assertion"
	"github.com/gatehouse-go/gatehouse/internal/expiring"
	"github.com/gatehouse-go/gatehouse/internal/flight"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

const (
	defaultMaxAge = 500 * time.Millisecond
	maxMaxAge     = time.Second
	cacheEntries  = 10_000
)

// Config configures a [Registry].
type Config struct {
	// Issuer is the issuer identifier of the own [Server]. Only its tokens make a
	// caller an agent. Required.
	Issuer string

	// Store keeps the agents. Required.
	Store Store

	// Replays records used assertions and evidence. All processes must share it.
	// Required.
	Replays assertion.ReplayStore

	// Roles are the roles of agents. At least one is required.
	Roles map[string]Role

	// Attestations are the attestations that agents may need, by the name in
	// Agent.Attestation. Optional.
	Attestations map[string]Attestation

	// NonceKeys are secrets of at least 32 random bytes for the nonces of evidence. The
	// first one creates nonces, all of them verify nonces. All processes must share them.
	// By default each process uses a random key and accepts only its own nonces.
	NonceKeys []gatehouse.Secret

	// MaxAge is the time for which a record of the store is cached: 500 ms by default, at
	// most 1 s. A change on another node takes effect after MaxAge plus the duration of
	// one query. An older record is never used: if the store is unavailable, the response
	// is 503.
	MaxAge time.Duration

	// Observer receives the events. Optional.
	Observer gatehouse.Observer
}

// Registry keeps the agents. It is safe for concurrent use.
type Registry struct {
	config Config
	roles  map[string]grants
	nonces nonces

	flights flight.Group[string, *entry]
	mu      sync.RWMutex
	cache   expiring.Map[string, struct{}, *entry]
}

// grants are the scopes and limits of a role.
type grants struct {
	scopes gatehouse.Scopes
	limits Limits
}

// New returns a registry. It reports all configuration errors at once and does not
// call the store.
func New(config Config) (*Registry, error) {
	config.Attestations = maps.Clone(config.Attestations)
	r := &Registry{config: config, roles: make(map[string]grants)}
	r.cache.Limit = cacheEntries
	r.cache.Expires = func(e **entry) time.Time { return (*e).read }
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("agent: Config."+format, args...)) }
	if !isIdentifier(config.Issuer) {
		fail("Issuer: must be 1 to %d bytes of UTF-8 without control characters", maxText)
	}
	if typednil.Is(config.Store) {
		fail("Store: required")
	}
	if typednil.Is(config.Replays) {
		fail("Replays: required")
	}
	if config.Observer != nil && typednil.Is(config.Observer) {
		fail("Observer: is a nil %T", config.Observer)
	}
	r.config.MaxAge = cmp.Or(config.MaxAge, defaultMaxAge)
	if r.config.MaxAge < 1 || r.config.MaxAge > maxMaxAge {
		fail("MaxAge: got %v, want 0 to %v", config.MaxAge, maxMaxAge)
	}
	if len(config.Roles) == 0 {
		fail("Roles: at least one is required")
	}
	for name, role := range config.Roles {
		g, err := role.grants()
		_, invalid := gatehouse.NewRoles(name)
		if err := errors.Join(err, invalid); err != nil {
			fail("Roles[%.64q]: %w", name, err)
		}
		r.roles[name] = g
	}
	for name, a := range config.Attestations {
		if err := a.check(name); err != nil {
			fail("Attestations[%.64q]: %w", name, err)
		}
	}
	var err error
	if r.nonces, err = newNonces(config.NonceKeys); err != nil {
		fail("NonceKeys: %w", err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if _, memory := config.Store.(*Memory); memory {
		_ = gatehouse.Report(context.Background(), config.Observer, gatehouse.Event{Type: EventMemoryStore, Level: slog.LevelWarn, Issuer: config.Issuer})
	}
	return r, nil
}

// Close ends running queries of the store.
func (r *Registry) Close() error {
	r.flights.Close()
	return nil
}

func (r Role) grants() (grants, error) {
	scopes, err := gatehouse.NewScopes(r.Scopes...)
	switch {
	case err != nil:
		return grants{}, fmt.Errorf("Scopes: %w", err)
	case scopes.Len() == 0:
		return grants{}, errors.New("Scopes: at least one is required")
	case strings.Contains(scopes.String(), "*"):
		return grants{}, errors.New("Scopes: a scope has a wildcard, which matches nothing but itself")
	}
	return grants{scopes, r.Limits}, r.Limits.check()
}

// Registration is an agent to register.
type Registration struct {
	Agent Agent

	// Nonce and Evidence are required if the Attestation of the agent has Registration
	// set: a nonce of [Registry.Nonce], and the evidence that the agent made with it.
	Nonce    string
	Evidence gatehouse.Secret
}

// details are the stored fields of an agent.
type details struct {
	Owner        string          `json:"owner,omitzero"`
	Roles        gatehouse.Roles `json:"roles"`
	Keys         []string        `json:"keys,omitzero"`
	SPIFFEID     string          `json:"spiffe_id,omitzero"`
	Certificates []string        `json:"certificates,omitzero"`
	Attestation  string          `json:"attestation,omitzero"`
	Limits       Limits          `json:"limits,omitzero"`
}

// Register adds an agent, or changes the registration of an active one of the same
// tenant. After a change, tokens that were issued before are rejected. A program with its
// agents in a configuration file can call it at each start: an unchanged registration
// changes nothing. For a decommissioned agent the error is [ErrDecommissioned].
//
// For an invalid registration it returns an [ErrInvalid] with all errors, such as a role
// that is not in [Config]. Required evidence is verified before the agent is registered.
func (r *Registry) Register(ctx context.Context, registration Registration) (Agent, error) {
	a := registration.Agent
	errs := []error{a.check()}
	for role := range a.Roles.All() {
		if _, ok := r.roles[role]; !ok {
			errs = append(errs, fmt.Errorf("Roles: %.64q is not in Config.Roles", role))
		}
	}
	attestation, ok := r.config.Attestations[a.Attestation]
	if a.Attestation != "" && !ok {
		errs = append(errs, fmt.Errorf("Attestation: %.64q is not in Config.Attestations", a.Attestation))
	}
	if err := errors.Join(errs...); err != nil {
		return Agent{}, fmt.Errorf("agent: register %.64q: %w", a.ID, invalid{err})
	}
	if attestation.Registration {
		if err := r.attest(ctx, a, registration.Nonce, registration.Evidence); err != nil {
			return Agent{}, fmt.Errorf("agent: register %.64q: %w", a.ID, err)
		}
	}
	text, _ := json.Marshal(details{a.Owner, a.Roles, a.Keys, a.SPIFFEID, a.Certificates, a.Attestation, a.Limits}) // cannot fail
	old, _ := r.config.Store.Find(ctx, a.ID)                                                                        // decides only whether there is an event
	begun := time.Now()
	record, err := r.config.Store.Register(ctx, a.ID, a.Tenant, text)
	if err != nil {
		return Agent{}, fmt.Errorf("agent: register %.64q: %w", a.ID, failed(err))
	}
	e, err := r.changed(begun, record)
	if err != nil {
		return Agent{}, err
	}
	if old.Generation == record.Generation {
		return e.agent.clone(), nil
	}
	return e.agent.clone(), r.report(ctx, EventRegistered, e.agent)
}

// Decommission ends an agent permanently: its credentials and all tokens in which it
// takes part are rejected, on this node immediately, on others after Config.MaxAge. The
// error is [ErrNotFound] if the tenant has no such agent, and a [*gatehouse.Error] of
// status 503 if the store is unavailable. A second call changes nothing.
func (r *Registry) Decommission(ctx context.Context, tenant, id string) (Agent, error) {
	if !isIdentifier(tenant) || !isIdentifier(id) {
		return Agent{}, ErrNotFound
	}
	begun := time.Now()
	record, err := r.config.Store.Decommission(ctx, tenant, id)
	if err != nil {
		return Agent{}, fmt.Errorf("agent: decommission %.64q: %w", id, failed(err))
	}
	e, err := r.changed(begun, record)
	if err != nil {
		return Agent{}, err
	}
	return e.agent.clone(), r.report(ctx, EventDecommissioned, e.agent)
}

func (r *Registry) report(ctx context.Context, event gatehouse.EventType, a Agent) error {
	p, _ := gatehouse.FromContext(ctx)
	// Report the change even if the client has disconnected.
	return gatehouse.Report(context.WithoutCancel(ctx), r.config.Observer, gatehouse.Event{
		Type: event, Level: slog.LevelInfo, Issuer: r.config.Issuer, Principal: p,
		Attrs: []slog.Attr{slog.String(AttrAgent, a.ID), slog.String(AttrTenant, a.Tenant), slog.Int64(AttrGeneration, a.Generation)},
	})
}

// Find returns an agent from the store, also a decommissioned one, or [ErrNotFound].
// Every other error is a [*gatehouse.Error] of status 503.
func (r *Registry) Find(ctx context.Context, id string) (Agent, error) {
	record, err := r.config.Store.Find(ctx, id)
	if err != nil {
		return Agent{}, fmt.Errorf("agent: find: %w", failed(err))
	}
	e, err := r.entry(time.Time{}, record)
	if err != nil {
		return Agent{}, err
	}
	return e.agent, nil
}

// List returns at most limit agents of a tenant, also decommissioned ones, whose ID
// is greater than after, ordered by ID. The error is a [*gatehouse.Error] of status 503.
func (r *Registry) List(ctx context.Context, tenant, after string, limit int) ([]Agent, error) {
	records, err := r.config.Store.List(ctx, tenant, after, limit)
	if err != nil {
		return nil, fmt.Errorf("agent: list: %w", failed(err))
	}
	agents := make([]Agent, len(records))
	for n, record := range records {
		e, err := r.entry(time.Time{}, record)
		if err != nil {
			return nil, err
		}
		agents[n] = e.agent
	}
	return agents, nil
}

func (a Agent) clone() Agent {
	a.Keys, a.Certificates = slices.Clone(a.Keys), slices.Clone(a.Certificates)
	return a
}
