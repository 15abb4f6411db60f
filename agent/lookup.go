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

// entry is the record of an ID at the time when the registry read the store. It is
// immutable.
type entry struct {
	read   time.Time // when the query or the change began: the entry may be used until MaxAge after it
	known  time.Time // when the query began or the change was made: an entry that was read before is older
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

// Scopes returns the scopes of the roles of an agent.
func (r *Registry) Scopes(a Agent) gatehouse.Scopes {
	var scopes []string
	for role := range a.Roles.All() {
		scopes = slices.AppendSeq(scopes, r.roles[role].scopes.All())
	}
	all, _ := gatehouse.NewScopes(scopes...) // they are those of roles
	return all
}

// put caches the result of a query that began at the time read, unless a newer entry is
// cached. It returns the cached entry.
func (r *Registry) put(read time.Time, record Record) (*entry, error) {
	e, err := r.entry(read, record)
	if err != nil {
		return nil, err
	}
	return r.keep(record.ID, e), nil
}

// changed caches the result of a change that began at the time begun. It replaces the
// results of queries that ran meanwhile.
func (r *Registry) changed(begun time.Time, record Record) (*entry, error) {
	e, err := r.entry(begun, record)
	if err != nil {
		return nil, err
	}
	e.known = time.Now()
	return r.keep(record.ID, e), nil
}

// keep caches e unless a newer entry is cached, and returns the cached entry. An entry is newer if
// its generation is later and it was known only after e began to be read. The results of
// two concurrent changes may arrive in reverse order.
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

// lookup returns the entry of an ID, at most MaxAge old. The agent of the entry is zero
// if there is none. The error is a 503.
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

// failed returns the error of a method after a failed call of the store: 503, unless err
// is one of this package.
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
