// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// A signed token is accepted with its claims, by the keyring and by a verifier
// that fetches its key set.
func TestSignedTokenIsAccepted(t *testing.T) {
	for _, alg := range asymmetric {
		ring := newRing(signingKey("k1", alg))
		s := newSigner(jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring})
		claims := jwtauth.AccessToken{
			Subject: "alice", Audience: audience, Client: "web", Tenant: "acme", AuthTime: time.Unix(1000, 0), Family: "f1",
			Scopes: must(gatehouse.ParseScopes("a b")), Roles: must(gatehouse.NewRoles("admin", "Global Reader")),
			Actors: gatehouse.NewActors(gatehouse.Actor{Subject: "agent", Client: "c"}, gatehouse.Actor{Subject: "older", Issuer: "https://i.example.com"}),
			Claims: map[string]any{"plan": "gold", "limits": map[string]any{"daily": 5}},
		}
		signed := must(s.Sign(claims))
		for name, a := range map[string]*jwtauth.Authenticator{
			"keyring": newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) { i.Algorithms, i.Keys = []jwtauth.Algorithm{alg}, ring })),
			"remote":  newAuthenticator(t, remoteConfig(&keyServer{serve: ring.ServeHTTP})),
		} {
			p, err := a.Verify(t.Context(), string(signed.Token.Reveal()))
			var extra struct {
				Family string         `json:"sid"`
				Issued int64          `json:"iat"`
				Plan   string         `json:"plan"`
				Limits map[string]int `json:"limits"`
			}
			if err != nil || p.Claims.Decode(&extra) != nil || extra.Family != "f1" || extra.Plan != "gold" || extra.Limits["daily"] != 5 || extra.Issued > time.Now().Unix() {
				t.Errorf("%s, %s: Verify = %v with claims %+v, want the claims that were signed", alg, name, err, extra)
			}
			want := gatehouse.Principal{
				Kind: gatehouse.KindUser, Subject: "alice", Issuer: issuerURL, Tenant: "acme", Client: "web", Method: jwtauth.Method, Credential: signed.ID,
				Scopes: claims.Scopes, Roles: claims.Roles, Actors: claims.Actors, AuthTime: claims.AuthTime, Expires: signed.Expires, Claims: p.Claims,
			}
			equal(t, fmt.Sprintf("%s, %s: Verify", alg, name), p, want)
		}
		if text := fmt.Sprintf("%v %+v", signed, s); strings.Contains(text, string(signed.Token.Reveal())[:8]) {
			t.Errorf("%s: %%v prints the token", alg)
		}
	}
}

func TestSignerWithSecret(t *testing.T) {
	s := newSigner(jwtauth.SignerConfig{Issuer: issuerURL, Secret: gatehouse.NewSecret(secret)})
	signed := must(s.Sign(goodToken()))
	check(t, newAuthenticator(t, secretConfig(jwtauth.HS256)), "HS256", string(signed.Token.Reveal()), "")
	if again := must(s.Sign(goodToken())); again.ID == signed.ID || len(signed.ID) < 26 {
		t.Errorf("IDs of two tokens = %s, %s, want two of 128 random bits", signed.ID, again.ID)
	}
}

func TestNewSignerRejects(t *testing.T) {
	ring := newRing(signingKey("k1", jwtauth.ES256))
	for want, change := range map[string]func(*jwtauth.SignerConfig){
		"SignerConfig.Issuer: required":                   func(c *jwtauth.SignerConfig) { c.Issuer = "" },
		"SignerConfig.Issuer: plain http":                 func(c *jwtauth.SignerConfig) { c.Issuer = "http://auth.example.com" },
		"SignerConfig.Keys: required":                     func(c *jwtauth.SignerConfig) { c.Keys = nil },
		"Keys and Secret are both set":                    func(c *jwtauth.SignerConfig) { c.Secret = gatehouse.NewSecret(secret) },
		"HS256 requires at least 32":                      func(c *jwtauth.SignerConfig) { c.Keys, c.Secret = nil, gatehouse.NewSecret(secret[:31]) },
		"Lifetime: got 15m0.000000001s, want 1s to 15m0s": func(c *jwtauth.SignerConfig) { c.Lifetime = 15*time.Minute + 1 },
		"Lifetime: got 999.999999ms, want 1s to 15m0s":    func(c *jwtauth.SignerConfig) { c.Lifetime = time.Second - time.Nanosecond },
		"Lifetime: got -1ns, want 1s to 15m0s":            func(c *jwtauth.SignerConfig) { c.Lifetime = -1 },
	} {
		c := jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring}
		change(&c)
		if s, err := jwtauth.NewSigner(c); s != nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("NewSigner error = %v, want %q in it", err, want)
		}
	}
}

