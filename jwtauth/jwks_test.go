// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// observe adds an observer to a configuration that records the key-set events of
// type want.
func observe(t *testing.T, want gatehouse.EventType) (change func(*jwtauth.Config), causes func() []string) {
	var mu sync.Mutex
	var recorded []string
	observer := func(_ context.Context, e gatehouse.Event) error {
		mu.Lock()
		defer mu.Unlock()
		if e.Type != want || e.Issuer != issuerURL || e.Level != slog.LevelWarn || e.Decision != "" {
			t.Errorf("event %+v, want %s of %s at level WARN without a decision", e, want, issuerURL)
		}
		recorded = append(recorded, fmt.Sprint(e.Cause))
		return errors.New("the observer fails")
	}
	return func(c *jwtauth.Config) { c.Observer = gatehouse.ObserverFunc(observer) }, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return recorded
	}
}

// A key that must never verify a signature is dropped with an event, and does not
// affect the valid key beside it.
func TestInvalidKeysAreDropped(t *testing.T) {
	valid := ecJWK("k1", keyFor(jwtauth.ES256))
	public := &rsaKey().PublicKey
	exponent := func(e string) string { return strings.Replace(rsaJWK("odd", public), `"e":"AQAB"`, `"e":"`+e+`"`, 1) }
	low := ed25519.PublicKey(append([]byte{1}, make([]byte, 31)...))
	keys := map[string]string{
		"symmetric":             `{"kty":"oct","kid":"odd","k":"` + b64(secret) + `"}`,
		"symmetric without k":   `{"kty":"oct","kid":"odd"}`,
		"private RSA":           rsaJWK("odd", public, `,"d":"AQAB"`),
		"private EC":            ecJWK("odd", keyFor(jwtauth.ES256), `,"d":"AQAB"`),
		"private Ed25519":       edJWK("odd", edKey().Public().(ed25519.PublicKey), `,"d":"AQAB"`),
		"RSA primes":            rsaJWK("odd", public, `,"p":"AQAB"`),
		"private, empty":        edJWK("odd", edKey().Public().(ed25519.PublicKey), `,"d":""`),
		"65 members":            rsaJWK("odd", public, many(61)),
		"low order":             edJWK("odd", low),
		"1024 bits":             rsaJWK("odd", weakRSA(1024, 65537)), // Covers RFC 7518 §3.3.
		"e=1":                   rsaJWK("odd", weakRSA(2048, 1)),
		"e=2":                   rsaJWK("odd", weakRSA(2048, 2)),
		"e=2^64+65537":          exponent("AQAAAAAAAQAB"),
		"e=2^40+1":              exponent("AQAAAAAAAAAAAAAAAQ"),
		"for encryption":        rsaJWK("odd", public, `,"use":"enc"`), // Covers RFC 7517 §4.2.
		"other use":             rsaJWK("odd", public, `,"use":"tls"`),
		"key_ops sign":          rsaJWK("odd", public, `,"key_ops":["sign"]`), // Covers RFC 7517 §4.3.
		"key_ops empty":         rsaJWK("odd", public, `,"key_ops":[]`),       // Covers RFC 7517 §4.3.
		"key_ops text":          rsaJWK("odd", public, `,"key_ops":"verify"`),
		"key_ops mixed":         rsaJWK("odd", public, `,"key_ops":["verify",1]`),
		"unknown kty":           `{"kty":"AKP","kid":"odd"}`, // Covers RFC 7517 §5.
		"no kty":                `{"kid":"odd"}`,
		"unknown curve":         `{"kty":"EC","kid":"odd","crv":"secp256k1","x":"AQ","y":"AQ"}`,
		"X25519":                `{"kty":"OKP","kid":"odd","crv":"X25519","x":"` + b64(secret[:32]) + `"}`,
		"Ed448":                 `{"kty":"OKP","kid":"odd","crv":"Ed448","x":"` + b64(secret[:57]) + `"}`,
		"off the curve":         `{"kty":"EC","kid":"odd","crv":"P-256","x":"AQ","y":"AQ"}`, // Covers RFC 7518 §6.2.1; RFC 8725 §3.4.
		"foreign alg":           rsaJWK("odd", public, `,"alg":"RSA-OAEP"`),
		"alg of another kind":   rsaJWK("odd", public, `,"alg":"ES256"`),
		"alg of another curve":  ecJWK("odd", keyFor(jwtauth.ES256), `,"alg":"ES384"`), // Covers RFC 7518 §3.4.
		"alg that begins alike": ecJWK("odd", keyFor(jwtauth.ES256), `,"alg":"ES256K"`),
		"alg is a number":       rsaJWK("odd", public, `,"alg":1`),
		"kid is a number":       `{"kty":"EC","kid":1}`,
		"a member twice":        rsaJWK("odd", public, `,"kid":"other"`), // Covers RFC 7517 §4.
		"a member in two cases": rsaJWK("odd", public, `,"KID":"other"`),
		"a member in caps":      strings.Replace(rsaJWK("odd", public), `"kid"`, `"KID"`, 1),
		"not an object":         `[]`,
		"null":                  `null`,
		"not base64":            `{"kty":"OKP","kid":"odd","crv":"Ed25519","x":"***"}`,
	}
	for member := range strings.FieldsSeq("d k p q dp dq qi oth") {
		keys["private "+member] = rsaJWK("odd", public, `,"`+member+`":"AQAB"`)
	}
	for name, key := range keys {
		t.Run(name, func(t *testing.T) {
			observer, causes := observe(t, jwtauth.EventKeyDropped)
			a := newAuthenticator(t, remoteConfig(&keyServer{serve: keySet(key, valid)}, observer))
			check(t, a, "valid key", token(nil, nil), "")
			for _, alg := range []jwtauth.Algorithm{jwtauth.RS256, jwtauth.PS256, jwtauth.ES256, jwtauth.EdDSA} {
				check(t, a, alg, keyFor(alg).token(object{"kid": "odd"}, nil), jwtauth.ReasonKeyPending)
			}
			_ = a.Close() // waits for the events
			if got := causes(); len(got) != 1 || !strings.HasPrefix(got[0], "key 0 ") {
				t.Errorf("causes of the events = %q, want one that names key 0", got)
			} else if strings.HasPrefix(name, "private") && got[0] != "key 0 is a private or symmetric key in a public key set" {
				t.Errorf("cause of the event = %q, want that the key is private", got[0])
			}
		})
	}
}

