// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// TestSigningSecrets prints what signs, in every verb: people print what they are
// puzzled by.
func TestSigningSecrets(t *testing.T) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	shared := []byte("0123456789abcdefghijklmnopqrstuvwxyz")
	key := jwtauth.SigningKey{Algorithm: jwtauth.EdDSA, Private: private}
	ring := must(jwtauth.NewKeyRing(key))
	config := jwtauth.SignerConfig{Issuer: "https://issuer.example", Secret: gatehouse.NewSecret(shared)}
	signer := must(jwtauth.NewSigner(config))
	issuer := jwtauth.Issuer{
		URL: "https://issuer.example", Audience: "api", Algorithms: []jwtauth.Algorithm{jwtauth.HS256}, Keys: jwtauth.SharedSecret(config.Secret),
	}
	verifier := must(jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{issuer}}))
	values := []any{ring, signer, *signer, config, issuer, issuer.Keys, verifier, ring}
	for _, value := range values {
		for _, v := range []any{value, struct{ inner any }{value}, []any{value}, fmt.Errorf("%v", value)} {
			var text strings.Builder
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
				text.WriteString(fmt.Sprintf(verb, v) + "\n")
			}
			written, _ := json.Marshal(v)
			text.WriteString(string(written))
			for _, secret := range [][]byte{shared, private, private.Seed()} {
				piece := secret[:8]
				for _, spelling := range []string{
					string(piece), hex.EncodeToString(piece), strings.ToUpper(hex.EncodeToString(piece)),
					strings.Trim(fmt.Sprint(piece), "[]"), strings.Trim(fmt.Sprintf("%#v", piece), "[]byte{}"),
				} {
					if strings.Contains(text.String(), spelling) {
						t.Errorf("%T tells a secret, as %q", value, spelling)
					}
				}
			}
		}
	}
}

// A key on its own is printed by its name. As an unexported field of another value
// it is printed whole, since fmt asks nobody there.
func TestSigningKeyIsPrintedByName(t *testing.T) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key := jwtauth.SigningKey{ID: "2026-11", Algorithm: jwtauth.EdDSA, Private: private}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, key); got != "EdDSA 2026-11" {
			t.Errorf("%s: %s", verb, got)
		}
		if got := fmt.Sprintf(verb, []jwtauth.SigningKey{key}); got != "[EdDSA 2026-11]" && verb != "%#v" {
			t.Errorf("%s of a list: %s", verb, got)
		}
	}
	if text, err := json.Marshal(key); err != nil || strings.Contains(string(text), "Private") {
		t.Errorf("%s, %v", text, err)
	}
}
