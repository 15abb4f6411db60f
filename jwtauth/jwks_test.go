// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// ecJWK, rsaJWK and edJWK write public keys; more holds further members.
func ecJWK(kid string, p pair, more ...string) string {
	k := p.public.(*ecdsa.PublicKey)
	size := (k.Params().BitSize + 7) / 8
	return fmt.Sprintf(`{"kty":"EC","kid":%q,"crv":%q,"x":%q,"y":%q%s}`,
		kid, k.Params().Name, b64(k.X.FillBytes(make([]byte, size))), b64(k.Y.FillBytes(make([]byte, size))), strings.Join(more, ""))
}

func rsaJWK(kid string, k *rsa.PublicKey, more ...string) string {
	return fmt.Sprintf(`{"kty":"RSA","kid":%q,"n":%q,"e":%q%s}`,
		kid, b64(k.N.Bytes()), b64(big.NewInt(int64(k.E)).Bytes()), strings.Join(more, ""))
}

func edJWK(kid string, k ed25519.PublicKey, more ...string) string {
	return fmt.Sprintf(`{"kty":"OKP","kid":%q,"crv":"Ed25519","x":%q%s}`, kid, b64(k), strings.Join(more, ""))
}

// keyServer is a network with one server in it.
type keyServer struct {
	mu      sync.Mutex
	serve   http.HandlerFunc
	fetches int
}

func (s *keyServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	serve := s.serve
	s.fetches++
	s.mu.Unlock()
	return respond(serve, r)
}

func (s *keyServer) set(serve http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serve = serve
}

func (s *keyServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetches
}

func document(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(text)) }
}

func keySet(keys ...string) http.HandlerFunc {
	return document(`{"keys":[` + strings.Join(keys, ",") + `]}`)
}

// remoteConfig is config with the keys behind s, and every algorithm.
func remoteConfig(s *keyServer, change ...func(*jwtauth.Config)) jwtauth.Config {
	return config(append([]func(*jwtauth.Config){func(c *jwtauth.Config) {
		c.Transport = s
		c.Issuers[0].Keys = jwtauth.RemoteKeys(issuerURL + "/jwks.json")
		c.Issuers[0].Algorithms = []jwtauth.Algorithm{
			jwtauth.RS256, jwtauth.RS384, jwtauth.RS512, jwtauth.PS256, jwtauth.PS384, jwtauth.PS512,
			jwtauth.ES256, jwtauth.ES384, jwtauth.ES512, jwtauth.EdDSA,
		}
	}}, change...)...)
}

