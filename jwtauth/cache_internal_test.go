// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// A full set evicts the token that expires first. It evicts nothing for a token that
// it has.
func TestCacheEvicts(t *testing.T) {
	now := time.Now()
	c := newCache(ways) // one set
	put := func(n byte, expires time.Duration) {
		c.put(uint64(n), &verified{text: string([]byte{n}), issuer: &issuer{}, principal: gatehouse.Principal{Expires: now.Add(expires)}})
	}
	get := func(n byte) *verified { return c.get(uint64(n), string([]byte{n}), now) }
	expect := func(step string, want ...byte) {
		t.Helper()
		var got []byte
		for n := range byte(20) {
			if get(n) != nil {
				got = append(got, n)
			}
		}
		if string(got) != string(want) {
			t.Errorf("%s: the cache has %v, want %v", step, got, want)
		}
	}
	for n := range byte(ways) {
		put(n, time.Duration(10-n)*time.Minute)
	}
	put(3, time.Hour)
	expect("put of a known token", 0, 1, 2, 3, 4, 5, 6, 7)
	put(8, time.Hour)
	expect("put of a new token", 0, 1, 2, 3, 4, 5, 6, 8)
	put(9, time.Second)
	expect("put of a token that expires before all others", 0, 1, 2, 3, 4, 5, 8, 9)
	c.remove(8, get(8))
	expect("remove", 0, 1, 2, 3, 4, 5, 9)
	for n := range byte(ways) {
		put(10+n, 2*time.Hour)
	}
	expect("put of many", 10, 11, 12, 13, 14, 15, 16, 17)
}

// The hash selects the place of a token: an entry with the same hash is another token
// unless its text is the same.
func TestCacheComparesTokens(t *testing.T) {
	c := newCache(1)
	const hash = 7
	a, b := &verified{text: "ab", issuer: &issuer{}}, &verified{text: "a", issuer: &issuer{}}
	c.put(hash, a)
	if got := c.get(hash, "a", time.Now()); got != nil {
		t.Errorf("get(a) = %v, want nil: only ab has been put", got)
	}
	c.put(hash, b)
	if c.get(hash, "ab", time.Now()) != a || c.get(hash, "a", time.Now()) != b {
		t.Error("two tokens with one hash are not both in the cache")
	}
	if got := c.get(hash+1, "a", time.Now()); got != nil {
		t.Errorf("get with another hash = %v, want nil", got)
	}
}

func TestHeaderCache(t *testing.T) {
	cache := newHeaderCache()
	kid := func(segment string) string {
		if h := cache.get(segment); h != nil {
			return h.kid
		}
		return "none"
	}
	if got := kid(""); got != "none" {
		t.Errorf("get of the empty segment = %s, want none", got)
	}
	cache.put("abc", &header{kid: "1"})
	for segment, want := range map[string]string{"abc": "1", "xbc": "none", "ab": "none", "abcd": "none", "ABC": "none", "": "none"} {
		if got := kid(segment); got != want {
			t.Errorf("get(%q) = kid %s, want %s", segment, got, want)
		}
	}
	// Another header of the same slot replaces it, and has its own parameters.
	same := "x"
	for cache.slot(same) != cache.slot("abc") {
		same += "x"
	}
	if got := kid(same); got != "none" {
		t.Errorf("get(%q) = kid %s, want none: only abc has been put", same, got)
	}
	cache.put(same, &header{kid: "2"})
	if kid(same) != "2" || kid("abc") != "none" {
		t.Errorf("after put(%q): kids %s and %s, want 2 and none", same, kid(same), kid("abc"))
	}
	longer := same + "x"
	for cache.slot(longer) != cache.slot(same) {
		longer += "x"
	}
	cache.put(longer, &header{kid: "3"})
	if got := kid(same); got != "none" {
		t.Errorf("get(%q) = kid %s, want none: %q has replaced it", same, got, longer)
	}
	if h := (*headerCache)(nil).get("abc"); h != nil {
		t.Errorf("get of a nil cache = %v, want nil", h)
	}
}

// A token that is rejected stores neither its header nor itself, so that it evicts
// nothing.
func TestRejectedTokenIsNotCached(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Config{Issuers: []Issuer{{
		URL: "https://a.example", Audiences: []string{"api"}, Algorithms: []Algorithm{ES256}, Keys: StaticKeys(Key{Algorithm: ES256, Public: &key.PublicKey}),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	head, now := encode([]byte(`{"alg":"ES256","typ":"at+jwt"}`)), time.Now().Unix()
	payload := fmt.Sprintf(`{"iss":"https://a.example","aud":"api","sub":"a","client_id":"b","jti":"c","iat":%d,"exp":%d}`, now, now+60)
	text := head + "." + encode([]byte(payload)) + "." + strings.Repeat("A", 86)
	_, err = a.Verify(t.Context(), text)
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Reason != ReasonSignature {
		t.Fatalf("Verify(token with another signature) error = %v, want %s", err, ReasonSignature)
	}
	if a.headers.get(head) != nil || a.cache.get(a.cache.hash(text), text, time.Now()) != nil {
		t.Error("the header of a rejected token, or the token, is in a cache")
	}
}
