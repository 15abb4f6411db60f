// SPDX-License-Identifier: Apache-2.0

// Package pemkey reads one key from PEM: a PRIVATE KEY (PKCS #8) or a PUBLIC KEY
// (PKIX). It rejects everything else, such as a second block, text around the block,
// headers, encrypted keys and the older forms RSA PRIVATE KEY and EC PRIVATE KEY.
package pemkey

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	privateKey = "PRIVATE KEY"
	publicKey  = "PUBLIC KEY"
)

// Private returns a private key that signs. The error contains no part of data.
func Private(data []byte) (crypto.Signer, error) {
	der, kind, err := decode(data)
	if err != nil {
		return nil, err
	}
	if kind != privateKey {
		return nil, fmt.Errorf("is a %.32q, want a %s (PKCS #8)", kind, privateKey)
	}
	return signer(der)
}

// Public returns a public key, also from a private key.
func Public(data []byte) (crypto.PublicKey, error) {
	der, kind, err := decode(data)
	switch {
	case err != nil:
		return nil, err
	case kind == publicKey:
		key, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			return nil, fmt.Errorf("malformed %s: %w", publicKey, err)
		}
		return key, nil
	case kind == privateKey:
		private, err := signer(der)
		if err != nil {
			return nil, err
		}
		return private.Public(), nil
	}
	return nil, fmt.Errorf("is a %.32q, want a %s (PKIX) or a %s (PKCS #8)", kind, publicKey, privateKey)
}

func signer(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("malformed %s: not PKCS #8", privateKey)
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("is a %T, want a key that signs", key)
	}
	return s, nil
}

// decode returns the only block of data.
func decode(data []byte) (der []byte, kind string, err error) {
	data = bytes.TrimSpace(data)
	block, rest := pem.Decode(data)
	switch {
	case block == nil || !bytes.HasPrefix(data, []byte("-----BEGIN ")): // pem.Decode skips text before the block
		return nil, "", errors.New("is not PEM")
	case len(rest) > 0:
		return nil, "", errors.New("has data after the first PEM block, want one key")
	case len(block.Headers) > 0:
		return nil, "", errors.New("has PEM headers, such as an encrypted key: want an unencrypted PKCS #8 or PKIX key")
	}
	// The parsers of x509 ignore what follows a PKCS #8 key.
	if rest, err := asn1.Unmarshal(block.Bytes, new(asn1.RawValue)); err != nil || len(rest) > 0 {
		return nil, "", fmt.Errorf("malformed %.32s: not one DER value", block.Type)
	}
	return block.Bytes, block.Type, nil
}
