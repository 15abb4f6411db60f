// SPDX-License-Identifier: Apache-2.0

package refresh_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
)

const week = 7 * 24 * time.Hour

func TestRefreshConfigMistakes(t *testing.T) {
	list := must(revocation.New(revocation.Config{Store: revocation.NewMemory(0)}))
	for want, change := range map[string]func(*refresh.Config){
		"":                              func(*refresh.Config) {},
		"RefreshConfig.Store: required": func(c *refresh.Config) { c.Store = nil },
		"RefreshConfig.Lifetime: -1s":   func(c *refresh.Config) { c.Lifetime = -time.Second },
		"RefreshConfig.Lifetime: 999ms": func(c *refresh.Config) { c.Lifetime = 999 * time.Millisecond },
		"RefreshConfig.Lifetime: 168h0m0.000000001s": func(c *refresh.Config) { c.Lifetime = week + 1 },
		"RefreshConfig.Grace: -1ns":                  func(c *refresh.Config) { c.Grace = -1 },
		"RefreshConfig.Grace: 1m0.000000001s":        func(c *refresh.Config) { c.Grace = time.Minute + 1 },
		"RefreshConfig.Grace: is set, and so":        func(c *refresh.Config) { c.Grace, c.NoGrace = 1, true },
		"RefreshConfig.Issuer: required with Revo":   func(c *refresh.Config) { c.Revocations = list },
		"RefreshConfig.Issuer: not an absolute URL":  func(c *refresh.Config) { c.Revocations, c.Issuer = list, "auth" },
		"RefreshConfig.Issuer: required with":        func(c *refresh.Config) { c.Issuer = issuerURL },
	} {
		c := refresh.Config{Store: refresh.NewMemory(0)}
		change(&c)
		if _, err := refresh.New(c); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), "jwtauth: "+want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	_, err := refresh.New(refresh.Config{Lifetime: -1, Grace: -1})
	if n := strings.Count(fmt.Sprint(err), "RefreshConfig."); n != 3 {
		t.Errorf("%d of three mistakes are reported: %v", n, err)
	}
	for _, c := range []refresh.Config{{Lifetime: time.Second, NoGrace: true}, {Lifetime: week, Grace: time.Minute}, {Grace: 1}, {Revocations: list, Issuer: issuerURL}} {
		c.Store = refresh.NewMemory(0)
		if _, err := refresh.New(c); err != nil {
			t.Error(err)
		}
	}
}

func TestRefreshBegin(t *testing.T) {
	s := newServer(t)
	for name, change := range map[string]func(*refresh.Grant){
		"Subject": func(g *refresh.Grant) { g.Subject = "" }, "Client": func(g *refresh.Grant) { g.Client = strings.Repeat("c", 256) },
		"Tenant": func(g *refresh.Grant) { g.Tenant = "a\nb" },
	} {
		g := grant()
		change(&g)
		if _, err := s.Begin(t.Context(), g); err == nil || !strings.Contains(err.Error(), "Grant."+name+":") {
			t.Errorf("%s: %v", name, err)
		}
	}
	g := grant()
	g.Tenant, g.AuthTime, g.Scopes = "", time.Time{}, gatehouse.Scopes{}
	r, err := s.Begin(t.Context(), g)
	if err != nil || r.Family.Grant != g || r.Family.Generation != 1 || r.Family.ID == "" {
		t.Errorf("%+v, %v", r, err)
	}
	text := string(r.Token.Reveal())
	if !strings.HasPrefix(text, refreshPrefix) || len(text) != 125 || !strings.HasPrefix(text, refreshPrefix+r.Family.ID[:21]) {
		t.Errorf("a token is %d characters", len(text))
	}
}