// many returns n members of an object.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":0`, i)
	}
	return b.String()
}

// A document without a verification key is not a key set.
func TestInvalidKeySets(t *testing.T) {
	key := ecJWK("k1", keyFor(jwtauth.ES256))
	const notASet, noKey = "not a JWK Set", "has no key for Issuer.Algorithms"
	for name, test := range map[string]struct{ text, want string }{
		"empty": {"", notASet}, "null": {"null", notASet}, "array": {"[]", notASet}, "text": {`"keys"`, notASet}, "number": {"1", notASet},
		"object": {"{}", notASet}, "keys null": {`{"keys":null}`, notASet}, "keys object": {`{"keys":{}}`, notASet}, "keys text": {`{"keys":"x"}`, notASet},
		"no keys": {`{"keys":[]}`, noKey}, "only a secret": {`{"keys":[{"kty":"oct","k":"AA"}]}`, noKey}, "KEYS": {`{"KEYS":[` + key + `]}`, notASet},
		"cut": {`{"keys":[` + key, notASet}, "two documents": {`{"keys":[` + key + `]}{}`, notASet},
		"HTML":      {"<!DOCTYPE html><title>Sign in</title>", `Content-Type "text/html"`},
		"too many":  {`{"keys":[` + key + strings.Repeat(`,{"kty":"oct"}`, 100) + `]}`, "more than 100 keys"},
		"too large": {`{"keys":[` + strings.Repeat(" ", 512<<10) + key + `]}`, "more than 524288 bytes"},
	} {
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: document(test.text)}))
		unavailable(t, a, name, token(nil, nil), test.want)
	}
	for name, text := range map[string]string{
		"100 keys":     `{"keys":[` + key + strings.Repeat(`,{"kty":"oct"}`, 99) + `]}`,
		"524288 bytes": `{"keys":[` + strings.Repeat(" ", 512<<10-len(`{"keys":[`+key+`]}`)) + key + `]}`,
	} {
		check(t, newAuthenticator(t, remoteConfig(&keyServer{serve: document(text)})), name, token(nil, nil), "")
	}
	observer, causes := observe(t, jwtauth.EventKeysWithdrawn)
	a := newAuthenticator(t, remoteConfig(&keyServer{serve: keySet()}, observer))
	unavailable(t, a, "the first set has no key", token(nil, nil), noKey)
	_ = a.Close() // waits for the events
	if got := causes(); len(got) != 1 {
		t.Errorf("causes of the events = %q, want one", got)
	}
}