// Keys that must never verify anything are dropped, one by one, with a report,
// and the good key beside them works.
func TestOddKeysAreDropped(t *testing.T) {
	good := ecJWK("k1", keyFor(jwtauth.ES256))
	public := &rsaKey().PublicKey
	low := ed25519.PublicKey(append([]byte{1}, make([]byte, 31)...))
	for name, odd := range map[string]string{
		"symmetric":             `{"kty":"oct","kid":"odd","k":"` + b64(secret) + `"}`,
		"symmetric without k":   `{"kty":"oct","kid":"odd"}`,
		"private RSA":           rsaJWK("odd", public, `,"d":"AQAB"`),
		"private EC":            ecJWK("odd", keyFor(jwtauth.ES256), `,"d":"AQAB"`),
		"private Ed25519":       edJWK("odd", edKey().Public().(ed25519.PublicKey), `,"d":"AQAB"`),
		"RSA primes":            rsaJWK("odd", public, `,"p":"AQAB"`),
		"low order":             edJWK("odd", low),
		"1024 bits":             rsaJWK("odd", weakRSA(1024, 65537)),
		"e=1":                   rsaJWK("odd", weakRSA(2048, 1)),
		"e=2":                   rsaJWK("odd", weakRSA(2048, 2)),
		"e=2^64+65537":          strings.Replace(rsaJWK("odd", public), `"e":"AQAB"`, `"e":"AQAAAAAAAQAB"`, 1),
		"e=2^40+1":              strings.Replace(rsaJWK("odd", public), `"e":"AQAB"`, `"e":"AQAAAAAAAAAAAAAAAQ"`, 1),
		"for encryption":        rsaJWK("odd", public, `,"use":"enc"`),
		"other use":             rsaJWK("odd", public, `,"use":"tls"`),
		"key_ops sign":          rsaJWK("odd", public, `,"key_ops":["sign"]`),
		"key_ops empty":         rsaJWK("odd", public, `,"key_ops":[]`),
		"key_ops text":          rsaJWK("odd", public, `,"key_ops":"verify"`),
		"key_ops mixed":         rsaJWK("odd", public, `,"key_ops":["verify",1]`),
		"unknown kty":           `{"kty":"AKP","kid":"odd"}`,
		"no kty":                `{"kid":"odd"}`,
		"unknown curve":         `{"kty":"EC","kid":"odd","crv":"secp256k1","x":"AQ","y":"AQ"}`,
		"X25519":                `{"kty":"OKP","kid":"odd","crv":"X25519","x":"` + b64(secret[:32]) + `"}`,
		"Ed448":                 `{"kty":"OKP","kid":"odd","crv":"Ed448","x":"` + b64(secret[:57]) + `"}`,
		"off the curve":         `{"kty":"EC","kid":"odd","crv":"P-256","x":"AQ","y":"AQ"}`,
		"foreign alg":           rsaJWK("odd", public, `,"alg":"RSA-OAEP"`),
		"alg of another kind":   rsaJWK("odd", public, `,"alg":"ES256"`),
		"alg of another curve":  ecJWK("odd", keyFor(jwtauth.ES256), `,"alg":"ES384"`),
		"alg is a number":       rsaJWK("odd", public, `,"alg":1`),
		"kid is a number":       `{"kty":"EC","kid":1}`,
		"a member twice":        rsaJWK("odd", public, `,"kid":"other"`),
		"a member in two cases": rsaJWK("odd", public, `,"KID":"other"`),
		"not an object":         `[]`,
		"null":                  `null`,
		"not base64":            `{"kty":"OKP","kid":"odd","crv":"Ed25519","x":"***"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var problems []error
			s := &keyServer{serve: keySet(odd, good)}
			a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) {
				c.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
					mu.Lock()
					defer mu.Unlock()
					if e.Issuer != issuerURL || e.Type != jwtauth.EventKeyDropped || e.Level != slog.LevelWarn {
						t.Errorf("event %+v, want jwtauth_key_dropped of %s as a warning", e, issuerURL)
					}
					problems = append(problems, e.Cause)
					return nil
				})
			}))
			if got := reason(t, a, token(nil, nil)); got != "" {
				t.Errorf("the good key is spoiled: %s", got)
			}
			for _, alg := range []jwtauth.Algorithm{jwtauth.RS256, jwtauth.PS256, jwtauth.ES256, jwtauth.EdDSA} {
				k := keyFor(alg)
				if got := reason(t, a, k.sign(goodHeader(alg).with(object{"kid": "odd"}), goodClaims().with(nil))); got != jwtauth.ReasonKey {
					t.Errorf("%s: got %q", alg, got)
				}
			}
			_ = a.Close() // reports come before the fetch has ended
			mu.Lock()
			defer mu.Unlock()
			if len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), "key 0 ") {
				t.Errorf("reported %v", problems)
			}
			if name == "off the curve" && !strings.Contains(problems[0].Error(), "invalid attributes") {
				t.Errorf("reported %v", problems)
			}
		})
	}
}

// A set with none of the keys that may verify is like no set at all.
func TestNonsenseIsNotASet(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "null": "null", "array": "[]", "text": `"keys"`, "number": "1", "object": "{}",
		"keys null": `{"keys":null}`, "keys object": `{"keys":{}}`, "keys text": `{"keys":"x"}`, "no keys": `{"keys":[]}`,
		"folded": `{"KEYS":[` + ecJWK("k1", keyFor(jwtauth.ES256)) + `]}`,
		"cut":    `{"keys":[` + ecJWK("k1", keyFor(jwtauth.ES256)), "trailing": `{"keys":[` + ecJWK("k1", keyFor(jwtauth.ES256)) + `]}{}`,
		"HTML": "<!DOCTYPE html><title>Sign in</title>", "only odd": `{"keys":[{"kty":"oct","k":"AA"}]}`,
		"too many":  `{"keys":[` + ecJWK("k1", keyFor(jwtauth.ES256)) + strings.Repeat(`,{"kty":"oct"}`, 100) + `]}`,
		"too large": `{"keys":[` + strings.Repeat(" ", 512<<10) + ecJWK("k1", keyFor(jwtauth.ES256)) + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthenticator(t, remoteConfig(&keyServer{serve: document(text)}))
			_, err := a.Verify(t.Context(), token(nil, nil))
			want := "not a JWK Set"
			if name == "no keys" || name == "only odd" || name == "keys null" {
				want = "no verification key"
			}
			if name == "HTML" {
				want = `Content-Type "text/html"`
			}
			if name == "too large" {
				want = "more than 524288 bytes"
			}
			if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != jwtauth.ReasonKeysUnavailable || !strings.Contains(e.Cause.Error(), want) {
				t.Errorf("got %v, %v", err, errors.Unwrap(err))
			}
		})
	}
}

// The same kid may name keys of two kinds, and by mistake several of one kind.
func TestSameKid(t *testing.T) {
	es, other := keyFor(jwtauth.ES256), ed25519.NewKeyFromSeed(secret[32:64])
	foreign := func(n byte) string {
		return edJWK("k1", ed25519.NewKeyFromSeed(append([]byte{n}, secret[:31]...)).Public().(ed25519.PublicKey))
	}
	good := edJWK("k1", other.Public().(ed25519.PublicKey))
	sign := func(header object) string {
		return pair{jwtauth.EdDSA, other, nil}.sign(goodHeader(jwtauth.EdDSA).with(header), goodClaims().with(nil))
	}
	for _, test := range []struct {
		name string
		keys []string
		want gatehouse.Reason
	}{
		{"two kinds", []string{ecJWK("k1", es), rsaJWK("k1", &rsaKey().PublicKey), good}, ""},
		{"two keys, first", []string{good, foreign(1)}, ""},
		{"two keys, second", []string{foreign(1), good}, ""},
		{"four keys", []string{foreign(1), foreign(2), foreign(3), good}, ""},
		{"five keys", []string{foreign(1), foreign(2), foreign(3), foreign(4), good}, jwtauth.ReasonKey},
		{"none", []string{ecJWK("k1", es)}, jwtauth.ReasonKey},
		{"foreign only", []string{foreign(1), foreign(2)}, jwtauth.ReasonSignature},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := newAuthenticator(t, remoteConfig(&keyServer{serve: keySet(test.keys...)}))
			if got := reason(t, a, sign(nil)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	t.Run("no kid, one candidate", func(t *testing.T) {
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: keySet(ecJWK("k1", es), good)}))
		if got := reason(t, a, sign(object{"kid": nil})); got != "" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("no kid, two candidates", func(t *testing.T) {
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: keySet(good, foreign(1))}))
		if got := reason(t, a, sign(object{"kid": nil})); got != jwtauth.ReasonKey {
			t.Errorf("got %q", got)
		}
	})
	t.Run("no kid in the set", func(t *testing.T) {
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: keySet(strings.Replace(good, `"kid":"k1",`, "", 1))}))
		if got := reason(t, a, sign(nil)); got != jwtauth.ReasonKey {
			t.Errorf("a key without a name answered to one: %q", got)
		}
	})
}

// A key is bound to the algorithm that it names, and to those that fit it if it
// names none.
func TestKeyPinsAlgorithm(t *testing.T) {
	named := rsaJWK("k1", &rsaKey().PublicKey, `,"alg":"RS256","use":"sig","key_ops":["verify"]`)
	unnamed := rsaJWK("k1", &rsaKey().PublicKey)
	operations := ecJWK("k1", keyFor(jwtauth.ES256), `,"key_ops":["sign","verify","encrypt"]`)
	for _, test := range []struct {
		key       string
		algorithm jwtauth.Algorithm
		want      gatehouse.Reason
	}{
		{named, jwtauth.RS256, ""},
		{named, jwtauth.RS384, jwtauth.ReasonKey},
		{named, jwtauth.RS512, jwtauth.ReasonKey},
		{named, jwtauth.PS256, jwtauth.ReasonKey},
		{unnamed, jwtauth.RS256, ""},
		{unnamed, jwtauth.PS512, ""},
		{unnamed, jwtauth.ES256, jwtauth.ReasonKey},
		{unnamed, jwtauth.EdDSA, jwtauth.ReasonKey},
		{operations, jwtauth.ES256, ""},
		{ecJWK("k1", keyFor(jwtauth.ES256)), jwtauth.RS256, jwtauth.ReasonKey},
		{ecJWK("k1", keyFor(jwtauth.ES256)), jwtauth.PS256, jwtauth.ReasonKey},
		{ecJWK("k1", keyFor(jwtauth.ES256)), jwtauth.ES384, jwtauth.ReasonKey},
		{ecJWK("k1", keyFor(jwtauth.ES256)), jwtauth.EdDSA, jwtauth.ReasonKey},
	} {
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: keySet(test.key)}))
		k := keyFor(test.algorithm)
		if got := reason(t, a, k.sign(goodHeader(k.algorithm).with(nil), goodClaims().with(nil))); got != test.want {
			t.Errorf("%s with %.60s: got %q, want %q", test.algorithm, test.key, got, test.want)
		}
	}
}