// Each token is good once and has one successor, and the family ends when it
// was to end at the beginning.
func TestRefreshRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		r := s.begin()
		first := r.Family
		if !first.Expires.Equal(time.Now().Add(week)) {
			t.Errorf("ends at %v", first.Expires)
		}
		seen := map[string]bool{string(r.Token.Reveal()): true}
		for n := range int64(6) {
			pass(24 * time.Hour)
			r = s.good("the newest token", r.Token)
			if text := string(r.Token.Reveal()); seen[text] {
				t.Fatal("a token was issued again")
			} else {
				seen[text] = true
			}
			f := r.Family
			if f.ID != first.ID || f.Grant != first.Grant || !f.Expires.Equal(first.Expires) || f.Generation != n+2 || r.Scopes != first.Scopes {
				t.Errorf("%+v has become %+v", first, f)
			}
		}
		at := r.AccessToken(audience)
		want := jwtauth.AccessToken{
			Subject: "alice", Audience: audience, Client: "web", Scopes: first.Scopes, Tenant: "acme", AuthTime: first.AuthTime, Family: first.ID,
		}
		if fmt.Sprintf("%#v", at) != fmt.Sprintf("%#v", want) {
			t.Errorf("access token %+v", at)
		}

		// A microsecond before its end it can be rotated, and at its end not.
		pass(time.Until(first.Expires) - time.Microsecond)
		r = s.good("the newest token at the last moment", r.Token)
		pass(time.Microsecond)
		s.refused("the newest token at the end", r.Token, refresh.ReasonRevoked)
		pass(time.Hour)
		s.refused("the newest token after the end", r.Token, refresh.ReasonRevoked)
	})
}

// Within the grace a token is answered with the same successor, as long as that
// one was not used; after it the family ends.
func TestRefreshGrace(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*refresh.Config)
		grace  time.Duration
	}{
		{"default", func(*refresh.Config) {}, 10 * time.Second},
		{"a minute", func(c *refresh.Config) { c.Grace = time.Minute }, time.Minute},
		{"a millisecond", func(c *refresh.Config) { c.Grace = time.Millisecond }, time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, test.change)
				first := s.begin()
				second := s.good("the first token", first.Token)
				for _, d := range []time.Duration{0, test.grace / 2, test.grace - test.grace/2 - time.Microsecond} {
					pass(d)
					again := s.good("the first token, once more", first.Token)
					if !again.Token.Equal(second.Token) || again.Family != second.Family || again.Scopes != second.Scopes {
						t.Fatal("a token has two successors")
					}
				}
				// The window is that of the first use, whatever came since.
				pass(time.Microsecond)
				s.refused("the first token after the grace", first.Token, refresh.ReasonReused)
				s.refused("the second token, good until then", second.Token, refresh.ReasonRevoked)
				s.refused("the first token again", first.Token, refresh.ReasonRevoked)
			})
		})
	}
}

func TestRefreshNoGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, func(c *refresh.Config) { c.NoGrace = true })
		first := s.begin()
		second := s.good("the first token", first.Token)
		record := must(s.store.Find(t.Context(), first.Family.ID))
		if len(record.Successor) != 0 || !record.GraceEnds.Equal(record.Rotated) {
			t.Errorf("a successor was kept: %+v", record)
		}
		s.refused("the first token at once", first.Token, refresh.ReasonReused)
		s.refused("the second token", second.Token, refresh.ReasonRevoked)
	})
}

// Once a successor was used, its predecessor is of no use any more, whatever is
// left of the grace.
func TestRefreshSuccessorUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		first := s.begin()
		second := s.good("the first token", first.Token)
		pass(time.Second)
		third := s.good("the second token", second.Token)
		if again := s.good("the second token again", second.Token); !again.Token.Equal(third.Token) {
			t.Error("the second token has two successors")
		}
		s.refused("the first token again", first.Token, refresh.ReasonReused)
		s.refused("the third token", third.Token, refresh.ReasonRevoked)
		record := must(s.store.Find(t.Context(), first.Family.ID))
		if len(record.Successor) != 0 || record.Revoked.IsZero() {
			t.Errorf("what is left: %+v", record)
		}
	})
}

// A thief has copied a token. Whoever of the two comes first, once the grace is
// over both have to log in again.
func TestRefreshTheft(t *testing.T) {
	for _, first := range []string{"thief", "victim"} {
		t.Run(first+" first", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				stolen := s.begin().Token
				one := s.good(first, stolen)
				pass(time.Hour)
				one = s.good(first+", an hour later", one.Token)
				pass(time.Hour)
				s.refused("the other one", stolen, refresh.ReasonReused)
				s.refused(first, one.Token, refresh.ReasonRevoked)
				// Another login of the same person is none of their business.
				s.good("another family", s.begin().Token)
			})
		})
	}
}

