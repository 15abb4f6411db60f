// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/gatehouse-go/gatehouse/audit"
)

func TestKeys(t *testing.T) {
	encode := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	private := func(key any) []byte { return encode("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))) }
	public := must(x509.MarshalPKIXPublicKey(logKey.Public()))
	for _, test := range []struct {
		name         string
		data         []byte
		signs, reads bool
	}{
		{"Ed25519", private(logKey), true, true},
		{"P-256", private(ecKey), true, true},
		{"public half", encode("PUBLIC KEY", public), false, true},
		{"malformed public half", encode("PUBLIC KEY", public[:9]), false, false},
		{"RSA", private(must(rsa.GenerateKey(rand.Reader, 2048))), false, true}, // Verify refuses it
		{"X25519", private(must(ecdh.X25519().GenerateKey(rand.Reader))), false, false},
		{"malformed", encode("PRIVATE KEY", []byte("x")), false, false},
		{"certificate", encode("CERTIFICATE", public), false, false},
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
	if _, err := audit.LoadKey("file:none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("LoadKey() of a missing file error = %v, want %v", err, os.ErrNotExist)
	}
	if _, err := audit.ReadPublicKey("none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ReadPublicKey() of a missing file error = %v, want %v", err, os.ErrNotExist)
	}
}
