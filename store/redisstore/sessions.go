// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"cmp"
	"context"
	_ "embed" // for the scripts
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse/session"
)

var (
	//go:embed lua/sessions.lua
	sessionsCommon string
	//go:embed lua/sessions_create.lua
	sessionsCreate string
	//go:embed lua/sessions_get.lua
	sessionsGet string
	//go:embed lua/sessions_swap.lua
	sessionsSwap string
	//go:embed lua/sessions_touch.lua
	sessionsTouch string
	//go:embed lua/sessions_delete.lua
	sessionsDelete string
	//go:embed lua/sessions_delete_all.lua
	sessionsDeleteAll string
	//go:embed lua/sessions_list.lua
	sessionsList string
)

var (
	createSessionScript     = newChange(timeCommon, sessionsCommon, sessionsCreate)
	getSessionScript        = newQuery(timeCommon, sessionsCommon, sessionsGet)
	swapSessionScript       = newReplacement(timeCommon, sessionsCommon, sessionsSwap)
	touchSessionScript      = newRevocation(timeCommon, sessionsCommon, sessionsTouch)
	deleteSessionScript     = newRevocation(timeCommon, sessionsCommon, sessionsDelete)
	deleteAllSessionsScript = newRevocation(timeCommon, sessionsCommon, sessionsDeleteAll)
	listSessionsScript      = newQuery(timeCommon, sessionsCommon, sessionsList)
)

// Sessions is a [session.Store]. Every method is one atomic script that uses the
// clock of the server. Redis removes expired sessions. Sessions is safe for
// concurrent use.
type Sessions struct {
	store *Store
	base  string
}

var _ session.Store = (*Sessions)(nil)

// Sessions returns the store of sessions. All of them are in one slot of a
// cluster.
func (s *Store) Sessions() *Sessions {
	// The number is the version of the format.
	return &Sessions{store: s, base: "{" + s.prefix + "}:sessions:1"}
}

// Create implements [session.Store].
func (s *Sessions) Create(ctx context.Context, r session.Record, lifetime time.Duration) (session.Record, error) {
	if r.ID == "" || lifetime > maxLifetime {
		return session.Record{}, errors.New("redisstore: create session: ID is empty, or lifetime is more than 200 years")
	}
	return s.one(ctx, "create", createSessionScript,
		r.ID, r.Issuer, r.Subject, r.SID, r.Label, r.Idle.Microseconds(), lifetime.Microseconds(), r.Principal, r.Tokens)
}

// Get implements [session.Store].
func (s *Sessions) Get(ctx context.Context, id string) (session.Record, error) {
	return s.one(ctx, "get", getSessionScript, id)
}

// Swap implements [session.Store].
func (s *Sessions) Swap(ctx context.Context, id string, version int64, c session.Change) (session.Record, error) {
	if c.ID == "" {
		return session.Record{}, errors.New("redisstore: swap session: ID is empty")
	}
	return s.one(ctx, "swap", swapSessionScript, id, version, c.ID, c.Principal, c.Tokens, c.Claim.Microseconds())
}

// Touch implements [session.Store].
func (s *Sessions) Touch(ctx context.Context, id string, every time.Duration) (bool, error) {
	reply, err := s.store.run(ctx, touchSessionScript, s.base, id, every.Microseconds())
	if err != nil {
		return false, fmt.Errorf("redisstore: touch session: %w", err)
	}
	return len(reply) > 0 && reply[0] == "ok", nil
}

// Delete implements [session.Store].
func (s *Sessions) Delete(ctx context.Context, id string) error {
	if _, err := s.store.run(ctx, deleteSessionScript, s.base, id); err != nil {
		return fmt.Errorf("redisstore: delete session: %w", err)
	}
	return nil
}

// DeleteAll implements [session.Store].
func (s *Sessions) DeleteAll(ctx context.Context, sel session.Selector) (int, error) {
	if sel.Subject == "" && sel.SID == "" {
		return 0, ctx.Err()
	}
	reply, err := s.store.run(ctx, deleteAllSessionsScript, s.base, sel.Issuer, sel.Subject, sel.SID, sel.Except)
	if err == nil && len(reply) == 2 {
		if count, ok := reply[1].(int64); ok {
			return int(count), nil
		}
	}
	return 0, fmt.Errorf("redisstore: delete all sessions: %w", cmp.Or(err, errReply))
}

// List implements [session.Store].
func (s *Sessions) List(ctx context.Context, sel session.Selector, limit int) ([]session.Record, error) {
	if sel.Subject == "" && sel.SID == "" {
		return nil, ctx.Err()
	}
	records, err := s.many(ctx, "list", listSessionsScript, sel.Issuer, sel.Subject, sel.SID, sel.Except)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(records, func(a, b session.Record) int {
		return cmp.Or(b.LastSeen.Compare(a.LastSeen), cmp.Compare(a.ID, b.ID))
	})
	return records[:min(len(records), max(limit, 0))], nil
}

// one runs a script that returns one record.
func (s *Sessions) one(ctx context.Context, verb string, script *script, args ...any) (session.Record, error) {
	records, err := s.many(ctx, verb, script, args...)
	if err != nil {
		return session.Record{}, err
	}
	if len(records) != 1 {
		return session.Record{}, fmt.Errorf("redisstore: %s session: got %d records, want 1", verb, len(records))
	}
	return records[0], nil
}

// many runs a script that returns records.
func (s *Sessions) many(ctx context.Context, verb string, script *script, args ...any) ([]session.Record, error) {
	reply, err := s.store.run(ctx, script, s.base, args...)
	if err != nil {
		return nil, fmt.Errorf("redisstore: %s session: %w", verb, err)
	}
	records, err := parseReply(reply, sessionState, parseSession)
	switch {
	case errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrConflict):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("redisstore: %s session: %w", verb, err)
	}
	return records, nil
}

// sessionState returns the error of the contract for a reply.
func sessionState(word string) error {
	switch word {
	case "absent":
		return session.ErrNotFound
	case "conflict":
		return session.ErrConflict
	}
	return errReply
}

// parseSession reads the fields of a record.
func parseSession(id string, asOf time.Time, f *fields) session.Record {
	return session.Record{
		Session: session.Session{
			ID: id, Issuer: f.values["issuer"], Subject: f.values["subject"], SID: f.values["sid"], Label: f.values["label"],
			Created:  read(f, "created", parseTime),
			LastSeen: read(f, "last_seen", parseTime),
			Expires:  read(f, "expires", parseTime),
			Idle:     time.Duration(read(f, "idle", parseInt)) * time.Microsecond,
		},
		Principal: f.values["principal"], Tokens: f.values["tokens"],
		Claimed: optional(f, "claimed", parseTime),
		Version: read(f, "version", parseInt),
		AsOf:    asOf,
	}
}
