// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
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

type unknownSigner struct{ crypto.Signer }

// NewKeyRing and Replace reject the same keys, and Replace keeps the old ones.
func TestKeyRingRejects(t *testing.T) {
	valid := signingKey("k1", jwtauth.ES256)
	with := func(change func(*jwtauth.SigningKey)) []jwtauth.SigningKey {
		k := valid
		change(&k)
		return []jwtauth.SigningKey{k}
	}
	for want, keys := range map[string][]jwtauth.SigningKey{
		"jwtauth: SigningKey: no key is active": nil,
		"SigningKey: no key is active":          with(func(k *jwtauth.SigningKey) { k.From = time.Now().Add(time.Hour) }),
		"SigningKey[0].ID: must be":             with(func(k *jwtauth.SigningKey) { k.ID = "a\n" }),
		"ID: must be printable":                 with(func(k *jwtauth.SigningKey) { k.ID = strings.Repeat("k", 257) }),
		"SigningKey[1].ID: duplicate":           {valid, valid},
		"SigningKey[0].Private: required":       with(func(k *jwtauth.SigningKey) { k.ID, k.Private = "", nil }),
		"SigningKey[1].Private: required":       {valid, with(func(k *jwtauth.SigningKey) { k.Private = nil })[0]},
		"SigningKey[2].Private: required":       {{}, valid, with(func(k *jwtauth.SigningKey) { k.Private = nil })[0]},
		`Algorithm: "HS256"`:                    with(func(k *jwtauth.SigningKey) { k.Algorithm = jwtauth.HS256 }),
		`Algorithm: ""`:                         with(func(k *jwtauth.SigningKey) { k.Algorithm = "" }),
		"not match any of the configured":       with(func(k *jwtauth.SigningKey) { k.Algorithm = jwtauth.ES384 }),
		"Private: is not 32 bytes":              with(func(k *jwtauth.SigningKey) { k.Algorithm, k.Private = jwtauth.EdDSA, ed25519.PrivateKey("short") }),
		"not a point on an accepted curve":      with(func(k *jwtauth.SigningKey) { k.Private = must(ecdsa.GenerateKey(elliptic.P224(), rand.Reader)) }),
		"is a jwtauth_test.unknownSigner":       with(func(k *jwtauth.SigningKey) { k.Private = unknownSigner{} }),
	} {
		ring := newRing(valid)
		if err := ring.Replace(keys...); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("Replace = %v, want %q in it", err, want)
		}
		if _, err := jwtauth.NewKeyRing(keys...); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("NewKeyRing error = %v, want %q in it", err, want)
		}
		if _, err := newSigner(jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring}).Sign(goodToken()); err != nil {
			t.Errorf("Sign after a failed Replace (%s) = %v, want no error", want, err)
		}
	}
	for want, change := range map[string]func(*jwtauth.Issuer){
		"KeyRing: required":             func(i *jwtauth.Issuer) { i.Keys = (*jwtauth.KeyRing)(nil) },
		"HS256 requires a SharedSecret": func(i *jwtauth.Issuer) { i.Keys, i.Algorithms = newRing(valid), []jwtauth.Algorithm{jwtauth.HS256} },
	} {
		if _, err := jwtauth.New(issuerConfig(change)); !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("New = %v, want %q in it", err, want)
		}
	}
}

// A key is published before it signs and until its tokens have expired, so that
// no request fails during a rotation.
func TestKeyRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := signingKey("k1", jwtauth.ES256), signingKey("k2", jwtauth.EdDSA)
		ring := newRing(first)
		s := newSigner(jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring})
		verifiers := []*jwtauth.Authenticator{
			newAuthenticator(t, remoteConfig(&keyServer{serve: ring.ServeHTTP})),
			newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) {
				i.Keys, i.Algorithms = ring, []jwtauth.Algorithm{jwtauth.ES256, jwtauth.EdDSA}
			})),
		}
		replace := func(keys ...jwtauth.SigningKey) {
			noError(t, ring.Replace(keys...))
		}
		var live []jwtauth.Signed
		for minute := range 60 {
			switch minute {
			case 10:
				second.From = time.Now().Add(10 * time.Minute)
				replace(first, second)
			case 40: // the last token of the first key has expired
				replace(second)
			}
			signed := must(s.Sign(goodToken()))
			head, _, _ := strings.Cut(string(signed.Token.Reveal()), ".")
			if want := encode(`{"alg":"EdDSA","kid":"k2","typ":"at+jwt"}`); (head == want) != (minute >= 20) {
				t.Errorf("minute %d: header %s, want that of k2 from minute 20 on", minute, head)
			}
			live = append(live, signed)
			for _, signed := range live {
				for _, a := range verifiers {
					if time.Now().Before(signed.Expires) {
						check(t, a, fmt.Sprint("minute ", minute), string(signed.Token.Reveal()), "")
					}
				}
			}
			time.Sleep(time.Minute)
			synctest.Wait()
		}
	})
}

