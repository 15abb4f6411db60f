// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
)

// Covers RFC 7009 §2.1 (issued), §2.2 (unknown).
func TestRevoke(t *testing.T) {
	s := newServer(t)
	// RFC 7009 §2.2: unknown tokens are no error.
	for _, token := range []gatehouse.Secret{secret(""), changed(s.begin().Token, inID), secret("a.b.c")} {
		if err := s.Revoke(t.Context(), token, "web"); err != nil {
			t.Errorf("Revoke(unknown) error = %v", err)
		}
	}
	for i, name := range []string{"first", "second", "current"} {
		first := s.begin()
		second := s.accepted("first token", first.Token)
		third := s.accepted("second token", second.Token)
		for range 2 { // to revoke again is no error
			if err := s.Revoke(t.Context(), []refresh.Issued{first, second, third}[i].Token, "web"); err != nil {
				t.Errorf("Revoke(%s) error = %v", name, err)
			}
		}
		if got, want := s.recorded(), "refresh_revocation, refresh_revocation"; got != want {
			t.Errorf("Revoke(%s) events = %q, want %q", name, got, want)
		}
		s.rejected("revoked", third.Token, refresh.ReasonRevoked)
		s.requestRejected("revoked, by another client", refresh.Request{Token: third.Token, Client: "tv"}, refresh.ErrInvalidGrant, refresh.ReasonRevoked)
	}
	// RFC 7009 §2.1: a token of another client is an error. Its family is revoked.
	for _, client := range []string{"other", ""} {
		issued := s.begin()
		if err := s.Revoke(t.Context(), issued.Token, client); err != refresh.ErrInvalidGrant {
			t.Errorf("Revoke by client %q: error = %v, want %v", client, err, refresh.ErrInvalidGrant)
		}
		if got, want := s.recorded(), "rejected refresh_client"; got != want {
			t.Errorf("Revoke by client %q: events = %q, want %q", client, got, want)
		}
		s.rejected("revoked", issued.Token, refresh.ReasonRevoked)
	}
}

// Covers RFC 9700 §4.14.2 (logout).
func TestRevokeFamily(t *testing.T) {
	s := newServer(t)
	issued, other := s.begin(), s.begin()
	for range 2 {
		if err := s.RevokeFamily(t.Context(), "alice", issued.Family.ID); err != nil {
			t.Errorf("RevokeFamily error = %v", err)
		}
	}
	s.recorded()
	s.rejected("revoked", issued.Token, refresh.ReasonRevoked)
	for _, call := range [][2]string{
		{"bob", other.Family.ID}, {"", other.Family.ID}, {"Alice", other.Family.ID}, {"web", other.Family.ID}, // the client
		{"alice", ""}, {"alice", "x"}, {"alice", other.Family.ID + " "}, {"alice", string(other.Token.Reveal())},
	} {
		err := s.RevokeFamily(t.Context(), call[0], call[1])
		if _, unavailable := errors.AsType[*gatehouse.Error](err); unavailable || !errors.Is(err, refresh.ErrNotFound) {
			t.Errorf("RevokeFamily(%q, %.10q) error = %v, want %v", call[0], call[1], err, refresh.ErrNotFound)
		}
	}
	s.accepted("token of another family", other.Token)
}

// Covers RFC 9700 §4.14.2 (logout).
func TestRevokeAll(t *testing.T) {
	s := newServer(t)
	for _, f := range []refresh.Filter{{}, {Except: "x"}} {
		if n, err := s.RevokeAll(t.Context(), f); err == nil || n != 0 {
			t.Errorf("RevokeAll(%+v) = %d, %v, want an error", f, n, err)
		}
	}
	begin := func(subject, client string) string {
		return s.begin(refresh.Grant{Subject: subject, Client: client}).Family.ID
	}
	for n := range 1201 { // more than two batches
		begin([]string{"alice", "carol"}[n%2], "app")
	}
	begin("alice", "tv")
	own := begin("bob", "web")
	begin("bob", "web")
	for _, test := range []struct {
		filter refresh.Filter
		want   int
	}{
		{refresh.Filter{Client: "app"}, 1201},
		{refresh.Filter{Client: "app"}, 0},
		{refresh.Filter{Subject: "alice"}, 1},
		{refresh.Filter{Subject: "bob", Except: own}, 1},
	} {
		if n, err := s.RevokeAll(t.Context(), test.filter); n != test.want || err != nil {
			t.Errorf("RevokeAll(%+v) = %d, %v, want %d", test.filter, n, err, test.want)
		}
	}
}

