// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

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
)

func TestRefreshEnd(t *testing.T) {
	s := newServer(t)
	end := func(token gatehouse.Secret, client string) error { return s.End(t.Context(), token, client) }
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
		s.refused(which, third.Token, gatehouse.ReasonRefreshOver)
	}
	// RFC 7009 §2.1: of another client's it is one. It was stolen, and ends.
	for _, client := range []string{"other", ""} {
		r := s.begin()
		if err := end(r.Token, client); err != jwtauth.ErrInvalidGrant {
			t.Errorf("%q: %v", client, err)
		}
		if told := s.told(); told != "refused refresh_client" {
			t.Errorf("%q: told %q", client, told)
		}
		s.refused(client, r.Token, gatehouse.ReasonRefreshOver)
	}
}

func TestRefreshEndFamily(t *testing.T) {
	s := newServer(t)
	r, other := s.begin(), s.begin()
	for range 2 {
		if err := s.EndFamily(t.Context(), r.Family.ID); err != nil {
			t.Error(err)
		}
	}
	s.refused("ended", r.Token, gatehouse.ReasonRefreshOver)
	for _, id := range []string{"", "x", other.Family.ID + " ", string(other.Token.Reveal())} {
		if err := s.EndFamily(t.Context(), id); !errors.Is(err, jwtauth.ErrFamilyNotFound) {
			t.Errorf("%.10q: %v", id, err)
		}
	}
	s.good("another family", other.Token)
}