// A key that is removed from a keyring verifies nothing in this process from then
// on, and a keyring without a key for the algorithms is unavailable.
func TestKeyRingAsKeys(t *testing.T) {
	ring := newRing(signingKey("k1", jwtauth.ES256))
	signed := must(newSigner(jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring}).Sign(goodToken()))
	withdrawn, causes := observe(t, jwtauth.EventKeysWithdrawn)
	a := newAuthenticator(t, config(withdrawn, func(c *jwtauth.Config) {
		c.Issuers[0].Keys, c.Issuers[0].Algorithms = ring, []jwtauth.Algorithm{jwtauth.ES256, jwtauth.ES384}
	}))
	for _, step := range []struct {
		key  jwtauth.SigningKey
		want gatehouse.Reason
	}{
		{signingKey("k1", jwtauth.ES256), ""},
		{signingKey("k0", jwtauth.ES256), jwtauth.ReasonKey}, // published in as many bytes
		{signingKey("k1", jwtauth.ES256), ""},                // and in the cache again
		{signingKey("k0", jwtauth.ES256), jwtauth.ReasonKey},
		{signingKey("k2", jwtauth.ES384), jwtauth.ReasonKey},
		{signingKey("k3", jwtauth.EdDSA), jwtauth.ReasonKeysUnavailable},
		{signingKey("k4", jwtauth.EdDSA), jwtauth.ReasonKeysUnavailable}, // causes no second event
	} {
		noError(t, ring.Replace(step.key))
		for range 2 {
			check(t, a, "keyring of "+step.key.ID, string(signed.Token.Reveal()), step.want)
		}
	}
	if err := a.Ready(context.Background()); err == nil {
		t.Error("Ready with a keyring without a usable key = nil, want an error")
	}
	noError(t, a.Close())
	noError(t, ring.Replace(signingKey("k1", jwtauth.ES256)))
	check(t, a, "keyring with the key again, after Close", string(signed.Token.Reveal()), "")
	noError(t, ring.Replace(signingKey("k3", jwtauth.EdDSA)))
	check(t, a, "keyring without a key, after Close", string(signed.Token.Reveal()), jwtauth.ReasonKeysUnavailable)
	noError(t, a.Close()) // waits for the events
	if got := causes(); len(got) != 1 {
		t.Errorf("causes of the events = %q, want one, and none after Close", got)
	}
}

// A key is active from the moment of From on, and an ID has at most 256 characters.
func TestKeyRingLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := signingKey(strings.Repeat("k", 256), jwtauth.ES256)
		k.From = time.Now()
		if _, err := jwtauth.NewKeyRing(k); err != nil {
			t.Errorf("NewKeyRing of a key that becomes active now, with an ID of 256 characters = %v, want nil", err)
		}
	})
}

// Of the keys whose From is not in the future, the one with the latest From signs.
func TestLatestKeySigns(t *testing.T) {
	var keys []jwtauth.SigningKey
	for n, hours := range []time.Duration{-3, -1, -2, 1} {
		key := signingKey("abcd"[n:n+1], jwtauth.ES256)
		key.From = time.Now().Add(hours * time.Hour)
		keys = append(keys, key)
	}
	head, _, _ := strings.Cut(string(must(newRing(keys...).SignJWT("", nil)).Reveal()), ".")
	equal(t, "header", head, encode(`{"alg":"ES256","kid":"b"}`))
}

