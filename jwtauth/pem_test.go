// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// The key of a file signs tokens, and its public half verifies them.
func TestKeysFromPEM(t *testing.T) {
	dir := t.TempDir()
	write := func(name, kind string, der []byte, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must(x509.MarshalPKCS8PrivateKey(key))
	private := write("key.pem", "PRIVATE KEY", der, 0o600)
	public := write("public.pem", "PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key.Public())), 0o600)
	signer, err := jwtauth.LoadPrivateKey("file:" + private)
	if err != nil || !key.PublicKey.Equal(signer.Public()) {
		t.Fatalf("LoadPrivateKey() = %v, want the key", err)
	}
	if _, err := jwtauth.NewKeyRing(jwtauth.SigningKey{Algorithm: jwtauth.ES256, Private: signer}); err != nil {
		t.Errorf("NewKeyRing(loaded key) error = %v, want nil", err)
	}
	if got, err := jwtauth.ReadPublicKey(public); err != nil || !key.PublicKey.Equal(got) {
		t.Errorf("ReadPublicKey() = %v, %v, want the public half", got, err)
	}

	open := write("open.pem", "PRIVATE KEY", der, 0o644)
	for want, ref := range map[string]string{
		"must be env:NAME": private, "file:" + public + `: is a "PUBLIC KEY"`: "file:" + public, "file:none: no such file": "file:none", "gives other users access": "file:" + open,
	} {
		if ref == "file:"+open && runtime.GOOS == "windows" {
			continue
		}
		if _, err := jwtauth.LoadPrivateKey(ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("LoadPrivateKey(%s) error = %v, want %s", ref, err, want)
		}
	}
	certificate := write("certificate.pem", "CERTIFICATE", der, 0o644)
	for path, want := range map[string]string{"none": "open none: no such file", certificate: certificate + `: is a "CERTIFICATE"`} {
		if _, err := jwtauth.ReadPublicKey(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ReadPublicKey(%s) error = %v, want %s", path, err, want)
		}
	}
}

func ExampleLoadPrivateKey() {
	_, err := jwtauth.LoadPrivateKey("-----BEGIN PRIVATE KEY-----") // not the key itself
	fmt.Println(err)
	// Output: jwtauth: private key: gatehouse: secret: must be env:NAME or file:PATH, not the secret itself
}
