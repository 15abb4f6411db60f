// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto"
	"fmt"
	"os"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/pemkey"
)

// LoadKey reads a private key for [Config.Key] from "env:NAME" or "file:PATH", as
// [gatehouse.LoadSecret] does: PEM with PKCS #8, Ed25519 or ECDSA with P-256.
func LoadKey(ref string) (crypto.Signer, error) {
	secret, err := gatehouse.LoadSecret(ref, 1)
	if err != nil {
		return nil, fmt.Errorf("audit: key: %w", err)
	}
	signer, err := pemkey.Private(secret.Reveal())
	if err != nil {
		return nil, fmt.Errorf("audit: key %s: %w", ref, err)
	}
	if _, err := newKey("key", signer.Public(), signer); err != nil {
		return nil, fmt.Errorf("audit: key %s: %w", ref, err)
	}
	return signer, nil
}

// ReadPublicKey reads the public key of a log from a PEM file: a PUBLIC KEY
// (PKIX), or a PRIVATE KEY (PKCS #8), of which it returns the public half.
func ReadPublicKey(path string) (crypto.PublicKey, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("audit: key: %w", err)
	}
	key, err := pemkey.Public(data)
	if err != nil {
		return nil, fmt.Errorf("audit: key %s: %w", path, err)
	}
	return key, nil
}