func TestList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(c *refresh.Config) { c.Lifetime = time.Hour })
		var issued []refresh.Issued
		for _, g := range []refresh.Grant{{Subject: "alice", Client: "web"}, {Subject: "alice", Client: "tv"}, {Subject: "bob", Client: "web"}, {Subject: "alice", Client: "web"}} {
			issued = append(issued, s.begin(g))
			pass(time.Second)
		}
		issued[0] = s.accepted("rotated last", issued[0].Token)
		list := func(f refresh.Filter, want ...refresh.Family) {
			t.Helper()
			got, err := s.List(t.Context(), f)
			if diff := cmp.Diff(fmt.Sprintf("%+v", want), fmt.Sprintf("%+v", got)); diff != "" || err != nil {
				t.Errorf("List(%+v) error = %v (-want +got):\n%s", f, err, diff)
			}
		}
		list(refresh.Filter{Subject: "alice"}, issued[0].Family, issued[3].Family, issued[1].Family)
		list(refresh.Filter{Subject: "alice", Client: "web", Except: issued[3].Family.ID}, issued[0].Family)
		list(refresh.Filter{Subject: "carol"})
		for _, f := range []refresh.Filter{{}, {Client: "web"}, {Except: "x"}} {
			if got, err := s.List(t.Context(), f); err == nil || got != nil {
				t.Errorf("List(%+v) = %v, %v, want an error", f, got, err)
			}
		}
		pass(time.Hour - 4*time.Second) // the first family has expired
		list(refresh.Filter{Subject: "alice"}, issued[3].Family, issued[1].Family)
	})
}

// authorizationServer is a server that also issues access tokens and verifies
// them with a revocation list.
type authorizationServer struct {
	*server
	revoked *brokenRevocations
	signer  *jwtauth.Signer
	api     *jwtauth.Authenticator
}

type brokenRevocations struct {
	revocation.Store
	down bool
	last revocation.Target
}

func (b *brokenRevocations) Revoke(ctx context.Context, target revocation.Target, lifetime time.Duration) error {
	if b.down {
		return errDown
	}
	b.last = target
	return b.Store.Revoke(ctx, target, lifetime)
}

func newAuthorizationServer(t testing.TB) *authorizationServer {
	t.Helper()
	store := &brokenRevocations{Store: revocation.NewMemory(0)}
	list := must(revocation.New(revocation.Config{Store: store, Issuers: []string{issuer}}))
	keys := must(jwtauth.NewKeyRing(jwtauth.SigningKey{ID: "k1", Algorithm: jwtauth.ES256, Private: must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}))
	api := must(jwtauth.New(jwtauth.Config{
		Issuers:     []jwtauth.Issuer{{URL: issuer, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: keys}},
		Revocations: list,
	}))
	t.Cleanup(func() { _ = api.Close() })
	return &authorizationServer{
		server:  newServer(t, func(c *refresh.Config) { c.Revocations, c.Issuer = list, issuer }),
		revoked: store, signer: must(jwtauth.NewSigner(jwtauth.SignerConfig{Issuer: issuer, Keys: keys})), api: api,
	}
}

// access returns the access token that is issued with a refresh token.
func (a *authorizationServer) access(i refresh.Issued) string {
	a.t.Helper()
	return string(must(a.signer.Sign(i.AccessToken(audience))).Token.Reveal())
}

// check verifies an access token and returns the reason why it is rejected.
func (a *authorizationServer) check(token string, want gatehouse.Reason) {
	a.t.Helper()
	_, err := a.api.Verify(a.t.Context(), token)
	var got gatehouse.Reason
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		got = e.Reason
	}
	if got != want || (err != nil) != (want != "") {
		a.t.Errorf("Verify(access token) = %v, want reason %q", err, want)
	}
}