// One kid may name keys of two kinds, and by mistake several of one kind.
//
// Covers RFC 7515 §4.1.4.
func TestSameKid(t *testing.T) {
	private := ed25519.NewKeyFromSeed(secret[32:64])
	other := func(n byte) string {
		return edJWK("k1", ed25519.NewKeyFromSeed(append([]byte{n}, secret[:31]...)).Public().(ed25519.PublicKey))
	}
	ec, valid := ecJWK("k1", keyFor(jwtauth.ES256)), edJWK("k1", private.Public().(ed25519.PublicKey))
	noKid := object{"kid": nil}
	for _, test := range []struct {
		name   string
		header object
		keys   []string
		want   gatehouse.Reason
	}{
		{"two kinds", nil, []string{ec, rsaJWK("k1", &rsaKey().PublicKey), valid}, ""}, // Covers RFC 7517 §4.5.
		{"two keys, first", nil, []string{valid, other(1)}, ""},
		{"two keys, second", nil, []string{other(1), valid}, ""},
		{"four keys", nil, []string{other(1), other(2), other(3), valid}, ""},
		{"five keys", nil, []string{other(1), other(2), other(3), other(4), valid}, jwtauth.ReasonKey}, // Covers RFC 7517 §4.5.
		{"none", nil, []string{ec}, jwtauth.ReasonKey},
		{"other keys", nil, []string{other(1), other(2)}, jwtauth.ReasonSignature},
		{"no kid, one candidate", noKid, []string{ec, valid}, ""},
		{"no kid, two candidates", noKid, []string{valid, other(1)}, jwtauth.ReasonKey},
		{"no kid in the set", nil, []string{strings.Replace(valid, `"kid":"k1",`, "", 1)}, jwtauth.ReasonKey},
	} {
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: keySet(test.keys...)}))
		check(t, a, test.name, pair{jwtauth.EdDSA, private, nil}.token(test.header, nil), test.want)
		if test.want != jwtauth.ReasonKey || len(test.keys) > 1 { // there is a key, or there are too many: another fetch cannot help
			check(t, a, test.name+", again", pair{jwtauth.EdDSA, private, nil}.token(test.header, object{"jti": "token-2"}), test.want)
		}
	}
}

// A key verifies the algorithm that it names, and those that fit it if it names
// none.
//
// Covers RFC 7517 §4.4; RFC 8725 §3.1 (one).
func TestKeyPinsAlgorithm(t *testing.T) {
	named := rsaJWK("k1", &rsaKey().PublicKey, `,"alg":"RS256","use":"sig","key_ops":["verify"]`)
	unnamed := rsaJWK("k1", &rsaKey().PublicKey)
	ec := ecJWK("k1", keyFor(jwtauth.ES256))
	operations := ecJWK("k1", keyFor(jwtauth.ES256), `,"key_ops":["sign","verify","encrypt"]`+many(55))
	for _, test := range []struct {
		key                string
		accepted, rejected []jwtauth.Algorithm
	}{
		{named, []jwtauth.Algorithm{jwtauth.RS256}, []jwtauth.Algorithm{jwtauth.RS384, jwtauth.RS512, jwtauth.PS256}},
		{unnamed, []jwtauth.Algorithm{jwtauth.RS256, jwtauth.PS512}, []jwtauth.Algorithm{jwtauth.ES256, jwtauth.EdDSA}},
		{operations, []jwtauth.Algorithm{jwtauth.ES256}, nil},
		{ec, nil, []jwtauth.Algorithm{jwtauth.RS256, jwtauth.PS256, jwtauth.ES384, jwtauth.EdDSA}},
	} {
		a := newAuthenticator(t, remoteConfig(&keyServer{serve: keySet(test.key)}))
		for _, alg := range test.accepted {
			check(t, a, string(alg)+" with "+test.key, keyFor(alg).token(nil, nil), "")
		}
		for _, alg := range test.rejected {
			check(t, a, string(alg)+" with "+test.key, keyFor(alg).token(nil, nil), jwtauth.ReasonKey)
		}
	}
}
