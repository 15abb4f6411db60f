// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func signingKey(id string, a jwtauth.Algorithm) jwtauth.SigningKey {
	return jwtauth.SigningKey{ID: id, Algorithm: a, Private: keyFor(a).private.(crypto.Signer)}
}

func newRing(t testing.TB, keys ...jwtauth.SigningKey) *jwtauth.KeyRing {
	t.Helper()
	r, err := jwtauth.NewKeyRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newSigner(t testing.TB, c jwtauth.SignerConfig) *jwtauth.Signer {
	t.Helper()
	s, err := jwtauth.NewSigner(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func goodToken() jwtauth.AccessToken {
	return jwtauth.AccessToken{Subject: "alice", Audience: audience, Client: "web"}
}

// What is issued is accepted, says what it was to say, and is read the same by
// another library.
func TestSignerInterop(t *testing.T) {
	for _, a := range all(false).Issuers[0].Algorithms {
		t.Run(string(a), func(t *testing.T) {
			ring := newRing(t, signingKey("k1", a))
			s := newSigner(t, jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring})
			scopes, _ := gatehouse.ParseScopes("a b")
			roles, _ := gatehouse.NewRoles("admin", "Global Reader")
			signed, err := s.Sign(jwtauth.AccessToken{
				Subject: "alice", Audience: audience, Client: "web", Scopes: scopes, Tenant: "acme", Roles: roles, AuthTime: time.Unix(1000, 0),
				Actors: gatehouse.NewActors(gatehouse.Actor{Subject: "agent", Client: "c"}, gatehouse.Actor{Subject: "older", Issuer: "https://i.example.com"}),
				Claims: map[string]any{"plan": "gold", "limits": map[string]any{"daily": 5}},
			})
			if err != nil {
				t.Fatal(err)
			}
			own := newAuthenticator(t, config(func(c *jwtauth.Config) {
				c.Issuers[0].Algorithms, c.Issuers[0].Keys = []jwtauth.Algorithm{a}, ring
			}))
			published := &keyServer{serve: ring.ServeHTTP}
			remote := newAuthenticator(t, remoteConfig(published))
			for _, verifier := range []*jwtauth.Authenticator{own, remote} {
				p, err := verifier.Verify(t.Context(), string(signed.Token.Reveal()))
				if err != nil {
					t.Fatal(err)
				}
				if p.Subject != "alice" || p.Tenant != "acme" || p.Client != "web" || p.Scopes != scopes || p.Roles != roles ||
					p.Credential != signed.ID || !p.Expires.Equal(signed.Expires) || p.AuthTime.Unix() != 1000 || p.Actors.Len() != 2 {
					t.Errorf("got %+v", p)
				}
				if current, _ := p.Actors.Current(); current != (gatehouse.Actor{Subject: "agent", Client: "c"}) {
					t.Errorf("got actor %+v", current)
				}
				if !strings.Contains(p.Claims.String(), `"limits":{"daily":5}`) {
					t.Errorf("got claims %s", p.Claims)
				}
			}
			if text := fmt.Sprintf("%v %+v", signed, s); strings.Contains(text, string(signed.Token.Reveal())[:8]) {
				t.Error("the token prints itself")
			}
		})
	}
}

func TestSignerWithSecret(t *testing.T) {
	s := newSigner(t, jwtauth.SignerConfig{Issuer: issuerURL, Secret: gatehouse.NewSecret(secret)})
	signed, err := s.Sign(goodToken())
	if err != nil {
		t.Fatal(err)
	}
	if got := reason(t, newAuthenticator(t, all(true)), string(signed.Token.Reveal())); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestSignerRefusesConfig(t *testing.T) {
	ring := newRing(t, signingKey("k1", jwtauth.ES256))
	good := jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring}
	for want, change := range map[string]func(*jwtauth.SignerConfig){
		"SignerConfig.Issuer: required":          func(c *jwtauth.SignerConfig) { c.Issuer = "" },
		"SignerConfig.Issuer: plain http":        func(c *jwtauth.SignerConfig) { c.Issuer = "http://auth.example.com" },
		"SignerConfig.Keys: required":            func(c *jwtauth.SignerConfig) { c.Keys = nil },
		"both Keys and Secret":                   func(c *jwtauth.SignerConfig) { c.Secret = gatehouse.NewSecret(secret) },
		"HS256 needs at least 32":                func(c *jwtauth.SignerConfig) { c.Keys, c.Secret = nil, gatehouse.NewSecret(secret[:31]) },
		"Lifetime: got 15m0.000000001s, want 1s": func(c *jwtauth.SignerConfig) { c.Lifetime = 15*time.Minute + 1 },
		"Lifetime: got 999.999999ms, want 1s":    func(c *jwtauth.SignerConfig) { c.Lifetime = time.Second - 1 },
		"Lifetime: got -1ns, want 1s to 15m0s.":  func(c *jwtauth.SignerConfig) { c.Lifetime = -1 },
	} {
		c := good
		change(&c)
		if s, err := jwtauth.NewSigner(c); err == nil || s != nil || !strings.Contains(err.Error()+".", want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestSignRefuses(t *testing.T) {
	s := newSigner(t, jwtauth.SignerConfig{Issuer: issuerURL, Keys: newRing(t, signingKey("k1", jwtauth.ES256)), Lifetime: 5 * time.Minute})
	claim := func(name string, value any) func(*jwtauth.AccessToken) {
		return func(a *jwtauth.AccessToken) { a.Claims = map[string]any{name: value} }
	}
	deep := make([]gatehouse.Actor, 5)
	for name, change := range map[string]func(*jwtauth.AccessToken){
		"no subject":        func(a *jwtauth.AccessToken) { a.Subject = "" },
		"subject breaks":    func(a *jwtauth.AccessToken) { a.Subject = "a\nb" },
		"no audience":       func(a *jwtauth.AccessToken) { a.Audience = "" },
		"no client":         func(a *jwtauth.AccessToken) { a.Client = "" },
		"tenant breaks":     func(a *jwtauth.AccessToken) { a.Tenant = "a\x00" },
		"too long":          func(a *jwtauth.AccessToken) { a.Lifetime = 5*time.Minute + 1 },
		"too short":         func(a *jwtauth.AccessToken) { a.Lifetime = time.Millisecond },
		"negative":          func(a *jwtauth.AccessToken) { a.Lifetime = -time.Minute },
		"too many actors":   func(a *jwtauth.AccessToken) { a.Actors = gatehouse.NewActors(deep...) },
		"too large":         claim("big", strings.Repeat("x", 8<<10)),
		"iss":               claim("iss", "x"),
		"EXP":               claim("EXP", 1),
		"cnf":               claim("cnf", "x"),
		"empty name":        claim("", "x"),
		"password":          claim("password", "x"),
		"userPassword":      claim("userPassword", "x"),
		"client_secret":     claim("client_secret", "x"),
		"refresh_token":     claim("refresh_token", "x"),
		"a JWT":             claim("note", "eyJhbGciOiJub25lIn0.e30."),
		"a private key":     claim("note", "-----BEGIN PRIVATE KEY-----"),
		"a provider's key":  claim("note", "sk-live-0123456789"),
		"a Secret":          claim("note", gatehouse.NewSecret(secret)),
		"nested name":       claim("note", map[string]any{"deep": []any{map[string]any{"api_key": "x"}}}),
		"nested value":      claim("note", []any{map[string]any{"deep": "Bearer x"}}),
		"nested known name": claim("note", map[string]any{"sub": []any{"eyJx"}}),
		"not JSON":          claim("note", make(chan int)),
	} {
		token := goodToken()
		change(&token)
		if signed, err := s.Sign(token); err == nil || signed.ID != "" {
			t.Errorf("%s: signed", name)
		}
	}
	token := goodToken()
	token.Lifetime = time.Minute
	token.Claims = map[string]any{"note": map[string]any{"sub": "fine"}}
	if signed, err := s.Sign(token); err != nil || time.Until(signed.Expires) > time.Minute {
		t.Errorf("got %v, %v", signed.Expires, err)
	}
}

func TestKeyRingRefuses(t *testing.T) {
	good := signingKey("k1", jwtauth.ES256)
	with := func(change func(*jwtauth.SigningKey)) jwtauth.SigningKey {
		k := good
		change(&k)
		return k
	}
	for want, keys := range map[string][]jwtauth.SigningKey{
		"no key signs now":                nil,
		"SigningKey: no key signs now":    {with(func(k *jwtauth.SigningKey) { k.From = time.Now().Add(time.Hour) })},
		"SigningKey[0].ID: must be":       {with(func(k *jwtauth.SigningKey) { k.ID = "a\n" })},
		"ID: must be printable":           {with(func(k *jwtauth.SigningKey) { k.ID = strings.Repeat("k", 257) })},
		"SigningKey[1].ID: duplicate":     {good, good},
		"SigningKey[0].Private: required": {with(func(k *jwtauth.SigningKey) { k.Private = nil })},
		`Algorithm: "HS256"`:              {with(func(k *jwtauth.SigningKey) { k.Algorithm = jwtauth.HS256 })},
		`Algorithm: ""`:                   {with(func(k *jwtauth.SigningKey) { k.Algorithm = "" })},
		"none of the configured":          {with(func(k *jwtauth.SigningKey) { k.Algorithm = jwtauth.ES384 })},
		"Private: is not 32 bytes": {with(func(k *jwtauth.SigningKey) {
			k.Algorithm, k.Private = jwtauth.EdDSA, ed25519.PrivateKey("short")
		})},
		"not a point on an accepted curve": {with(func(k *jwtauth.SigningKey) {
			k.Private = must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
		})},
		"Private: is a jwtauth_test.oddSigner": {with(func(k *jwtauth.SigningKey) { k.Private = oddSigner{} })},
	} {
		ring := newRing(t, good)
		if err := ring.Replace(keys...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if _, err := jwtauth.NewKeyRing(keys...); err == nil {
			t.Errorf("%s: a ring was made", want)
		}
		if _, err := newSigner(t, jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring}).Sign(goodToken()); err != nil {
			t.Errorf("%s: the ring has suffered: %v", want, err)
		}
	}
	for want, keys := range map[string]jwtauth.Keys{"the KeyRing is nil": (*jwtauth.KeyRing)(nil), "HS256 needs a SharedSecret": newRing(t, good)} {
		_, err := jwtauth.New(config(func(c *jwtauth.Config) {
			c.Issuers[0].Keys = keys
			c.Issuers[0].Algorithms = append(c.Issuers[0].Algorithms, jwtauth.HS256)
		}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

type oddSigner struct{ crypto.Signer }

// A key is published before it signs, and stays so while its tokens live: with
// a verifier that fetches the set now and then, no request fails.
func TestRotationWithoutFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := signingKey("k1", jwtauth.ES256), signingKey("k2", jwtauth.EdDSA)
		ring := newRing(t, first)
		s := newSigner(t, jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring})
		remote := newAuthenticator(t, remoteConfig(&keyServer{serve: ring.ServeHTTP}))
		own := newAuthenticator(t, config(func(c *jwtauth.Config) {
			c.Issuers[0].Keys = ring
			c.Issuers[0].Algorithms = []jwtauth.Algorithm{jwtauth.ES256, jwtauth.EdDSA}
		}))
		var live []jwtauth.Signed
		start := time.Now()
		for minute := range 60 {
			switch minute {
			case 10:
				second.From = time.Now().Add(10 * time.Minute)
				if err := ring.Replace(first, second); err != nil {
					t.Fatal(err)
				}
			case 40: // the last token of the first key has expired
				if err := ring.Replace(second); err != nil {
					t.Fatal(err)
				}
			}
			signed, err := s.Sign(goodToken())
			if err != nil {
				t.Fatal(err)
			}
			head, _, _ := strings.Cut(string(signed.Token.Reveal()), ".")
			if want := encode(`{"alg":"EdDSA","kid":"k2","typ":"at+jwt"}`); (head == want) != (minute >= 20) {
				t.Errorf("minute %d: header %s", minute, head)
			}
			live = append(live, signed)
			for _, signed := range live {
				if !time.Now().Before(signed.Expires) {
					continue
				}
				for _, verifier := range []*jwtauth.Authenticator{remote, own} {
					if got := reason(t, verifier, string(signed.Token.Reveal())); got != "" {
						t.Fatalf("minute %d, token of %v: %s", minute, signed.Expires.Sub(start), got)
					}
				}
			}
			time.Sleep(time.Minute)
			synctest.Wait()
		}
	})
}

// A key that is taken out of a ring verifies nothing in this process from then
// on, and a ring without a key for the algorithms is an outage.
func TestRingKeysFollow(t *testing.T) {
	ring := newRing(t, signingKey("k1", jwtauth.ES256))
	signed, err := newSigner(t, jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring}).Sign(goodToken())
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthenticator(t, config(func(c *jwtauth.Config) {
		c.Issuers[0].Keys = ring
		c.Issuers[0].Algorithms = []jwtauth.Algorithm{jwtauth.ES256, jwtauth.ES384}
	}))
	for _, step := range []struct {
		key  jwtauth.SigningKey
		want gatehouse.Reason
	}{
		{signingKey("k1", jwtauth.ES256), ""},
		{signingKey("k2", jwtauth.ES384), jwtauth.ReasonKey},
		{signingKey("k3", jwtauth.EdDSA), jwtauth.ReasonKeysUnavailable},
	} {
		if err := ring.Replace(step.key); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := reason(t, a, string(signed.Token.Reveal())); got != step.want {
				t.Errorf("%s: got %q", step.key.ID, got)
			}
		}
	}
	if err := a.Ready(context.Background()); err == nil {
		t.Error("ready without keys")
	}
}

func TestKeyRingHandler(t *testing.T) {
	ring := newRing(t, signingKey("k1", jwtauth.ES256), signingKey("k2", jwtauth.RS256), signingKey("k3", jwtauth.EdDSA))
	serve := func(method string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		ring.ServeHTTP(w, httptest.NewRequest(method, "/jwks.json", http.NoBody))
		return w
	}
	w := serve(http.MethodGet)
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil || len(set.Keys) != 3 {
		t.Fatalf("got %s, %v", w.Body, err)
	}
	for _, k := range set.Keys {
		for name := range k {
			if strings.Contains(" d p q dp dq qi k oth ", " "+name+" ") {
				t.Errorf("%s is published", name)
			}
		}
		if k["use"] != "sig" || k["kid"] == "" || k["alg"] == "" {
			t.Errorf("got %v", k)
		}
	}
	if got := w.Header().Get("Content-Type"); got != "application/jwk-set+json" {
		t.Errorf("got %s", got)
	}
	if w := serve(http.MethodHead); w.Code != http.StatusOK || w.Body.Len() != 0 {
		t.Errorf("HEAD: %d, %d bytes", w.Code, w.Body.Len())
	}
	if w := serve(http.MethodPost); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d", w.Code)
	}
}

// A key without an ID is called by its thumbprint, in what it signs and in what
// is published.
func TestThumbprintAsID(t *testing.T) {
	for _, algorithm := range []jwtauth.Algorithm{jwtauth.ES256, jwtauth.EdDSA, jwtauth.RS256} {
		key := signingKey("", algorithm)
		ring, err := jwtauth.NewKeyRing(key)
		if err != nil {
			t.Fatal(err)
		}
		want, err := jwtauth.Thumbprint(key.Private.Public())
		if err != nil || len(want) != 43 {
			t.Fatal(want, err)
		}
		w := httptest.NewRecorder()
		ring.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		if !strings.Contains(w.Body.String(), `"kid":"`+want+`"`) {
			t.Errorf("%s: published as %s, want kid %s", algorithm, w.Body, want)
		}
		if _, err := jwtauth.NewKeyRing(key, key); err == nil || !strings.Contains(err.Error(), "SigningKey[1].ID: duplicate") {
			t.Errorf("the same key twice: %v", err)
		}
	}
}
