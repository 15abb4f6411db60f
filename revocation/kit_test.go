// SPDX-License-Identifier: Apache-2.0

package revocation_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/revocation"
)

const (
	week     = 7 * 24 * time.Hour
	issuer   = "https://auth.example.com"
	audience = "https://api.example.com"
)

var key = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })

func newList(store revocation.Store) *revocation.List {
	return must(revocation.New(revocation.Config{Store: store}))
}

// verifier verifies access tokens with a revocation list.
type verifier struct {
	*jwtauth.Authenticator
	t testing.TB
}

func config(list *revocation.List) jwtauth.Config {
	return jwtauth.Config{Revocations: list, Issuers: []jwtauth.Issuer{{
		URL: issuer, Audience: audience, Algorithms: []jwtauth.Algorithm{jwtauth.ES256},
		Keys: jwtauth.StaticKeys(jwtauth.Key{ID: "k1", Algorithm: jwtauth.ES256, Public: &key().PublicKey}),
	}}}
}

func newVerifier(t testing.TB, list *revocation.List, change ...func(*jwtauth.Config)) verifier {
	t.Helper()
	c := config(list)
	for _, f := range change {
		f(&c)
	}
	a := must(jwtauth.New(c))
	t.Cleanup(func() { _ = a.Close() })
	return verifier{a, t}
}

// reason verifies a token and returns why it is rejected, "" if it is accepted.
func (v verifier) reason(token string) gatehouse.Reason {
	v.t.Helper()
	_, err := v.Verify(v.t.Context(), token)
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok {
		v.t.Fatalf("Verify error = %v, want a *gatehouse.Error", err)
	}
	return e.Reason
}

func (v verifier) check(what, token string, want gatehouse.Reason) {
	v.t.Helper()
	if got := v.reason(token); got != want {
		v.t.Errorf("Verify(%s) reason = %q, want %q", what, got, want)
	}
}

type claims = jwt.MapClaims

// mint signs a token that is valid for 5 minutes, with changed claims; nil removes
// a claim.
func mint(changes claims) string {
	now := time.Now().Unix()
	c := claims{
		"iss": issuer, "aud": audience, "sub": "alice", "client_id": "web", "jti": "token-1", "iat": now, "exp": now + 300,
	}
	for name, value := range changes {
		if c[name] = value; value == nil {
			delete(c, name)
		}
	}
	token := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	token.Header["kid"], token.Header["typ"] = "k1", "at+jwt"
	return must(token.SignedString(key()))
}

// stub is a store that records lifetimes and returns fixed results.
type stub struct {
	lifetimes []time.Duration
	times     []time.Time
	err       error
}

func (s *stub) Revoke(_ context.Context, _ revocation.Target, lifetime time.Duration) error {
	s.lifetimes = append(s.lifetimes, lifetime)
	return s.err
}

func (s *stub) Find(context.Context, []revocation.Target) ([]time.Time, error) { return s.times, s.err }

// pass lets the fake clock of a synctest bubble advance.
func pass(d time.Duration) { <-time.After(d) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