// Covers ASVS 5.0 §9.2.4.
func TestSignRejects(t *testing.T) {
	s := newSigner(jwtauth.SignerConfig{Issuer: issuerURL, Keys: newRing(signingKey("k1", jwtauth.ES256)), Lifetime: 5 * time.Minute})
	claim := func(name string, value any) func(*jwtauth.AccessToken) {
		return func(a *jwtauth.AccessToken) { a.Claims = map[string]any{name: value} }
	}
	members, confirmation := map[string]any{"bad": "Bearer x"}, map[string]string{"jkt": ""}
	for n := range 50 { // one of them is not the first
		members[strconv.Itoa(n)], confirmation[strconv.Itoa(n)] = "ok", "ok"
	}
	for name, change := range map[string]func(*jwtauth.AccessToken){
		"no subject":              func(a *jwtauth.AccessToken) { a.Subject = "" },
		"subject with line break": func(a *jwtauth.AccessToken) { a.Subject = "a\nb" },
		"no audience":             func(a *jwtauth.AccessToken) { a.Audience = "" },
		"no client":               func(a *jwtauth.AccessToken) { a.Client = "" },
		"tenant with NUL":         func(a *jwtauth.AccessToken) { a.Tenant = "a\x00" },
		"family with line break":  func(a *jwtauth.AccessToken) { a.Family = "a\nb" },
		"family too long":         func(a *jwtauth.AccessToken) { a.Family = strings.Repeat("x", 256) },
		"lifetime too long":       func(a *jwtauth.AccessToken) { a.Lifetime = 5*time.Minute + 1 },
		"lifetime too short":      func(a *jwtauth.AccessToken) { a.Lifetime = time.Millisecond },
		"negative lifetime":       func(a *jwtauth.AccessToken) { a.Lifetime = -time.Minute },
		"NotAfter now":            func(a *jwtauth.AccessToken) { a.NotAfter = time.Now() },
		"NotAfter in the past":    func(a *jwtauth.AccessToken) { a.NotAfter = time.Now().Add(-time.Minute) },
		"cnf without a name":      func(a *jwtauth.AccessToken) { a.Confirmation = map[string]string{"": "a"} },
		"cnf without a value":     func(a *jwtauth.AccessToken) { a.Confirmation = map[string]string{"jkt": ""} },
		"cnf, one of many":        func(a *jwtauth.AccessToken) { a.Confirmation = confirmation },
		"cnf with a line break":   func(a *jwtauth.AccessToken) { a.Confirmation = map[string]string{"jkt": "a\n"} },
		"too many actors":         func(a *jwtauth.AccessToken) { a.Actors = gatehouse.NewActors(make([]gatehouse.Actor, 5)...) },
		"too large":               claim("big", strings.Repeat("x", 8<<10)),
		"iss":                     claim("iss", "x"),
		"EXP":                     claim("EXP", 1),
		"cnf":                     claim("cnf", "x"),
		"sid":                     claim("sid", "f2"),
		"SID":                     claim("SID", "f2"),
		"empty name":              claim("", "x"),
		"password":                claim("password", "x"),
		"userPassword":            claim("userPassword", "x"),
		"client_secret":           claim("client_secret", "x"),
		"refresh_token":           claim("refresh_token", "x"),
		"password_hash":           claim("password_hash", "x"),
		"number out of range":     claim("note", json.Number("1e999")),
		"a JWT":                   claim("note", "eyJhbGciOiJub25lIn0.e30."),
		"a private key":           claim("note", "-----BEGIN PRIVATE KEY-----"),
		"an API key":              claim("note", "sk-live-0123456789"),
		"a Secret":                claim("note", gatehouse.NewSecret(secret)),
		"nested name":             claim("note", map[string]any{"deep": []any{map[string]any{"api_key": "x"}}}),
		"nested value":            claim("note", []any{map[string]any{"deep": "Bearer x"}}),
		"one of many members":     claim("note", members),
		"second element":          claim("note", []any{"a", "Bearer x"}),
		"nested known name":       claim("note", map[string]any{"sub": []any{"eyJx"}}),
		"not JSON":                claim("note", make(chan int)),
	} {
		token := goodToken()
		change(&token)
		if signed, err := s.Sign(token); err == nil || signed.ID != "" {
			t.Errorf("%s: Sign = %v, %v, want an error", name, signed, err)
		}
	}
	token := goodToken()
	token.Claims = map[string]any{"note": make(chan int)}
	if _, err := s.Sign(token); err == nil || !strings.Contains(err.Error(), "unsupported type: chan int") {
		t.Errorf("Sign with a channel = %v, want its type in the error", err)
	}
	token.Lifetime, token.Claims = time.Minute, map[string]any{"note": map[string]any{"sub": "ok"}, "help": "Send Bearer a token", "value": gatehouse.Secret{}.String() + "!"}
	if signed, err := s.Sign(token); err != nil || time.Until(signed.Expires) > time.Minute {
		t.Errorf("Sign with Lifetime 1m = expires in %v, %v, want at most 1m", time.Until(signed.Expires), err)
	}
}

