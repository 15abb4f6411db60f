// SPDX-License-Identifier: Apache-2.0

package pemkey_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/pemkey"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func encode(kind string, der []byte, headers map[string]string) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der, Headers: headers})
}

func TestKeys(t *testing.T) {
	ec := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	pkcs8 := must(x509.MarshalPKCS8PrivateKey(ec))
	private := encode("PRIVATE KEY", pkcs8, nil)
	pkix := must(x509.MarshalPKIXPublicKey(ec.Public()))
	public := encode("PUBLIC KEY", pkix, nil)
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader))
	const both = "both"
	for _, test := range []struct {
		name   string
		data   []byte
		wanted string // "both", "public", or part of the error of both
		key    crypto.PublicKey
	}{
		{"P-256", private, both, ec.Public()},
		{"Ed25519", encode("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ed)), nil), both, ed.Public()},
		{"RSA", encode("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(rsaKey)), nil), both, rsaKey.Public()},
		{"public half", public, "public", ec.Public()},
		{"spaces around", slices.Concat([]byte("\n\n "), private, []byte("\r\n\n")), both, ec.Public()},

		{"empty", nil, "is not PEM", nil},
		{"DER", pkcs8, "is not PEM", nil},
		{"cut", private[:len(private)-10], "is not PEM", nil},
		{"text before", slices.Concat([]byte("key:\n"), private), "is not PEM", nil},
		{"text after", slices.Concat(private, []byte("x")), "data after", nil},
		{"two keys", slices.Concat(private, private), "data after", nil},
		{"public key and certificate", slices.Concat(public, encode("CERTIFICATE", pkix, nil)), "data after", nil},
		{"headers", encode("PRIVATE KEY", pkcs8, map[string]string{"Proc-Type": "4,ENCRYPTED"}), "PEM headers", nil},
		{"encrypted PKCS 8", encode("ENCRYPTED PRIVATE KEY", pkcs8, nil), "want a P", nil},
		{"SEC 1", encode("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec)), nil), "want a P", nil},
		{"PKCS 1", encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil), "want a P", nil},
		{"PKCS 8 of another type", encode("CERTIFICATE", pkcs8, nil), "want a P", nil},
		{"data after the key", encode("PRIVATE KEY", slices.Concat(pkcs8, []byte{0}), nil), "malformed PRIVATE KEY: not one DER value", nil},
		{"no DER", encode("PRIVATE KEY", []byte{0x30}, nil), "malformed PRIVATE KEY: not one DER value", nil},
		{"a key that agrees only", encode("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(x25519)), nil), "want a key that signs", nil},
		{"public key as private", encode("PRIVATE KEY", pkix, nil), "malformed", nil},
	} {
		signer, err := pemkey.Private(test.data)
		if (err == nil) != (test.wanted == both) || err == nil && !equal(signer.Public(), test.key) {
			t.Errorf("Private(%s) error = %v, want %s", test.name, err, test.wanted)
		}
		if err != nil && test.key == nil && !strings.Contains(err.Error(), test.wanted) {
			t.Errorf("Private(%s) error = %v, want %q in it", test.name, err, test.wanted)
		}
		key, err := pemkey.Public(test.data)
		if (err == nil) != (test.key != nil) || err == nil && !equal(key, test.key) {
			t.Errorf("Public(%s) = %v, %v, want %v", test.name, key, err, test.wanted)
		}
		if err != nil && !strings.Contains(err.Error(), test.wanted) {
			t.Errorf("Public(%s) error = %v, want %q in it", test.name, err, test.wanted)
		}
	}
	if _, err := pemkey.Public(encode("PUBLIC KEY", pkcs8, nil)); err == nil || !strings.HasPrefix(err.Error(), "malformed PUBLIC KEY: ") {
		t.Errorf("Public(malformed PKIX) error = %v, want malformed PUBLIC KEY", err)
	}
}

func equal(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}
