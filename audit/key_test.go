// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"path/filepath"
	"testing"

	"github.com/gatehouse-go/gatehouse/audit"
)

func TestKeys(t *testing.T) {
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(key any) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	public, err := x509.MarshalPKIXPublicKey(logKey.Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name         string
		data         []byte
		signs, reads bool
	}{
		{"Ed25519", encode(logKey), true, true},
		{"P-256", encode(ecKey), true, true},
		{"public half", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), false, true},
		{"malformed public half", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public[:9]}), false, false},
		{"RSA", encode(rsaKey), false, true}, // Verify refuses it
		{"X25519", encode(x25519), false, false},
		{"malformed", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), false, false},
		{"certificate", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public}), false, false},
		{"no PEM", []byte("secret"), false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key.pem")
			write(t, path, test.data)
			signer, err := audit.LoadKey("file:" + path)
			if (err == nil) != test.signs {
				t.Errorf("LoadKey() error = %v, want accepted: %t", err, test.signs)
			}
			key, err := audit.ReadPublicKey(path)
			if (err == nil) != test.reads {
				t.Errorf("ReadPublicKey() error = %v, want accepted: %t", err, test.reads)
			}
			if test.signs && !signer.Public().(interface{ Equal(crypto.PublicKey) bool }).Equal(key) {
				t.Errorf("ReadPublicKey() = %v, want %v", key, signer.Public())
			}
		})
	}
	if _, err := audit.LoadKey("file:none"); err == nil {
		t.Error("LoadKey() of a missing file error = nil, want one")
	}
	if _, err := audit.ReadPublicKey("none"); err == nil {
		t.Error("ReadPublicKey() of a missing file error = nil, want one")
	}
}
