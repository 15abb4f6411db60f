// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/refresh"
)

const (
	week     = 7 * 24 * time.Hour
	issuer   = "https://auth.example.com"
	audience = "https://api.example.com"
)

// server is a refresh.Tokens whose events are recorded.
type server struct {
	*refresh.Tokens
	t     testing.TB
	store refresh.Store

	mu     sync.Mutex
	events []gatehouse.Event
	fails  bool // the observer rejects all events
}

func newServer(t testing.TB, change ...func(*refresh.Config)) *server {
	t.Helper()
	s := &server{t: t}
	c := refresh.Config{Store: &brokenStore{Store: refresh.NewMemory(0)}, Observer: gatehouse.ObserverFunc(s.observe)}
	for _, f := range change {
		f(&c)
	}
	s.Tokens, s.store = must(refresh.New(c)), c.Store
	s.recorded()
	return s
}

func (s *server) observe(_ context.Context, e gatehouse.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails {
		return errDown
	}
	if e.Duration < 0 || e.Duration > time.Hour {
		s.t.Errorf("event %+v took %v", e, e.Duration)
	}
	s.events = append(s.events, e)
	return nil
}

// recorded returns the events since the last call, as "decision reason" or their
// type.
func (s *server) recorded() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, e := range s.events {
		if e.Type == refresh.EventRotation || e.Decision != "" {
			all = append(all, strings.TrimSpace(fmt.Sprint(e.Decision, " ", e.Reason)))
		} else {
			all = append(all, string(e.Type))
		}
	}
	s.events = nil
	return strings.Join(all, ", ")
}

func grant() refresh.Grant {
	return refresh.Grant{
		Subject: "alice", Client: "web", Tenant: "acme", Scopes: must(gatehouse.ParseScopes("reports:read reports:write")),
		AuthTime: time.UnixMicro(1_700_000_000_000_000).UTC(),
	}
}

// principal returns the principal that an event has for a token of grant().
func principal(i refresh.Issued, issuer string) gatehouse.Principal {
	return gatehouse.Principal{
		Kind: gatehouse.KindUser, Subject: "alice", Issuer: issuer, Tenant: "acme", Client: "web", Method: refresh.Method, Credential: i.Family.ID,
		Scopes: i.Scopes, AuthTime: i.Family.AuthTime, Expires: i.Family.Expires,
	}
}

// begin creates a family of grant(), or of other if given.
func (s *server) begin(other ...refresh.Grant) refresh.Issued {
	s.t.Helper()
	defer s.recorded()
	return must(s.Begin(s.t.Context(), append(other, grant())[0]))
}

func (s *server) rotate(token gatehouse.Secret) (refresh.Issued, error) {
	return s.Rotate(s.t.Context(), refresh.Request{Token: token, Client: "web"})
}

// accepted rotates a token and requires success.
func (s *server) accepted(what string, token gatehouse.Secret) refresh.Issued {
	s.t.Helper()
	issued, err := s.rotate(token)
	if err != nil {
		s.t.Fatalf("Rotate(%s) error = %v", what, err)
	}
	if got := s.recorded(); got != "allowed" {
		s.t.Fatalf("Rotate(%s) events = %q, want %q", what, got, "allowed")
	}
	return issued
}

// rejected rotates a token and requires ErrInvalidGrant with a reason.
func (s *server) rejected(what string, token gatehouse.Secret, reason gatehouse.Reason) {
	s.t.Helper()
	s.requestRejected(what, refresh.Request{Token: token, Client: "web"}, refresh.ErrInvalidGrant, reason)
}

func (s *server) requestRejected(what string, r refresh.Request, want error, reason gatehouse.Reason) {
	s.t.Helper()
	got, err := s.Rotate(s.t.Context(), r)
	if err != want || got.Token.Len() != 0 || got.Family.ID != "" {
		s.t.Errorf("Rotate(%s) = %+v, %v, want nothing, %v", what, got, err, want)
	}
	if got, want := s.recorded(), "rejected "+string(reason); got != want {
		s.t.Errorf("Rotate(%s) events = %q, want %q", what, got, want)
	}
}

// find returns the record of a family.
func (s *server) find(id string) refresh.Record {
	s.t.Helper()
	return must(s.store.Find(s.t.Context(), id))
}

const prefix = "gatehouse_refresh_"

// raw returns the bytes of a token: an ID of 16, a key of 32 and a secret of 32.
func raw(token gatehouse.Secret) []byte {
	return must(base64.RawURLEncoding.DecodeString(strings.TrimPrefix(string(token.Reveal()), prefix)))
}

// Positions in raw: one byte of each part.
const (
	inID     = 3
	inKey    = 16 + 5
	inSecret = 48 + 7
)

// changed returns a token with a bit flipped in some of its bytes.
func changed(token gatehouse.Secret, at ...int) gatehouse.Secret {
	b := raw(token)
	for _, i := range at {
		b[i] ^= 1
	}
	return secret(prefix + base64.RawURLEncoding.EncodeToString(b))
}

func secret(text string) gatehouse.Secret { return gatehouse.NewSecret([]byte(text)) }

var errDown = errors.New("store down")

// brokenStore fails in the methods that its field names. It may also damage the
// successor or the outcome of Rotate.
type brokenStore struct {
	refresh.Store
	broken string
}

func (b *brokenStore) is(what string) bool { return strings.Contains(b.broken, what) }

func unless[T any](b *brokenStore, method string, call func() (T, error)) (result T, err error) {
	if b.is(method) {
		return result, errDown
	}
	if result, err = call(); err != nil {
		err = fmt.Errorf("store: %w", err)
	}
	return result, err
}

func (b *brokenStore) Create(ctx context.Context, r refresh.Record, lifetime time.Duration) (refresh.Record, error) {
	return unless(b, "Create", func() (refresh.Record, error) { return b.Store.Create(ctx, r, lifetime) })
}

func (b *brokenStore) Find(ctx context.Context, id string) (refresh.Record, error) {
	return unless(b, "Find", func() (refresh.Record, error) { return b.Store.Find(ctx, id) })
}

func (b *brokenStore) Rotate(ctx context.Context, id string, p refresh.Presentation) (r refresh.Record, outcome refresh.Outcome, err error) {
	r, err = unless(b, "Rotate", func() (r refresh.Record, err error) {
		r, outcome, err = b.Store.Rotate(ctx, id, p)
		return r, err
	})
	if b.is("successor") && len(r.Successor) > 0 {
		r.Successor[30] ^= 1
	}
	if b.is("outcome") {
		outcome = "unknown"
	}
	return r, outcome, err
}

func (b *brokenStore) Revoke(ctx context.Context, id string) (refresh.Record, error) {
	return unless(b, "Revoke", func() (refresh.Record, error) { return b.Store.Revoke(ctx, id) })
}

func (b *brokenStore) RevokeAll(ctx context.Context, f refresh.Filter, limit int) ([]refresh.Record, error) {
	return unless(b, "All", func() ([]refresh.Record, error) { return b.Store.RevokeAll(ctx, f, limit) })
}

func (b *brokenStore) List(ctx context.Context, f refresh.Filter, limit int) ([]refresh.Record, error) {
	return unless(b, "List", func() ([]refresh.Record, error) { return b.Store.List(ctx, f, limit) })
}

// pass lets the fake clock of a synctest bubble advance.
func pass(d time.Duration) { <-time.After(d) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
