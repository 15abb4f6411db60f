// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"crypto"
	"fmt"

	"github.com/gatehouse-go/gatehouse/internal/jose"
)

// Thumbprint returns the JWK thumbprint of a public key, RFC 7638, with SHA-256: an ID
// that is computed from the key. It returns an error unless public is an *rsa.PublicKey,
// an *ecdsa.PublicKey or an ed25519.PublicKey.
func Thumbprint(public crypto.PublicKey) (string, error) {
	thumbprint, err := jose.Thumbprint(public)
	if err != nil {
		return "", fmt.Errorf("jwtauth: Thumbprint: the key %w", err)
	}
	return thumbprint, nil
}
