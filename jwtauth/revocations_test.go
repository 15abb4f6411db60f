// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// revocations is a [jwtauth.Revocations] that answers from a table.
type revocations struct {
	mu      sync.Mutex
	asked   []jwtauth.Token
	answers map[string]error // by jti; nil means revoked

	maxLifetime time.Duration // an hour if zero
	before      func()        // called by Revoked
}

func (r *revocations) MaxLifetime() time.Duration { return cmp.Or(r.maxLifetime, time.Hour) }

func (r *revocations) Revoked(_ context.Context, t jwtauth.Token) (bool, error) {
	if r.before != nil {
		r.before()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, t)
	err, ok := r.answers[t.ID]
	return ok && err == nil, err
}

// Every valid token is checked, cached or not, and no other token.
func TestRevocations(t *testing.T) {
	errDown := errors.New("down")
	r := &revocations{answers: map[string]error{"revoked": nil, "unknown": errDown}}
	a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations = r }))
	for id, want := range map[string]gatehouse.Reason{"valid": "", "revoked": jwtauth.ReasonRevoked, "unknown": jwtauth.ReasonRevocationsUnavailable} {
		token := token(nil, object{"jti": id})
		check(t, a, id, token, want)
		check(t, a, id+", cached", token, want)
	}
	check(t, a, "other audience", token(nil, object{"aud": "x"}), jwtauth.ReasonAudience)
	equal(t, "calls of Revoked", len(r.asked), 6)
	_, err := a.Verify(t.Context(), token(nil, object{"jti": "revoked", "sid": "f1"}))
	const cause = `revoked token of subject "alice", client "web", family "f1"`
	if e := rejected(t, err); e.Credential != "revoked" || e.Issuer != issuerURL || e.Cause.Error() != cause {
		t.Errorf("error with credential %q, issuer %q and cause %v, want revoked, %q and %s", e.Credential, e.Issuer, e.Cause, issuerURL, cause)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, ctx := range []context.Context{t.Context(), canceled} {
		if _, err = a.Verify(ctx, token(nil, object{"jti": "unknown"})); !errors.Is(err, errDown) {
			t.Errorf("Verify with the error %v of its context = %v, want %v", ctx.Err(), err, errDown)
		}
	}

	later := token(nil, object{"jti": "later"})
	check(t, a, "before the revocation", later, "")
	r.answers["later"] = nil
	check(t, a, "after the revocation, cached", later, jwtauth.ReasonRevoked)
}

// A token is cached before the check of revocations, so that while that check fails, the
// signature of a token is verified once.
func TestTokenIsCachedBeforeRevocations(t *testing.T) {
	r := &revocations{answers: map[string]error{"x": context.DeadlineExceeded}}
	a, text := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations = r })), token(nil, object{"jti": "x"})
	for range 3 {
		check(t, a, "unavailable", text, jwtauth.ReasonRevocationsUnavailable)
	}
	equal(t, "Stats", a.Stats(), jwtauth.Stats{CacheHits: 2, CacheMisses: 1})
}

// A token is revoked by its claims, whatever Issuer.Principal makes of them.
func TestRevocationsToken(t *testing.T) {
	now := time.Now().Unix()
	for name, test := range map[string]struct {
		claims object
		want   jwtauth.Token
	}{
		"all claims":           {object{"iat": now, "nbf": now + 10, "sid": "f1"}, jwtauth.Token{Issuer: issuerURL, ID: "token-1", Subject: "alice", Client: "web", Family: "f1", IssuedAt: time.Unix(now, 0)}},
		"fraction of a second": {object{"iat": float64(now) + 0.5}, jwtauth.Token{Issuer: issuerURL, ID: "token-1", Subject: "alice", Client: "web", IssuedAt: time.Unix(now, 0)}},
		"azp instead of client_id, no iat, no jti": {object{"iat": nil, "jti": nil, "client_id": nil, "azp": "spa"}, jwtauth.Token{Issuer: issuerURL, Subject: "alice", Client: "spa"}},
	} {
		r := &revocations{}
		a := newAuthenticator(t, config(func(c *jwtauth.Config) {
			c.Revocations, c.Issuers[0].Profile = r, jwtauth.Compatible
			c.Issuers[0].Principal = func(_ gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
				p.Subject, p.Client = "mail:"+p.Subject, "app:"+p.Client
				return p, nil
			}
		}))
		check(t, a, name, token(nil, test.claims), "")
		equal(t, name+": tokens of Revoked", r.asked, []jwtauth.Token{test.want})
	}
}

// No token outlives the revocations that are kept for it.
func TestRevocationsMaxLifetime(t *testing.T) {
	with := func(lifetime time.Duration) jwtauth.Config {
		return config(func(c *jwtauth.Config) { c.Revocations, c.Issuers[0].MaxLifetime = &revocations{}, lifetime })
	}
	for lifetime, ok := range map[time.Duration]bool{0: true, time.Hour: true, time.Hour + 1: false} {
		if _, err := jwtauth.New(with(lifetime)); (err == nil) != ok {
			t.Errorf("New with MaxLifetime %v and revocations for 1h = %v, want accepted: %v", lifetime, err, ok)
		}
	}
	a, now := newAuthenticator(t, with(0)), time.Now().Unix()
	check(t, a, "1h", token(nil, object{"iat": now, "exp": now + 3600}), "")
	check(t, a, "1h 1s", token(nil, object{"iat": now, "exp": now + 3601}), jwtauth.ReasonLifetime)
}

// A stream ends with its token: when it is revoked, and when it would no longer be
// accepted, which is at its expiry and the clock skew.
func TestStreamEndsWithToken(t *testing.T) {
	const skew = 30 * time.Second
	for name, test := range map[string]struct {
		lifetime, revoked, after, most time.Duration
	}{
		"revoked":                    {30 * time.Minute, 20 * time.Second, 20 * time.Second, 35 * time.Second},
		"expired":                    {20 * time.Second, 0, 20*time.Second + skew - 1, 20*time.Second + skew},
		"expired before it was used": {-10 * time.Second, 0, skew - 10*time.Second - 1, skew - 10*time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := &revocations{answers: make(map[string]error)}
			a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations, c.Skew = r, skew }))
			gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{a}, Realm: "test"}))
			start := time.Now()
			if test.revoked > 0 {
				time.AfterFunc(test.revoked, func() {
					r.mu.Lock()
					defer r.mu.Unlock()
					r.answers["stream"] = nil
				})
			}
			request := get(token(nil, object{"jti": "stream", "iat": start.Add(-time.Minute).Unix(), "exp": start.Add(test.lifetime).Unix()}))
			served := false
			gate.Handler(gatehouse.EndAtExpiry(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				served = true
				<-r.Context().Done()
			}))).ServeHTTP(httptest.NewRecorder(), request)
			if got := time.Since(start); !served || got <= test.after || got > test.most {
				t.Errorf("%s: served %v, context ended after %v, want more than %v, at most %v", name, served, got, test.after, test.most)
			}
		})
	}
}