// Who does not know the secret of a family can do nothing to it, and learns
// nothing.
func TestRefreshWrongKey(t *testing.T) {
	s := newServer(t)
	first := s.begin()
	second := s.good("the first token", first.Token)
	before := must(s.store.Find(t.Context(), first.Family.ID))
	for what, token := range map[string]gatehouse.Secret{
		"a wrong key":                        changed(second.Token, ofKey),
		"a wrong key and a wrong secret":     changed(second.Token, ofKey, ofSecret),
		"a wrong key, of the token before":   changed(first.Token, ofKey),
		"an unknown id":                      changed(second.Token, ofID),
		"an unknown id and nothing else":     changed(second.Token, ofID, ofKey, ofSecret),
		"a wrong key in its first bit":       changed(second.Token, 16),
		"a wrong key in its last bit":        changed(second.Token, 47),
		"the id of one and the rest of zero": changed(gatehouse.NewSecret([]byte(refreshPrefix+first.Family.ID+strings.Repeat("A", 107-22))), ofKey),
	} {
		s.refused(what, token, refresh.ReasonUnknown)
		if err := s.Revoke(t.Context(), token, "web"); err != nil {
			t.Errorf("%s: end: %v", what, err)
		}
		after := must(s.store.Find(t.Context(), first.Family.ID))
		after.AsOf = before.AsOf
		if fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s has changed %+v into %+v", what, before, after)
		}
	}
	third := s.good("the newest token", second.Token)
	// With the right key, a secret that never was is one that was stolen.
	s.refused("a wrong secret", changed(third.Token, ofSecret), refresh.ReasonReused)
	s.refused("the newest token", third.Token, refresh.ReasonRevoked)
}

func TestRefreshMalformed(t *testing.T) {
	s := newServer(t, func(c *refresh.Config) { c.Store = &broken{c.Store, "find rotate end"} })
	good := "gatehouse_refresh_" + strings.Repeat("A", 107)
	for _, text := range []string{
		"", "x", good[1:], good + "A", good[:124], good + "=", strings.ToUpper(good), good[:124] + "B", good[:124] + "\n", "gatehouse-refresh_" + good[18:],
		good[:60] + "+" + good[61:], good[:60] + "=" + good[61:], good[:60] + "\r\n" + good[62:], strings.Repeat("A", 1<<20),
	} {
		s.refused(fmt.Sprintf("%.140q", text), gatehouse.NewSecret([]byte(text)), refresh.ReasonMalformed)
		if err := s.Revoke(t.Context(), gatehouse.NewSecret([]byte(text)), "web"); err != nil {
			t.Errorf("end: %v", err)
		}
	}
	for _, client := range []string{"", "a\nb", strings.Repeat("c", 256)} {
		r, err := s.Rotate(t.Context(), refresh.Request{Token: gatehouse.NewSecret([]byte(good)), Client: client})
		s.checkRefused("nobody", r, err, refresh.ReasonMalformed)
	}
}

// A token that another client presents was stolen, also within the grace.
func TestRefreshOtherClient(t *testing.T) {
	for _, which := range []string{"newest", "before"} {
		s := newServer(t)
		first := s.begin()
		second := s.good("the first token", first.Token)
		token := map[string]gatehouse.Secret{"newest": second.Token, "before": first.Token}[which]
		r, err := s.Rotate(t.Context(), refresh.Request{Token: token, Client: "Web"})
		s.checkRefused(which, r, err, refresh.ReasonClient)
		s.refused("the newest token, by its own client", second.Token, refresh.ReasonRevoked)
	}
}

