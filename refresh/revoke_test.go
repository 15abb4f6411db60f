// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
)

func TestRefreshEnd(t *testing.T) {
	s := newServer(t)
	end := func(token gatehouse.Secret, client string) error { return s.Revoke(t.Context(), token, client) }
	// RFC 7009 §2.2: what is not known is no error.
	for _, token := range []gatehouse.Secret{gatehouse.NewSecret(nil), changed(s.begin().Token, ofID), gatehouse.NewSecret([]byte("a.b.c"))} {
		if err := end(token, "web"); err != nil {
			t.Error(err)
		}
	}
	// Any token of the family will do.
	for _, which := range []string{"newest", "before", "first"} {
		first := s.begin()
		second := s.good("the first token", first.Token)
		third := s.good("the second token", second.Token)
		token := map[string]gatehouse.Secret{"newest": third.Token, "before": second.Token, "first": first.Token}[which]
		for range 2 { // and a second time is no error
			if err := end(token, "web"); err != nil {
				t.Errorf("%s: %v", which, err)
			}
		}
		if told := s.told(); told != "" {
			t.Errorf("%s: told %q", which, told)
		}
		s.refused(which, third.Token, refresh.ReasonRevoked)
	}
	// RFC 7009 §2.1: of another client's it is one. It was stolen, and ends.
	for _, client := range []string{"other", ""} {
		r := s.begin()
		if err := end(r.Token, client); err != refresh.ErrInvalidGrant {
			t.Errorf("%q: %v", client, err)
		}
		if told := s.told(); told != "refused refresh_client" {
			t.Errorf("%q: told %q", client, told)
		}
		s.refused(client, r.Token, refresh.ReasonRevoked)
	}
}

func TestRefreshEndFamily(t *testing.T) {
	s := newServer(t)
	r, other := s.begin(), s.begin()
	for range 2 {
		if err := s.RevokeFamily(t.Context(), "alice", r.Family.ID); err != nil {
			t.Error(err)
		}
	}
	s.refused("ended", r.Token, refresh.ReasonRevoked)
	for _, id := range []string{"", "x", other.Family.ID + " ", string(other.Token.Reveal())} {
		if err := s.RevokeFamily(t.Context(), "alice", id); !errors.Is(err, refresh.ErrNotFound) {
			t.Errorf("%.10q: %v", id, err)
		}
	}
	s.good("another family", other.Token)
}

func TestRefreshEndAll(t *testing.T) {
	s := newServer(t)
	if n, err := s.RevokeAll(t.Context(), refresh.Filter{}); err == nil || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
	begin := func(subject, client string) {
		if _, err := s.Begin(t.Context(), refresh.Grant{Subject: subject, Client: client}); err != nil {
			t.Fatal(err)
		}
	}
	for range 1201 { // more than two steps of the store
		begin("alice", "web")
	}
	begin("alice", "phone")
	begin("alice", "tv")
	begin("bob", "web")
	begin("bob", "phone")
	for _, step := range []struct {
		filter refresh.Filter
		want   int
	}{
		{refresh.Filter{Subject: "alice", Client: "web"}, 1201},
		{refresh.Filter{Subject: "alice", Client: "web"}, 0},
		{refresh.Filter{Client: "phone"}, 2},
		{refresh.Filter{Subject: "alice"}, 1},
		{refresh.Filter{Subject: "bob"}, 1},
	} {
		if n, err := s.RevokeAll(t.Context(), step.filter); n != step.want || err != nil {
			t.Errorf("%+v: %d, want %d, %v", step.filter, n, step.want, err)
		}
	}
}

// lists is a server of both kinds of token, and what verifies the access tokens.
type lists struct {
	*server
	store  *brokenRevocations
	signer *jwtauth.Signer
	api    *jwtauth.Authenticator
}

type brokenRevocations struct {
	revocation.Store
	down bool
}

func (b *brokenRevocations) Revoke(ctx context.Context, r revocation.Target, lifetime time.Duration) error {
	if b.down {
		return errDown
	}
	return b.RevocationStore.Revoke(ctx, r, lifetime)
}

func newLists(t testing.TB) *lists {
	t.Helper()
	store := &brokenRevocations{RevocationStore: revocation.NewMemory(0)}
	list := must(revocation.New(revocation.Config{Store: store}))
	ring := newRing(t, signingKey("k1", jwtauth.ES256))
	return &lists{
		server: newServer(t, func(c *refresh.Config) { c.Revocations, c.Issuer = list, issuerURL }),
		store:  store,
		signer: newSigner(t, jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring}),
		api:    newAuthenticator(t, config(func(c *jwtauth.Config) { c.Issuers[0].Keys, c.Revocations = jwtauth.RingKeys(ring), list })),
	}
}

// access issues the access token that belongs beside a refresh token.
func (l *lists) access(r refresh.Issued) string {
	l.t.Helper()
	signed, err := l.signer.Sign(r.AccessToken(audience))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(signed.Token.Reveal())
}

