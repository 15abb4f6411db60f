// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"crypto"
	"fmt"
	"os"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/pemkey"
)

// LoadPrivateKey reads a private key for [SigningKey].Private from "env:NAME" or
// "file:PATH", as [gatehouse.LoadSecret] does: it rejects a file that other users can
// read. The content must be PEM with one unencrypted PRIVATE KEY (PKCS #8) and nothing
// before or after it. Convert the older forms EC PRIVATE KEY and RSA PRIVATE KEY with
// "openssl pkcs8 -topk8 -nocrypt". Errors contain ref but no part of the key.
func LoadPrivateKey(ref string) (crypto.Signer, error) {
	secret, err := gatehouse.LoadSecret(ref, 1)
	if err != nil {
		return nil, fmt.Errorf("jwtauth: private key: %w", err)
	}
	key, err := pemkey.Private(secret.Reveal())
	if err != nil {
		return nil, fmt.Errorf("jwtauth: private key %s: %w", ref, err)
	}
	return key, nil
}

// ReadPublicKey reads a public key for [Key].Public of [StaticKeys] from a PEM file
// with one PUBLIC KEY (PKIX), nothing before or after it.
func ReadPublicKey(path string) (crypto.PublicKey, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("jwtauth: public key: %w", err)
	}
	key, err := pemkey.Public(data)
	if err != nil {
		return nil, fmt.Errorf("jwtauth: public key %s: %w", path, err)
	}
	return key, nil
}