// cancelingStore cancels the context of its caller once a family is revoked.
type cancelingStore struct {
	refresh.Store
	cancel func()
}

func (c cancelingStore) Rotate(ctx context.Context, id string, p refresh.Presentation) (refresh.Record, refresh.Outcome, error) {
	defer c.cancel()
	return c.Store.Rotate(ctx, id, p)
}

func (c cancelingStore) Revoke(ctx context.Context, id string) (refresh.Record, error) {
	defer c.cancel()
	return c.Store.Revoke(ctx, id)
}

// TestRevocationCoversAccessTokens revokes a family in every way, also where the
// caller cancels as soon as the family is revoked.
//
// Covers RFC 7009 §2.1 (grant).
func TestRevocationCoversAccessTokens(t *testing.T) {
	reuse := func(s *server, ctx context.Context, first, _ refresh.Issued) error {
		_, err := s.Rotate(ctx, refresh.Request{Token: first.Token, Client: "web"})
		return err
	}
	revoke := func(s *server, ctx context.Context, _, second refresh.Issued) error {
		return s.Revoke(ctx, second.Token, "web")
	}
	revokeFamily := func(s *server, ctx context.Context, first, _ refresh.Issued) error {
		return s.RevokeFamily(ctx, "alice", first.Family.ID)
	}
	for _, test := range []struct {
		name   string
		cancel bool
		call   func(s *server, ctx context.Context, first, second refresh.Issued) error
		want   error
	}{
		{"reuse", false, reuse, refresh.ErrInvalidGrant},
		{"reuse, canceled", true, reuse, refresh.ErrInvalidGrant},
		{"Revoke", false, revoke, nil},
		{"Revoke, canceled", true, revoke, nil},
		{"RevokeFamily", false, revokeFamily, nil},
		{"RevokeFamily, canceled", true, revokeFamily, nil},
		{"use by another client", false, func(s *server, ctx context.Context, _, second refresh.Issued) error {
			_, err := s.Rotate(ctx, refresh.Request{Token: second.Token, Client: "other"})
			return err
		}, refresh.ErrInvalidGrant},
		{"Revoke by another client", false, func(s *server, ctx context.Context, _, second refresh.Issued) error {
			return s.Revoke(ctx, second.Token, "other")
		}, refresh.ErrInvalidGrant},
		{"RevokeAll", false, func(s *server, ctx context.Context, _, _ refresh.Issued) error {
			_, err := s.RevokeAll(ctx, refresh.Filter{Subject: "alice"})
			return err
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newAuthorizationServer(t)
				first := a.begin()
				other := a.access(a.begin(refresh.Grant{Subject: "bob", Client: "web"}))
				second := a.accepted("first token", first.Token)
				tokens := []string{a.access(first), a.access(second)}
				for _, token := range append(tokens, other) {
					a.check(token, "")
				}
				pass(time.Minute)
				s, ctx := a.server, t.Context()
				if test.cancel {
					var cancel context.CancelFunc
					ctx, cancel = context.WithCancel(ctx)
					s = newServer(t, func(c *refresh.Config) {
						c.Store, c.Issuer = cancelingStore{a.server.store, cancel}, issuer
						c.Observer = gatehouse.ObserverFunc(func(ctx context.Context, _ gatehouse.Event) error { return ctx.Err() })
						c.Revocations = must(revocation.New(revocation.Config{Store: a.revoked.Store, Issuers: []string{issuer}}))
					})
				}
				if err := test.call(s, ctx, first, second); err != test.want || test.cancel != (ctx.Err() != nil) {
					t.Fatalf("error = %v, want %v; context: %v", err, test.want, ctx.Err())
				}
				pass(5 * time.Second)
				for _, token := range append(tokens, a.access(second)) { // also one that is issued later, in a race
					a.check(token, jwtauth.ReasonRevoked)
				}
				a.check(other, "")
			})
		})
	}
}

func TestRevocationsDownIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthorizationServer(t)
		first := a.begin()
		second := a.accepted("first token", first.Token)
		access := a.access(second)
		pass(time.Minute)
		a.revoked.down = true
		if _, err := a.rotate(first.Token); !errors.Is(err, errDown) || errors.Is(err, refresh.ErrInvalidGrant) {
			t.Errorf("Rotate(reused) error = %v, want %v", err, errDown)
		}
		if got, want := a.recorded(), "unavailable refresh_reused"; got != want {
			t.Errorf("Rotate(reused) events = %q, want %q", got, want)
		}
		if _, err := a.rotate(second.Token); !errors.Is(err, errDown) {
			t.Errorf("Rotate(revoked) error = %v, want %v", err, errDown)
		}
		if err := a.RevokeFamily(t.Context(), "alice", first.Family.ID); !errors.Is(err, errDown) {
			t.Errorf("RevokeFamily error = %v, want %v", err, errDown)
		}
		a.check(access, "")
		a.recorded()
		a.revoked.down = false
		a.rejected("second token", second.Token, refresh.ReasonRevoked)
		a.check(access, jwtauth.ReasonRevoked)

		for name, revoke := range map[string]func(refresh.Issued) error{
			"Revoke":       func(i refresh.Issued) error { return a.Revoke(t.Context(), i.Token, "web") },
			"RevokeFamily": func(i refresh.Issued) error { return a.RevokeFamily(t.Context(), "alice", i.Family.ID) },
		} {
			issued := a.begin()
			access := a.access(issued)
			for _, want := range []error{errDown, nil} {
				pass(time.Minute)
				a.revoked.down = want != nil
				if err := revoke(issued); !errors.Is(err, want) {
					t.Errorf("%s error = %v, want %v", name, err, want)
				}
			}
			a.check(access, jwtauth.ReasonRevoked)
		}

		for range 3 {
			a.begin()
		}
		a.revoked.down = true
		n, err := a.RevokeAll(t.Context(), refresh.Filter{Subject: "alice"})
		if n != 3 || !errors.Is(err, errDown) || strings.Count(fmt.Sprint(err), "\n") != 2 {
			t.Errorf("RevokeAll = %d, %v, want 3 and three errors", n, err)
		}
	})
}

// secondFails is a store whose second call of RevokeAll fails.
type secondFails struct {
	refresh.Store
	calls int
}

func (s *secondFails) RevokeAll(ctx context.Context, f refresh.Filter, limit int) ([]refresh.Record, error) {
	if s.calls++; s.calls == 2 {
		return nil, errDown
	}
	return s.Store.RevokeAll(ctx, f, limit)
}

// The families before a failure of the store are counted, reported, and have no access
// tokens. Those of one subject are revoked one by one up to a limit.
func TestRevokeAllUntilTheStoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthorizationServer(t)
		revocations := must(revocation.New(revocation.Config{Store: a.revoked, Issuers: []string{issuer}}))
		s := newServer(t, func(c *refresh.Config) {
			c.Store, c.Revocations, c.Issuer = &secondFails{Store: a.server.store}, revocations, issuer
		})
		begin := func() {
			for range 501 {
				s.begin()
			}
		}
		begin()
		if n, err := s.RevokeAll(t.Context(), refresh.Filter{Subject: "alice"}); n != 500 || !errors.Is(err, errDown) {
			t.Errorf("RevokeAll while the store fails = %d, %v, want 500 and %v", n, err, errDown)
		}
		if got := s.recorded(); got != "refresh_revocation" {
			t.Errorf("events = %q, want refresh_revocation", got)
		}
		begin()
		if n, err := s.RevokeAll(t.Context(), refresh.Filter{Subject: "alice"}); n != 502 || err != nil {
			t.Errorf("RevokeAll, again = %d, %v, want 502", n, err)
		}
		if want := (revocation.Target{Kind: revocation.Subject, Issuer: issuer, Value: "alice"}); a.revoked.last != want {
			t.Errorf("last revocation of access tokens = %+v, want %+v", a.revoked.last, want)
		}
	})
}

func TestExpiredFamilyRevokesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthorizationServer(t)
		first := a.begin()
		pass(week)
		a.revoked.down = true
		a.rejected("expired", first.Token, refresh.ReasonExpired)
	})
}
