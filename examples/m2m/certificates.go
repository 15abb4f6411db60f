// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// authority is a CA for one run: its key is never written to a file.
type authority struct {
	dir     string // gets NAME.pem and NAME-key.pem
	key     *ecdsa.PrivateKey
	root    *x509.Certificate
	serials int64
}

// newAuthority creates a CA and writes its certificate to ca.pem.
func newAuthority(dir string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	a := &authority{dir: dir, key: key}
	a.root = &x509.Certificate{
		Subject: pkix.Name{CommonName: "m2m CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := a.sign(a.root, key.Public())
	if err != nil {
		return nil, err
	}
	if a.root, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return a, a.write("ca.pem", "CERTIFICATE", der)
}

func (a *authority) sign(template *x509.Certificate, public crypto.PublicKey) ([]byte, error) {
	a.serials++
	template.SerialNumber = big.NewInt(a.serials)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	return x509.CreateCertificate(rand.Reader, template, a.root, public, a.key)
}

// server issues a certificate for localhost.
func (a *authority) server(name string) error {
	return a.issue(name, &x509.Certificate{DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

// client issues a certificate for a service with a SPIFFE ID.
func (a *authority) client(name, id string) error {
	u, err := url.Parse(id)
	if err != nil {
		return err
	}
	return a.issue(name, &x509.Certificate{URIs: []*url.URL{u}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

func (a *authority) issue(name string, template *x509.Certificate) error {
	public, err := a.newKey(name + "-key.pem")
	if err != nil {
		return err
	}
	template.Subject, template.KeyUsage = pkix.Name{CommonName: name}, x509.KeyUsageDigitalSignature
	der, err := a.sign(template, public)
	if err != nil {
		return err
	}
	return a.write(name+".pem", "CERTIFICATE", der)
}

// newKey writes a new private key and returns the public one.
func (a *authority) newKey(file string) (crypto.PublicKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key.Public(), a.write(file, "PRIVATE KEY", der)
}

func (a *authority) write(name, kind string, der []byte) error {
	return os.WriteFile(filepath.Join(a.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