// The scopes of an access token may be fewer than were granted and never more,
// and to ask for more costs nothing.
func TestRefreshScopes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		r := s.begin()
		granted := r.Family.Scopes
		ask := func(token gatehouse.Secret, scope string) (refresh.Issued, error) {
			return s.Rotate(t.Context(), refresh.Request{Token: token, Client: "web", Scope: scope})
		}
		for _, scope := range []string{"admin", "reports:read admin", "reports", "reports:*", "reports:read  reports:write", " ", "\"", "Reports:read"} {
			if got, err := ask(r.Token, scope); err != refresh.ErrInvalidScope || got.Token.Len() != 0 {
				t.Errorf("%q: %+v, %v", scope, got, err)
			}
			if told := s.told(); told != "refused refresh_scope" {
				t.Errorf("%q: told %q", scope, told)
			}
		}
		if f := must(s.store.Find(t.Context(), r.Family.ID)); f.Generation != 1 {
			t.Errorf("what was refused has used up %d tokens", f.Generation-1)
		}
		narrow, err := ask(r.Token, "reports:read")
		if err != nil || narrow.Scopes.String() != "reports:read" || narrow.Family.Scopes != granted || narrow.AccessToken(audience).Scopes != narrow.Scopes {
			t.Fatalf("%+v, %v", narrow, err)
		}
		s.told()
		// The answer to the token before is refused too, and nothing else.
		if _, err := ask(r.Token, "admin"); err != refresh.ErrInvalidScope {
			t.Error(err)
		}
		s.told()
		// RFC 6749 §6: the refresh token keeps its scope.
		all := s.good("all again", narrow.Token)
		if all.Scopes != granted {
			t.Errorf("scopes %v", all.Scopes)
		}
		wide, err := ask(all.Token, "reports:write reports:read")
		if err != nil || wide.Scopes != granted {
			t.Errorf("%+v, %v", wide, err)
		}
		s.told()
		// Who asks for too much with a stolen token has still stolen it.
		got, err := ask(r.Token, "admin")
		s.checkRefused("a stolen token", got, err, refresh.ReasonReused)

		other := s.begin()
		got, err = s.Rotate(t.Context(), refresh.Request{Token: other.Token, Client: "other", Scope: "admin"})
		s.checkRefused("another client", got, err, refresh.ReasonClient)
		got, err = ask(other.Token, "admin")
		s.checkRefused("what has ended", got, err, refresh.ReasonRevoked)
		got, err = ask(changed(other.Token, ofKey), "admin")
		s.checkRefused("a wrong key", got, err, refresh.ReasonUnknown)
	})
}

// However many present one token at once, it has one successor.
func TestRefreshRace(t *testing.T) {
	for range 20 {
		s := newServer(t)
		first := s.begin()
		results := make([]refresh.Issued, 64)
		contract.Together(len(results), func(i int) {
			var err error
			if results[i], err = s.present(first.Token); err != nil {
				t.Error(err)
			}
		})
		for _, r := range results {
			if r.Token.Len() == 0 || !r.Token.Equal(results[0].Token) {
				t.Fatal("a token has two successors")
			}
		}
		if f := must(s.store.Find(t.Context(), first.Family.ID)); f.Generation != 2 || !f.Revoked.IsZero() {
			t.Errorf("%+v", f)
		}
		s.told()
		s.good("the successor", results[0].Token)
	}
}

// Without grace, one of many is served and the family ends.
func TestRefreshRaceWithoutGrace(t *testing.T) {
	for range 20 {
		s := newServer(t, func(c *refresh.Config) { c.NoGrace = true })
		first := s.begin()
		var mu sync.Mutex
		var served []gatehouse.Secret
		contract.Together(64, func(int) {
			r, err := s.present(first.Token)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				served = append(served, r.Token)
			case err != refresh.ErrInvalidGrant:
				t.Error(err)
			}
		})
		if len(served) != 1 {
			t.Fatalf("%d were served", len(served))
		}
		if told := s.told(); strings.Count(told, "refresh_reused") != 1 || strings.Count(told, "refresh_over") != 62 {
			t.Errorf("told %q", told)
		}
		s.refused("the successor", served[0], refresh.ReasonRevoked)
	}
}

