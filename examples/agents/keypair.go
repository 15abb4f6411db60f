// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ed25519"
	"errors"
	"strings"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// loadSigningKey reads the key that signs the tokens of agents: PKCS #8 in PEM, P-256
// or Ed25519.
func loadSigningKey(ref string) (jwtauth.SigningKey, error) {
	if !strings.HasPrefix(ref, "file:") {
		return jwtauth.SigningKey{}, errors.New("must be file:PATH")
	}
	private, err := jwtauth.LoadPrivateKey(ref)
	if err != nil {
		return jwtauth.SigningKey{}, err
	}
	key := jwtauth.SigningKey{Algorithm: jwtauth.ES256, Private: private}
	if _, ok := private.(ed25519.PrivateKey); ok {
		key.Algorithm = jwtauth.EdDSA
	}
	return key, nil
}
