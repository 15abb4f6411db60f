// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/refresh"
)

// server issues refresh tokens in a test, and remembers what its observer was
// told.
type server struct {
	*refresh.Tokens
	t     testing.TB
	store refresh.Store

	mu     sync.Mutex
	events []gatehouse.Event
}

func newServer(t testing.TB, change ...func(*refresh.Config)) *server {
	t.Helper()
	s := &server{t: t}
	c := refresh.Config{Store: refresh.NewMemory(0), Observer: gatehouse.ObserverFunc(s.observe)}
	for _, f := range change {
		f(&c)
	}
	tokens, err := refresh.New(c)
	if err != nil {
		t.Fatal(err)
	}
	s.RefreshTokens, s.store = tokens, c.Store
	return s
}

func (s *server) observe(_ context.Context, e gatehouse.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	return nil
}

// told returns the events since the last call, as "decision reason".
func (s *server) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var told []string
	for _, e := range s.events {
		told = append(told, strings.TrimSpace(fmt.Sprint(e.Decision, " ", e.Reason)))
	}
	s.events = nil
	return strings.Join(told, ", ")
}

func grant() refresh.Grant {
	scopes, _ := gatehouse.ParseScopes("reports:read reports:write")
	return refresh.Grant{Subject: "alice", Client: "web", Tenant: "acme", Scopes: scopes, AuthTime: time.UnixMicro(1_700_000_000_000_000).UTC()}
}

// begin logs in.
func (s *server) begin() refresh.Issued {
	s.t.Helper()
	r, err := s.Begin(s.t.Context(), grant())
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

func (s *server) present(token gatehouse.Secret) (refresh.Issued, error) {
	return s.Rotate(s.t.Context(), refresh.Request{Token: token, Client: "web"})
}

// good presents a token that must be good.
func (s *server) good(what string, token gatehouse.Secret) refresh.Issued {
	s.t.Helper()
	r, err := s.present(token)
	if err != nil {
		s.t.Fatalf("%s: %v", what, err)
	}
	if told := s.told(); told != "allowed" {
		s.t.Fatalf("%s: the observer was told %q", what, told)
	}
	return r
}

// refused presents a token that must be refused as all are, and for a reason.
func (s *server) refused(what string, token gatehouse.Secret, reason gatehouse.Reason) {
	s.t.Helper()
	r, err := s.present(token)
	s.checkRefused(what, r, err, reason)
}

func (s *server) checkRefused(what string, r refresh.Issued, err error, reason gatehouse.Reason) {
	s.t.Helper()
	if err != refresh.ErrInvalidGrant || r.Token.Len() != 0 || r.Family.ID != "" {
		s.t.Errorf("%s: %+v, %v", what, r, err)
	}
	if told := s.told(); told != "refused "+string(reason) {
		s.t.Errorf("%s: the observer was told %q, want %q", what, told, reason)
	}
}

const refreshPrefix = "gatehouse_refresh_"

// parts are the bytes of a token: an id of 16, and two secrets of 32 each.
func parts(token gatehouse.Secret) []byte {
	return must(base64.RawURLEncoding.DecodeString(strings.TrimPrefix(string(token.Reveal()), refreshPrefix)))
}

// changed returns a token with a bit of one of its bytes changed.
func changed(token gatehouse.Secret, at ...int) gatehouse.Secret {
	b := parts(token)
	for _, i := range at {
		b[i] ^= 1
	}
	return gatehouse.NewSecret([]byte(refreshPrefix + base64.RawURLEncoding.EncodeToString(b)))
}

const (
	ofID     = 3
	ofKey    = 16 + 5
	ofSecret = 48 + 7
)

// spellings are how the secrets of a token may be written down.
func spellings(token gatehouse.Secret) []string {
	b := parts(token)
	all := []string{string(token.Reveal()), strings.TrimPrefix(string(token.Reveal()), refreshPrefix)[23:]}
	for _, secret := range [][]byte{b[16:48], b[48:]} {
		all = append(all, string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)), fmt.Sprint(secret),
			base64.RawURLEncoding.EncodeToString(secret), base64.RawStdEncoding.EncodeToString(secret))
	}
	return all
}

// broken is a store that does not work.
type broken struct {
	refresh.Store
	verbs string // those that do not
}

var errDown = errors.New("the store is down")

func (b *broken) Create(ctx context.Context, r refresh.Record, lifetime time.Duration) (refresh.Record, error) {
	if strings.Contains(b.verbs, "create") {
		return refresh.Record{}, errDown
	}
	return b.Store.Create(ctx, r, lifetime)
}

func (b *broken) Find(ctx context.Context, id string) (refresh.Record, error) {
	if strings.Contains(b.verbs, "find") {
		return refresh.Record{}, errDown
	}
	r, err := b.Store.Find(ctx, id)
	return r, err
}

func (b *broken) Rotate(ctx context.Context, id string, p refresh.Presentation) (refresh.Record, refresh.Outcome, error) {
	if strings.Contains(b.verbs, "rotate") {
		return refresh.Record{}, "", errDown
	}
	r, outcome, err := b.Store.Rotate(ctx, id, p)
	switch {
	case strings.Contains(b.verbs, "seal") && len(r.Successor) > 0:
		r.Successor[30] ^= 1
	case strings.Contains(b.verbs, "outcome"):
		outcome = "well"
	}
	return r, outcome, err
}

func (b *broken) Revoke(ctx context.Context, id string) (refresh.Record, error) {
	if strings.Contains(b.verbs, "end") {
		return refresh.Record{}, errDown
	}
	return b.Store.Revoke(ctx, id)
}

func (b *broken) RevokeAll(ctx context.Context, f refresh.Filter, limit int) ([]refresh.Record, error) {
	if strings.Contains(b.verbs, "all") {
		return nil, errDown
	}
	return b.Store.RevokeAll(ctx, f, limit)
}

func pass(d time.Duration) { <-time.After(d) }