// Once the end of a family was acknowledged, nobody gets another token of it.
func TestRefreshRaceWithEnd(t *testing.T) {
	for range 20 {
		s := newServer(t)
		token := s.begin()
		ended := make(chan struct{})
		contract.Together(8, func(i int) {
			if i == 0 {
				if err := s.RevokeFamily(t.Context(), "alice", token.Family.ID); err != nil {
					t.Error(err)
				}
				close(ended)
				return
			}
			for after := 0; after < 3; {
				late := false
				select {
				case <-ended:
					late = true
					after++
				default:
				}
				if _, err := s.present(token.Token); late && err != refresh.ErrInvalidGrant || err != nil && err != refresh.ErrInvalidGrant {
					t.Errorf("late %v: %v", late, err)
					return
				}
			}
		})
	}
}

// A store that does not work is no token that is not good.
func TestRefreshStoreDown(t *testing.T) {
	unavailable := func(t *testing.T, s *server, err error) {
		t.Helper()
		if err == nil || errors.Is(err, refresh.ErrInvalidGrant) || errors.Is(err, refresh.ErrInvalidScope) || errors.Is(err, refresh.ErrNotFound) {
			t.Errorf("error %v", err)
		}
		for _, e := range s.events {
			if e.Decision != gatehouse.Unavailable || e.Reason != refresh.ReasonUnavailable || e.Status != 503 || e.Cause == nil {
				t.Errorf("told %+v", e)
			}
		}
	}
	for _, test := range []struct {
		verbs string
		scope string
	}{{"rotate", ""}, {"find", "reports:read"}, {"outcome", ""}} {
		b := &broken{Store: refresh.NewMemory(0)}
		s := newServer(t, func(c *refresh.Config) { c.Store = b })
		first := s.begin()
		b.verbs = test.verbs
		_, err := s.Rotate(t.Context(), refresh.Request{Token: first.Token, Client: "web", Scope: test.scope})
		unavailable(t, s, err)
		if len(s.events) != 1 {
			t.Errorf("%s: %d events", test.verbs, len(s.events))
		}
		b.verbs = ""
		s.told()
		s.good(test.verbs+", when it works again", first.Token)
	}

	b := &broken{Store: refresh.NewMemory(0)}
	s := newServer(t, func(c *refresh.Config) { c.Store = b })
	first := s.begin()
	b.verbs = "create find end all"
	_, err := s.Begin(t.Context(), grant())
	unavailable(t, s, err)
	unavailable(t, s, s.Revoke(t.Context(), first.Token, "web"))
	unavailable(t, s, s.RevokeFamily(t.Context(), "alice", first.Family.ID))
	_, err = s.RevokeAll(t.Context(), refresh.Filter{Subject: "alice"})
	unavailable(t, s, err)
	b.verbs = "end"
	unavailable(t, s, s.Revoke(t.Context(), first.Token, "web"))

	// A successor that cannot be opened is none, and not another one.
	b.verbs = ""
	s.told()
	second := s.good("the first token", first.Token)
	b.verbs = "seal"
	_, err = s.present(first.Token)
	unavailable(t, s, err)
	b.verbs = ""
	s.told()
	if again := s.good("the first token again", first.Token); !again.Token.Equal(second.Token) {
		t.Error("another successor")
	}

	over, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = s.Rotate(over, refresh.Request{Token: second.Token, Client: "web"})
	unavailable(t, s, err)
}

// What could not be recorded does not stand; within the grace the client gets
// its answer when it asks again.
func TestRefreshObserverFails(t *testing.T) {
	fails := true
	s := newServer(t, func(c *refresh.Config) {
		inner := c.Observer
		c.Observer = gatehouse.ObserverFunc(func(ctx context.Context, e gatehouse.Event) error {
			if fails {
				return errDown
			}
			return inner.Observe(ctx, e)
		})
	})
	first := s.begin()
	for _, token := range []gatehouse.Secret{first.Token, changed(first.Token, ofKey), gatehouse.NewSecret(nil)} {
		if r, err := s.present(token); !errors.Is(err, errDown) || errors.Is(err, refresh.ErrInvalidGrant) || r.Token.Len() > 0 {
			t.Errorf("%+v, %v", r, err)
		}
	}
	fails = false
	second := s.good("the first token, once more", first.Token)
	fails = true
	if err := s.Revoke(t.Context(), second.Token, "other"); !errors.Is(err, errDown) {
		t.Error(err)
	}
}

