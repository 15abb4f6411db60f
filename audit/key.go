// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/gatehouse-go/gatehouse"
)

// LoadKey reads a private key for [Config.Key] from "env:NAME" or "file:PATH", as
// [gatehouse.LoadSecret] does: PEM with PKCS #8, Ed25519 or ECDSA with P-256.
func LoadKey(ref string) (crypto.Signer, error) {
	secret, err := gatehouse.LoadSecret(ref, 1)
	if err != nil {
		return nil, fmt.Errorf("audit: key: %w", err)
	}
	block, _ := pem.Decode(secret.Reveal())
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("audit: key %s: not PEM with a PRIVATE KEY (PKCS #8)", ref)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	signer, ok := key.(crypto.Signer)
	if err != nil || !ok {
		return nil, fmt.Errorf("audit: key %s: malformed PKCS #8", ref)
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
	block, _ := pem.Decode(data)
	switch {
	case block == nil:
		err = errors.New("not PEM")
	case block.Type == "PUBLIC KEY":
		var key crypto.PublicKey
		if key, err = x509.ParsePKIXPublicKey(block.Bytes); err == nil {
			return key, nil
		}
	case block.Type == "PRIVATE KEY":
		var key any
		if key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if signer, ok := key.(crypto.Signer); ok {
				return signer.Public(), nil
			}
			err = fmt.Errorf("got %T, want a key that signs", key)
		}
	default:
		err = errors.New("neither a PUBLIC KEY nor a PRIVATE KEY")
	}
	return nil, fmt.Errorf("audit: key %s: %w", path, err)
}