func TestRefreshEndAll(t *testing.T) {
	s := newServer(t)
	if n, err := s.EndAll(t.Context(), jwtauth.FamilyFilter{}); err == nil || n != 0 {
		t.Errorf("%d, %v", n, err)
	}
	begin := func(subject, client string) {
		if _, err := s.Begin(t.Context(), jwtauth.Grant{Subject: subject, Client: client}); err != nil {
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
		filter jwtauth.FamilyFilter
		want   int
	}{
		{jwtauth.FamilyFilter{Subject: "alice", Client: "web"}, 1201},
		{jwtauth.FamilyFilter{Subject: "alice", Client: "web"}, 0},
		{jwtauth.FamilyFilter{Client: "phone"}, 2},
		{jwtauth.FamilyFilter{Subject: "alice"}, 1},
		{jwtauth.FamilyFilter{Subject: "bob"}, 1},
	} {
		if n, err := s.EndAll(t.Context(), step.filter); n != step.want || err != nil {
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
	jwtauth.RevocationStore
	down bool
}

func (b *brokenRevocations) Revoke(ctx context.Context, r jwtauth.Revocation, lifetime time.Duration) error {
	if b.down {
		return errDown
	}
	return b.RevocationStore.Revoke(ctx, r, lifetime)
}

func newLists(t testing.TB) *lists {
	t.Helper()
	store := &brokenRevocations{RevocationStore: jwtauth.NewMemoryRevocations(0)}
	list := must(jwtauth.NewRevocationList(jwtauth.RevocationConfig{Store: store}))
	ring := newRing(t, signingKey("k1", jwtauth.ES256))
	return &lists{
		server: newServer(t, func(c *jwtauth.RefreshConfig) { c.Revocations, c.Issuer = list, issuerURL }),
		store:  store,
		signer: newSigner(t, jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring}),
		api:    newAuthenticator(t, config(func(c *jwtauth.Config) { c.Issuers[0].Keys, c.Revocations = ring, list })),
	}
}

// access issues the access token that belongs beside a refresh token.
func (l *lists) access(r jwtauth.Refresh) string {
	l.t.Helper()
	signed, err := l.signer.Sign(r.AccessToken(audience))
	if err != nil {
		l.t.Fatal(err)
	}
	return string(signed.Token.Reveal())
}

// With a family end its access tokens, whoever ends it, and those of no other.
func TestRefreshRevokesAccessTokens(t *testing.T) {
	for name, end := range map[string]func(l *lists, first, second jwtauth.Refresh) error{
		"reuse": func(l *lists, first, _ jwtauth.Refresh) error {
			pass(time.Minute)
			_, err := l.present(first.Token)
			return err
		},
		"another client": func(l *lists, _, second jwtauth.Refresh) error {
			_, err := l.Rotate(l.t.Context(), jwtauth.RefreshRequest{Token: second.Token, Client: "other"})
			return err
		},
		"reuse by one who hangs up": func(l *lists, first, _ jwtauth.Refresh) error {
			pass(time.Minute)
			ctx, cancel := context.WithCancel(l.t.Context())
			inner := l.store.RevocationStore
			l.server = newServer(l.t, func(c *jwtauth.RefreshConfig) {
				c.Store = cancels{l.server.store, cancel}
				c.Revocations = must(jwtauth.NewRevocationList(jwtauth.RevocationConfig{Store: inner}))
				c.Issuer = issuerURL
			})
			_, err := l.Rotate(ctx, jwtauth.RefreshRequest{Token: first.Token, Client: "web"})
			if ctx.Err() == nil {
				return errors.New("nobody has hung up")
			}
			return err
		},
		"End": func(l *lists, _, second jwtauth.Refresh) error { return l.End(l.t.Context(), second.Token, "web") },
		"End by another client": func(l *lists, _, second jwtauth.Refresh) error {
			return l.End(l.t.Context(), second.Token, "other")
		},
		"EndFamily": func(l *lists, first, _ jwtauth.Refresh) error { return l.EndFamily(l.t.Context(), first.Family.ID) },
		"EndAll": func(l *lists, _, _ jwtauth.Refresh) error {
			_, err := l.EndAll(l.t.Context(), jwtauth.FamilyFilter{Subject: "alice"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLists(t)
				first := l.begin()
				other := must(l.Begin(t.Context(), jwtauth.Grant{Subject: "bob", Client: "web"}))
				tokens := []string{l.access(first)}
				second := l.good("the first token", first.Token)
				tokens = append(tokens, l.access(second))
				for _, token := range append(tokens, l.access(other)) {
					if got := reason(t, l.api, token); got != "" {
						t.Fatalf("a good token: %q", got)
					}
				}
				if err := end(l, first, second); err != nil && err != jwtauth.ErrInvalidGrant {
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
	jwtauth.FamilyStore
	cancel func()
}

func (c cancels) Rotate(ctx context.Context, id string, p jwtauth.Presentation) (jwtauth.FamilyRecord, jwtauth.FamilyOutcome, error) {
	defer c.cancel()
	return c.FamilyStore.Rotate(ctx, id, p)
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
			if _, err := l.present(token); !errors.Is(err, errDown) || errors.Is(err, jwtauth.ErrInvalidGrant) {
				t.Errorf("error %v", err)
			}
			if told := l.told(); told != want {
				t.Errorf("told %q, want %q", told, want)
			}
		}
		if _, err := l.present(second.Token); !errors.Is(err, errDown) {
			t.Errorf("error %v", err)
		}
		if err := l.EndFamily(t.Context(), first.Family.ID); !errors.Is(err, errDown) {
			t.Errorf("error %v", err)
		}
		if got := reason(t, l.api, access); got != "" {
			t.Fatalf("revoked all the same: %q", got)
		}
		l.told()
		l.store.down = false
		l.refused("the token after that", second.Token, gatehouse.ReasonRefreshOver)
		if got := reason(t, l.api, access); got != gatehouse.ReasonTokenRevoked {
			t.Errorf("not revoked afterwards: %q", got)
		}

		// EndAll goes on, and says so.
		for range 3 {
			l.begin()
		}
		l.store.down = true
		n, err := l.EndAll(t.Context(), jwtauth.FamilyFilter{Subject: "alice"})
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
		l.refused("after the end", first.Token, gatehouse.ReasonRefreshOver)
	})
}