// The observer is told whose token it was, as far as it has shown that it
// belongs to somebody, and what the client is told.
func TestRefreshEvents(t *testing.T) {
	s := newServer(t, func(c *refresh.Config) {
		c.NoGrace = true
		c.Revocations, c.Issuer = newList(t, revocation.NewMemory(0)), issuerURL
	})
	first := s.begin()
	for _, step := range []struct {
		what     string
		token    gatehouse.Secret
		decision gatehouse.Decision
		status   int
		code     gatehouse.Code
		known    bool
	}{
		{"good", first.Token, gatehouse.Allowed, 0, "", true},
		{"unknown", changed(first.Token, ofKey), gatehouse.Refused, 400, "invalid_grant", false},
		{"malformed", gatehouse.NewSecret(nil), gatehouse.Refused, 400, "invalid_grant", false},
		{"reused", first.Token, gatehouse.Refused, 400, "invalid_grant", true},
		{"over", first.Token, gatehouse.Refused, 400, "invalid_grant", true},
	} {
		_, _ = s.present(step.token)
		if len(s.events) != 1 {
			t.Fatalf("%s: %d events", step.what, len(s.events))
		}
		e := s.events[0]
		s.told()
		want := gatehouse.Event{Decision: step.decision, Status: step.status, Code: step.code, Reason: e.Reason, Issuer: issuerURL, Duration: e.Duration}
		if step.known {
			want.Credential = first.Family.ID
			want.Principal = gatehouse.Principal{
				Kind: gatehouse.KindUser, Subject: "alice", Issuer: issuerURL, Tenant: "acme", Client: "web", Credential: first.Family.ID,
				Scopes: first.Scopes, AuthTime: first.Family.AuthTime, Expires: first.Family.Expires,
			}
		}
		if ended := step.what == "reused"; ended != (e.Cause != nil && strings.Contains(e.Cause.Error(), "the family has ended")) {
			t.Errorf("%s: cause %v", step.what, e.Cause)
		}
		e.Cause = nil
		if fmt.Sprintf("%+v", e) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: told\n%+v, want\n%+v", step.what, e, want)
		}
	}
	r := s.begin()
	_, _ = s.Rotate(t.Context(), refresh.Request{Token: r.Token, Client: "web", Scope: "admin"})
	if e := s.events[0]; e.Code != "invalid_scope" || e.Status != 400 || e.Decision != gatehouse.Refused {
		t.Errorf("told %+v", e)
	}
}

// Nothing that is stored, told or returned has a secret in it that it should not
// have.
func TestRefreshSecrets(t *testing.T) {
	s := newServer(t)
	first := s.begin()
	second := s.good("the first token", first.Token)
	third := s.good("the second token", second.Token)
	var all strings.Builder
	dump := func(values ...any) {
		for _, v := range values {
			fmt.Fprintf(&all, "%v %+v %#v %s %q %x\n", v, v, v, v, v, v)
		}
	}
	dump(first, second, third, s.RefreshTokens)
	dump(must(s.store.Find(t.Context(), first.Family.ID)))
	for _, token := range []gatehouse.Secret{changed(third.Token, ofKey), second.Token, first.Token, third.Token} {
		_, err := s.present(token)
		dump(err)
	}
	_, err := s.Rotate(t.Context(), refresh.Request{Token: third.Token, Client: "other", Scope: "x"})
	dump(err, s.Revoke(t.Context(), third.Token, "other"))
	dump(must(s.store.Find(t.Context(), first.Family.ID)))
	for _, e := range s.events {
		dump(e)
		if e.Credential != "" && e.Credential != first.Family.ID {
			t.Errorf("credential %q", e.Credential)
		}
	}
	if len(s.events) < 5 {
		t.Errorf("%d events", len(s.events))
	}
	for _, r := range []refresh.Issued{first, second, third} {
		for i, text := range spellings(r.Token) {
			if strings.Contains(all.String(), text) {
				t.Errorf("a secret is told, in spelling %d", i)
			}
		}
	}
	if !strings.Contains(all.String(), first.Family.ID) {
		t.Error("the public id is not there, so this shows nothing")
	}
}