// With a family end its access tokens, whoever ends it, and those of no other.
func TestRefreshRevokesAccessTokens(t *testing.T) {
	for name, end := range map[string]func(l *lists, first, second refresh.Issued) error{
		"reuse": func(l *lists, first, _ refresh.Issued) error {
			pass(time.Minute)
			_, err := l.present(first.Token)
			return err
		},
		"another client": func(l *lists, _, second refresh.Issued) error {
			_, err := l.Rotate(l.t.Context(), refresh.Request{Token: second.Token, Client: "other"})
			return err
		},
		"reuse by one who hangs up": func(l *lists, first, _ refresh.Issued) error {
			pass(time.Minute)
			ctx, cancel := context.WithCancel(l.t.Context())
			inner := l.store.RevocationStore
			l.server = newServer(l.t, func(c *refresh.Config) {
				c.Store = cancels{l.server.store, cancel}
				c.Revocations = must(revocation.New(revocation.Config{Store: inner}))
				c.Issuer = issuerURL
			})
			_, err := l.Rotate(ctx, refresh.Request{Token: first.Token, Client: "web"})
			if ctx.Err() == nil {
				return errors.New("nobody has hung up")
			}
			return err
		},
		"End": func(l *lists, _, second refresh.Issued) error { return l.Revoke(l.t.Context(), second.Token, "web") },
		"End by another client": func(l *lists, _, second refresh.Issued) error {
			return l.Revoke(l.t.Context(), second.Token, "other")
		},
		"EndFamily": func(l *lists, first, _ refresh.Issued) error {
			return l.RevokeFamily(l.t.Context(), "alice", first.Family.ID)
		},
		"EndAll": func(l *lists, _, _ refresh.Issued) error {
			_, err := l.RevokeAll(l.t.Context(), refresh.Filter{Subject: "alice"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLists(t)
				first := l.begin()
				other := must(l.Begin(t.Context(), refresh.Grant{Subject: "bob", Client: "web"}))
				tokens := []string{l.access(first)}
				second := l.good("the first token", first.Token)
				tokens = append(tokens, l.access(second))
				for _, token := range append(tokens, l.access(other)) {
					if got := reason(t, l.api, token); got != "" {
						t.Fatalf("a good token: %q", got)
					}
				}
				if err := end(l, first, second); err != nil && err != refresh.ErrInvalidGrant {
					t.Fatal(err)
				}
				pass(5 * time.Second)
				tokens = append(tokens, l.access(second)) // issued too late, in a race
				for _, token := range tokens {
					if got := reason(t, l.api, token); got != gatehouse.ReasonTokenRevoked {
						t.Errorf("a token of the family: %q", got)
					}
				}
				if got := reason(t, l.api, l.access(other)); got != "" {
					t.Errorf("a token of another family: %q", got)
				}
			})
		})
	}
}

// cancels hangs up as soon as the store has decided.
type cancels struct {
	refresh.Store
	cancel func()
}

func (c cancels) Rotate(ctx context.Context, id string, p refresh.Presentation) (refresh.Record, refresh.Outcome, error) {
	defer c.cancel()
	return c.Store.Rotate(ctx, id, p)
}

// Where the access tokens cannot be revoked, it is not said that all is well,
// and the next one who comes with a token of the family does it.
func TestRefreshRevocationsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLists(t)
		first := l.begin()
		second := l.good("the first token", first.Token)
		access := l.access(second)
		pass(time.Minute)
		l.store.down = true
		for want, token := range map[string]gatehouse.Secret{"unavailable refresh_reused": first.Token} {
			if _, err := l.present(token); !errors.Is(err, errDown) || errors.Is(err, refresh.ErrInvalidGrant) {
				t.Errorf("error %v", err)
			}
			if told := l.told(); told != want {
				t.Errorf("told %q, want %q", told, want)
			}
		}
		if _, err := l.present(second.Token); !errors.Is(err, errDown) {
			t.Errorf("error %v", err)
		}
		if err := l.RevokeFamily(t.Context(), "alice", first.Family.ID); !errors.Is(err, errDown) {
			t.Errorf("error %v", err)
		}
		if got := reason(t, l.api, access); got != "" {
			t.Fatalf("revoked all the same: %q", got)
		}
		l.told()
		l.store.down = false
		l.refused("the token after that", second.Token, refresh.ReasonRevoked)
		if got := reason(t, l.api, access); got != gatehouse.ReasonTokenRevoked {
			t.Errorf("not revoked afterwards: %q", got)
		}

		// EndAll goes on, and says so.
		for range 3 {
			l.begin()
		}
		l.store.down = true
		n, err := l.RevokeAll(t.Context(), refresh.Filter{Subject: "alice"})
		if n != 3 || !errors.Is(err, errDown) || strings.Count(fmt.Sprint(err), "\n") != 2 {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// A family whose time is over has no access tokens to revoke.
func TestRefreshExpiredRevokesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLists(t)
		first := l.begin()
		pass(week)
		l.store.down = true
		l.refused("after the end", first.Token, refresh.ReasonRevoked)
	})
}