// A token at the limits is signed, and one with few claims has no empty ones.
func TestSignAtTheLimits(t *testing.T) {
	s := newSigner(jwtauth.SignerConfig{Issuer: issuerURL, Keys: newRing(signingKey("k", jwtauth.ES256)), Lifetime: time.Second})
	token := goodToken()
	token.Lifetime, token.Actors = time.Second, gatehouse.NewActors(slices.Repeat([]gatehouse.Actor{{Subject: "a"}}, 4)...)
	token.Claims = map[string]any{"big": strings.Repeat("x", 5789)}
	equal(t, "bytes of the largest token", must(s.Sign(token)).Token.Len(), 8<<10)
	token = goodToken()
	token.Tenant = "acme"
	var claims map[string]any
	noError(t, json.Unmarshal(must(base64.RawURLEncoding.DecodeString(strings.Split(string(must(s.Sign(token)).Token.Reveal()), ".")[1])), &claims))
	equal(t, "claims", slices.Sorted(maps.Keys(claims)), strings.Fields("aud client_id exp iat iss jti sub tenant"))
}

func TestSignBindsAndLimits(t *testing.T) {
	s := newSigner(jwtauth.SignerConfig{Issuer: issuerURL, Keys: newRing(signingKey("k1", jwtauth.ES256)), Lifetime: 10 * time.Minute})
	token := goodToken()
	token.Confirmation = map[string]string{"jkt": "a", "x5t#S256": "b"}
	signed := must(s.Sign(token))
	var claims struct {
		Cnf map[string]string `json:"cnf"`
	}
	_, payload, _ := strings.Cut(string(signed.Token.Reveal()), ".")
	payload, _, _ = strings.Cut(payload, ".")
	if err := json.Unmarshal(must(base64.RawURLEncoding.DecodeString(payload)), &claims); err != nil || !maps.Equal(claims.Cnf, token.Confirmation) {
		t.Errorf("cnf = %v, %v, want %v", claims.Cnf, err, token.Confirmation)
	}
	now := time.Now()
	for notAfter, want := range map[time.Duration]time.Duration{time.Minute: time.Minute, time.Hour: 10*time.Minute + time.Second} {
		token.NotAfter = now.Add(notAfter)
		if got := must(s.Sign(token)).Expires; got.After(now.Add(want)) || got.Before(now.Add(want-5*time.Second)) {
			t.Errorf("Sign with NotAfter in %v: expires in %v, want at most %v", notAfter, got.Sub(now), want)
		}
	}
}
