// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
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
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// A static key without an ID verifies tokens with any kid, and is the only key for its
// algorithm.
func TestStaticKeyWithoutID(t *testing.T) {
	key := func(id string, a jwtauth.Algorithm) jwtauth.Key {
		return jwtauth.Key{ID: id, Algorithm: a, Public: keyFor(a).public}
	}
	open := func(keys ...jwtauth.Key) (*jwtauth.Authenticator, error) {
		return jwtauth.New(issuerConfig(func(i *jwtauth.Issuer) { i.Keys, i.Algorithms = jwtauth.StaticKeys(keys...), asymmetric }))
	}
	a := must(open(key("", jwtauth.ES256), key("", jwtauth.RS256), key("named", jwtauth.EdDSA), key("other", jwtauth.EdDSA)))
	for _, test := range []struct {
		algorithm jwtauth.Algorithm
		kid       any
		want      gatehouse.Reason
	}{
		{jwtauth.ES256, "any", ""},
		{jwtauth.ES256, nil, ""},
		{jwtauth.RS256, "any", ""},
		{jwtauth.EdDSA, "named", ""},
		{jwtauth.EdDSA, "other", ""},
		{jwtauth.EdDSA, "any", jwtauth.ReasonKey},
		{jwtauth.PS256, "any", jwtauth.ReasonKey},
	} {
		check(t, a, test, keyFor(test.algorithm).token(object{"kid": test.kid}, nil), test.want)
	}
	ed := key("", jwtauth.EdDSA)
	ed.Algorithm = jwtauth.Ed25519
	for want, keys := range map[string][]jwtauth.Key{
		"Keys[0].ID: required, because Keys[1] has the same algorithm": {key("", jwtauth.ES256), key("k2", jwtauth.ES256)},
		"Keys[1].ID: required, because Keys[0] has the same algorithm": {key("k1", jwtauth.EdDSA), ed},
	} {
		if _, err := open(keys...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New error = %v, want %q in it", err, want)
		}
	}
}

// Ed25519 and EdDSA are names of one algorithm: a key verifies tokens with both names,
// if Issuer.Algorithms has the name of the token.
//
// Covers RFC 7517 §4.4.
func TestEd25519(t *testing.T) {
	public := edKey().Public().(ed25519.PublicKey)
	for _, test := range []struct {
		jwk, token jwtauth.Algorithm
		configured []jwtauth.Algorithm
		want       gatehouse.Reason
	}{
		{"Ed25519", "Ed25519", []jwtauth.Algorithm{jwtauth.Ed25519}, ""},
		{"EdDSA", "Ed25519", []jwtauth.Algorithm{jwtauth.Ed25519}, ""},
		{"Ed25519", "EdDSA", []jwtauth.Algorithm{jwtauth.EdDSA, jwtauth.Ed25519}, ""},
		{"Ed25519", "EdDSA", []jwtauth.Algorithm{jwtauth.Ed25519}, jwtauth.ReasonAlgorithm},
		{"EdDSA", "Ed25519", []jwtauth.Algorithm{jwtauth.EdDSA}, jwtauth.ReasonAlgorithm},
		{"Ed448", "Ed25519", []jwtauth.Algorithm{jwtauth.Ed25519}, jwtauth.ReasonKeysUnavailable},
	} {
		s := &keyServer{serve: keySet(edJWK("k1", public, `,"alg":"`+string(test.jwk)+`"`))}
		a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.Issuers[0].Algorithms = test.configured }))
		check(t, a, test, keyFor(jwtauth.EdDSA).token(object{"alg": string(test.token)}, nil), test.want)
	}
	for _, algorithm := range []jwtauth.Algorithm{jwtauth.EdDSA, jwtauth.Ed25519} {
		ring := newRing(jwtauth.SigningKey{Algorithm: algorithm, Private: edKey()})
		signed := must(newSigner(jwtauth.SignerConfig{Issuer: issuerURL, Keys: ring}).Sign(goodToken()))
		s := &keyServer{serve: ring.ServeHTTP}
		a := newAuthenticator(t, remoteConfig(s, func(c *jwtauth.Config) { c.Issuers[0].Algorithms = []jwtauth.Algorithm{algorithm} }))
		check(t, a, algorithm, string(signed.Token.Reveal()), "")
	}
}

// An unusable key in the file is an error of New, and later is dropped as in a remote
// set.
func TestKeyFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "keys.json")
	open := func(change ...func(*jwtauth.Config)) (*jwtauth.Authenticator, error) {
		return jwtauth.New(config(append(change, func(c *jwtauth.Config) { c.Issuers[0].Keys = jwtauth.KeyFile(name) })...))
	}
	write := func(keys ...string) {
		noError(t, os.WriteFile(name, []byte(`{"keys":[`+strings.Join(keys, ",")+`]}`), 0o600))
	}
	key := ecJWK("k1", keyFor(jwtauth.ES256))
	for want, text := range map[string]string{
		"has no key for": `{"keys":[]}`, "key 1 is not a JWK": `{"keys":[` + key + `,{}]}`, "not a JWK Set": "keys",
		"more than 524288 bytes": `{"keys":[` + strings.Repeat(" ", 512<<10) + key + `]}`,
	} {
		noError(t, os.WriteFile(name, []byte(text), 0o600))
		if _, err := open(); err == nil || !strings.Contains(err.Error(), name+": ") || !strings.Contains(err.Error(), want) {
			t.Errorf("New error = %v, want %s, %q in it", err, name, want)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		write(key)
		observer, causes := observe(t, jwtauth.EventKeyDropped)
		a := must(open(observer))
		noError(t, os.Remove(name)) // New has read it
		check(t, a, "first key", token(nil, nil), "")
		write(ecJWK("k2", keyFor(jwtauth.ES256)), `{"kty":"oct"}`, "{}")
		time.Sleep(time.Second)
		check(t, a, "new key", token(object{"kid": "k2"}, nil), "")
		check(t, a, "withdrawn key", token(nil, nil), jwtauth.ReasonKey)
		noError(t, a.Close())
		if got := causes(); len(got) != 2 || !strings.Contains(got[0], name+": key 1 ") || !strings.Contains(got[1], name+": key 2 ") {
			t.Errorf("causes of the events = %q, want two that name %s and the key", got, name)
		}
	})
}

// The key of a file signs tokens, and its public half verifies them.
func TestKeysFromPEM(t *testing.T) {
	dir := t.TempDir()
	write := func(name, kind string, der []byte, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		noError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode))
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
