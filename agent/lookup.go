// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// entry is what the registry knew of an ID when it read the store. It is immutable.
type entry struct {
	read   time.Time // when the query or the change began: what others change later is known MaxAge after it
	known  time.Time // what began to be read before may be older: when the query began, or the change was made
	agent  Agent     // zero if there was none
	scopes gatehouse.Scopes
	limits Limits
	keys   []publicKey
}

func (e *entry) exists() bool { return e.agent.Generation > 0 }

// entry returns the entry of a record.
func (r *Registry) entry(read time.Time, record Record) (*entry, error) {
	var d details
	if err := json.Unmarshal(record.Details, &d); err != nil {
		return nil, unavailable(ReasonStoreUnavailable, fmt.Errorf("agent: the record of %.64q is malformed: %w", record.ID, err))
	}
	keys, err := parseKeys(d.Keys)
	if err != nil {
		return nil, unavailable(ReasonStoreUnavailable, fmt.Errorf("agent: the record of %.64q is malformed: %w", record.ID, err))
	}
	e := &entry{read: read, known: read, keys: keys, limits: d.Limits, agent: Agent{
		ID: record.ID, Tenant: record.Tenant, Owner: d.Owner, Roles: d.Roles, Keys: d.Keys, SPIFFEID: d.SPIFFEID,
		Certificates: d.Certificates, Attestation: d.Attestation, Limits: d.Limits,
		Generation: record.Generation, Created: record.Created, Changed: record.Changed, Decommissioned: record.Decommissioned,
	}}
	for name := range d.Roles.All() {
		role, ok := r.roles[name]
		if !ok && e.agent.Active() {
			return nil, unavailable(ReasonRole, fmt.Errorf("agent: %.64q has the role %.64q, which Config.Roles lacks", record.ID, name))
		}
		e.limits = e.limits.and(role.limits)
	}
	e.scopes = r.Scopes(e.agent)
	return e, nil
}

// Scopes returns the scopes that the roles of an agent give.
func (r *Registry) Scopes(a Agent) gatehouse.Scopes {
	var scopes []string
	for role := range a.Roles.All() {
		scopes = slices.AppendSeq(scopes, r.roles[role].scopes.All())
	}
	all, _ := gatehouse.NewScopes(scopes...) // they are those of roles
	return all
}

// put caches what a query returned that began at the time read, unless a later one is
// cached, and returns the cached entry.
func (r *Registry) put(read time.Time, record Record) (*entry, error) {
	e, err := r.entry(read, record)
	if err != nil {
		return nil, err
	}
	return r.keep(record.ID, e), nil
}

// changed caches what a change returned that began at the time begun, instead of what
// queries have read meanwhile.
func (r *Registry) changed(begun time.Time, record Record) (*entry, error) {
	e, err := r.entry(begun, record)
	if err != nil {
		return nil, err
	}
	e.known = time.Now()
	return r.keep(record.ID, e), nil
}

// keep caches e and returns it, or what is cached if that is newer: a later generation
// that was known when the query or the change of e began, or became known meanwhile.
func (r *Registry) keep(id string, e *entry) *entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.cache.Get(id); ok && known.known.After(e.read) && known.agent.Generation > e.agent.Generation {
		return known
	}
	r.cache.Cache(id, e)
	return e
}

func (r *Registry) cached(id string) (*entry, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.cache.Get(id)
}

// lookup returns what the registry knows of an ID, at most MaxAge old. The agent of
// the entry is zero if there is none. The error is a 503.
func (r *Registry) lookup(ctx context.Context, id string) (*entry, error) {
	if !isIdentifier(id) {
		return &entry{}, nil
	}
	if e, ok := r.cached(id); ok && time.Since(e.read) < r.config.MaxAge {
		return e, nil
	}
	e, err := r.flights.Do(ctx, id, func(ctx context.Context) (*entry, error) {
		read := time.Now()
		record, err := r.config.Store.Find(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			return r.keep(id, &entry{read: read, known: read}), nil
		case err != nil:
			return nil, err
		}
		return r.put(read, record)
	})
	if known, ok := errors.AsType[*gatehouse.Error](err); ok {
		return nil, known
	}
	if err != nil {
		return nil, unavailable(ReasonStoreUnavailable, fmt.Errorf("agent: store: %w", err))
	}
	return e, nil
}

// failed returns the error of a method whose call of the store failed: 503, unless the
// store has answered.
func failed(err error) error {
	for _, answer := range []error{ErrNotFound, ErrConflict, ErrDecommissioned} {
		if errors.Is(err, answer) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", unavailable(ReasonStoreUnavailable, err), err)
}

func unavailable(reason gatehouse.Reason, cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: reason, Cause: cause}
}
