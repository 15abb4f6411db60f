// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// flips returns the tokens with one bit flipped: six for each character of
// base64url, and one for a dot, which becomes a letter.
func flips(token string) (flipped []string) {
	for i := range len(token) {
		value := strings.IndexByte(base64url, token[i])
		if value < 0 {
			flipped = append(flipped, token[:i]+"A"+token[i+1:])
			continue
		}
		for bit := range 6 {
			flipped = append(flipped, token[:i]+string(base64url[value^1<<bit])+token[i+1:])
		}
	}
	return flipped
}

// split returns header and claims of a token as JSON, and the encoded signature.
func split(t *testing.T, token string) (header, claims, signature string) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("the token has %d parts, want 3", len(parts))
	}
	return decode(parts[0]), decode(parts[1]), parts[2]
}

// join is the inverse of split.
func join(header, claims, signature string) string {
	return encode([]byte(header)) + "." + encode([]byte(claims)) + "." + signature
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decode(segment string) string { return string(must(base64.RawURLEncoding.DecodeString(segment))) }

// signES256 signs header and claims, which may be invalid.
func signES256(key *ecdsa.PrivateKey, header, claims string) string {
	digest := sha256.Sum256([]byte(strings.TrimSuffix(join(header, claims, ""), ".")))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		panic(err)
	}
	return join(header, claims, encode(slices.Concat(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32)))))
}

// object returns the members of a JSON object.
func object(t *testing.T, text string) (o map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return o
}