func TestKeyRingHandler(t *testing.T) {
	ring := newRing(signingKey("k31", jwtauth.ES256), signingKey("k2", jwtauth.RS256), signingKey("k3", jwtauth.EdDSA))
	serve := func(method string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		ring.ServeHTTP(w, httptest.NewRequest(method, "/jwks.json", http.NoBody))
		return w
	}
	w := serve(http.MethodGet)
	equal(t, "header", w.Header(), http.Header{
		"Content-Type": {"application/jwk-set+json"}, "Cache-Control": {"max-age=60"}, "X-Content-Type-Options": {"nosniff"}, "Access-Control-Allow-Origin": {"*"},
	})
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil || len(set.Keys) != 3 {
		t.Fatalf("GET = %s (%v), want a JWK Set of 3 keys", w.Body, err)
	}
	for _, k := range set.Keys {
		for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "k", "oth"} {
			if _, ok := k[name]; ok {
				t.Errorf("the published key %s has the private member %s", k["kid"], name)
			}
		}
		if k["use"] != "sig" || k["kid"] == "" || k["alg"] == "" {
			t.Errorf("published key = %v, want use sig, a kid and an alg", k)
		}
	}
	if w := serve(http.MethodHead); w.Code != http.StatusOK || w.Body.Len() != 0 {
		t.Errorf("HEAD: status %d with %d bytes, want 200 with 0", w.Code, w.Body.Len())
	}
	if w := serve(http.MethodPost).Result(); w.StatusCode != http.StatusMethodNotAllowed || w.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: status %d, Allow %q, want 405, GET, HEAD", w.StatusCode, w.Header.Get("Allow"))
	}
}

// The ID of a key without one is its thumbprint, in the key set, in the tokens and
// where the keyring itself verifies them.
func TestThumbprintAsKeyID(t *testing.T) {
	for _, algorithm := range []jwtauth.Algorithm{jwtauth.ES256, jwtauth.EdDSA, jwtauth.RS256} {
		key := signingKey("", algorithm)
		want, err := jwtauth.Thumbprint(key.Private.Public())
		if err != nil || len(want) != 43 {
			t.Fatalf("Thumbprint = %q, %v, want 43 characters", want, err)
		}
		w, ring := httptest.NewRecorder(), newRing(key)
		ring.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		if !strings.Contains(w.Body.String(), `"kid":"`+want+`"`) {
			t.Errorf("%s: published %s, want kid %s", algorithm, w.Body, want)
		}
		signed := must(newSigner(jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring}).Sign(goodToken()))
		a := newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) { i.Keys, i.Algorithms = ring, []jwtauth.Algorithm{algorithm} }))
		check(t, a, "thumbprint as kid of "+string(algorithm), string(signed.Token.Reveal()), "")
		if _, err := jwtauth.NewKeyRing(key, key); err == nil || !strings.Contains(err.Error(), "SigningKey[1].ID: duplicate") {
			t.Errorf("%s: NewKeyRing with the key twice = %v, want a duplicate", algorithm, err)
		}
	}
}

// No verb prints a key or a secret, wherever the value is.
func TestSigningSecretsAreRedacted(t *testing.T) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	shared := []byte("0123456789abcdefghijklmnopqrstuvwxyz")
	key := jwtauth.SigningKey{ID: "2026-11", Algorithm: jwtauth.EdDSA, Private: private}
	ring := newRing(key)
	config := jwtauth.SignerConfig{Issuer: issuerURL, Secret: gatehouse.NewSecret(shared)}
	signer := newSigner(config)
	issuer := jwtauth.Issuer{URL: issuerURL, Audiences: []string{"api"}, Algorithms: []jwtauth.Algorithm{jwtauth.HS256}, Keys: jwtauth.SharedSecret(config.Secret)}
	verbs := []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"}
	var all strings.Builder
	for _, value := range []any{ring, signer, *signer, config, issuer, issuer.Keys, newAuthenticator(t, jwtauth.Config{Issuers: []jwtauth.Issuer{issuer}})} {
		for _, v := range []any{value, struct{ inner any }{value}, []any{value}, fmt.Errorf("%v", value)} {
			for _, verb := range verbs {
				fmt.Fprintf(&all, verb+"\n", v)
			}
			text, _ := json.Marshal(v)
			all.Write(text)
		}
	}
	for _, verb := range verbs {
		equal(t, fmt.Sprintf("Sprintf(%s, key)", verb), fmt.Sprintf(verb, key), "EdDSA 2026-11")
		fmt.Fprintf(&all, verb+"\n", []jwtauth.SigningKey{key})
	}
	text, err := json.Marshal(key)
	if err != nil || strings.Contains(string(text), "Private") {
		t.Errorf("Marshal(key) = %s, %v, want no Private", text, err)
	}
	for _, secret := range [][]byte{shared, private, private.Seed()} {
		piece := secret[:8]
		for _, spelling := range []string{
			string(piece), hex.EncodeToString(piece), strings.ToUpper(hex.EncodeToString(piece)),
			strings.Trim(fmt.Sprint(piece), "[]"), strings.Trim(fmt.Sprintf("%#v", piece), "[]byte{}"),
		} {
			if strings.Contains(all.String(), spelling) {
				t.Errorf("the output has the secret as %q", spelling)
			}
		}
	}
}
