// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// A request that ends during the check of revocations is not accepted.
func TestRevocationsOfCanceledRequest(t *testing.T) {
	r := &revocations{answers: map[string]error{"x": context.Canceled}}
	a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations = r }))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p, err := a.Verify(ctx, token(nil, object{"jti": "x"}))
	if err == nil || rejected(t, err).Reason != jwtauth.ReasonRevocationsUnavailable {
		t.Errorf("Verify() = %v, %v, want %s", p, err, jwtauth.ReasonRevocationsUnavailable)
	}
}

// A token is cached before the check of revocations, so that while that check fails, the
// signature of a token is verified once.
func TestTokenIsCachedBeforeRevocations(t *testing.T) {
	r := &revocations{answers: map[string]error{"x": context.DeadlineExceeded}}
	a := newAuthenticator(t, config(func(c *jwtauth.Config) { c.Revocations = r }))
	for range 3 {
		check(t, a, "unavailable", token(nil, object{"jti": "x", "iat": 1, "exp": 1}), jwtauth.ReasonExpired)
	}
	text := token(nil, object{"jti": "x"})
	for range 3 {
		check(t, a, "unavailable", text, jwtauth.ReasonRevocationsUnavailable)
	}
	if got, want := a.Stats(), (jwtauth.Stats{CacheHits: 2, CacheMisses: 1}); got.CacheHits != want.CacheHits || got.CacheMisses != want.CacheMisses {
		t.Errorf("Stats() = %+v, want %+v", got, want)
	}
}

// The last key set is used for MaxStale, and not for a nanosecond more.
func TestMaxStaleIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &keyServer{serve: goodSet()}
		a := newAuthenticator(t, remoteConfig(s))
		check(t, a, "first", token(nil, nil), "")
		s.set(down)
		time.Sleep(24 * time.Hour)
		check(t, a, "after 24 h", token(nil, nil), "")
		time.Sleep(time.Nanosecond)
		check(t, a, "after 24 h and 1 ns", token(nil, nil), jwtauth.ReasonKeysUnavailable)
	})
}

// StaticKeys copies its arguments.
func TestStaticKeysAreCopied(t *testing.T) {
	keys := []jwtauth.Key{{ID: "k1", Algorithm: jwtauth.ES256, Public: keyFor(jwtauth.ES256).public}}
	source := jwtauth.StaticKeys(keys...)
	keys[0] = jwtauth.Key{ID: "k1", Algorithm: jwtauth.RS256, Public: keyFor(jwtauth.RS256).public}
	a := newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) { i.Keys = source }))
	check(t, a, "key of the call", token(nil, nil), "")
}

// The error of a confirmer, which all its requests share, is not changed.
func TestErrorOfConfirmerIsNotChanged(t *testing.T) {
	calls := 0
	h := serve(newAuthenticator(t, config(func(c *jwtauth.Config) {
		c.Confirmers = []gatehouse.Confirmer{toyConfirmer{"Toy", "toy", &calls}}
	})))
	r := get("")
	r.Header.Set("Authorization", "Toy "+token(nil, object{"cnf": object{"toy": "k"}}))
	r.Header.Set("Toy", "x")
	equal(t, "status", status(h, r), 401)
	if calls != 1 || errToy.Issuer != "" || errToy.Credential != "" {
		t.Errorf("after %d calls the error of the confirmer is %+v, want it unchanged", calls, errToy)
	}
}
