// SPDX-License-Identifier: Apache-2.0

package rpctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Caller is an authenticator of the scheme Toy, whose credential is the subject. It
// returns Err, if there is one.
type Caller struct {
	Expires time.Time
	Err     error
	Header  http.Header // of the proof
}

// Reads implements [gatehouse.Authenticator].
func (Caller) Reads() gatehouse.Reads {
	return gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Toy"}}}
}

// Authenticate implements [gatehouse.Authenticator].
func (c Caller) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	subject, err := gatehouse.Authorization(r, "Toy")
	if err != nil {
		return gatehouse.Proof{}, err
	}
	if c.Err != nil {
		return gatehouse.Proof{}, c.Err
	}
	proof := gatehouse.NewProof(&gatehouse.Principal{Method: "toy", Subject: subject, Expires: c.Expires})
	proof.Header = c.Header
	return proof, nil
}

// Gate returns a gate with the realm acme.
func Gate(authenticators ...gatehouse.Authenticator) *gatehouse.Gate {
	return must(gatehouse.New(gatehouse.Config{Authenticators: authenticators, Realm: "acme"}))
}

// Issuer returns an issuer for attacks on a method, which needs the scope reports:read.
func Issuer(t *testing.T, method string) *authtest.Issuer {
	return authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}, Target: method, Scope: "reports:read"})
}

// Tokens returns an authenticator of the tokens of an issuer.
func Tokens(issuer *authtest.Issuer, confirmers ...gatehouse.Confirmer) gatehouse.Authenticator {
	return must(jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{{
			URL: issuer.URL, Audiences: []string{issuer.Audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover(),
		}},
		Confirmers: confirmers,
	}))
}

// Certificate returns a certificate for a URI, signed by the parent or by itself.
func Certificate(parent *tls.Certificate, uri string) *tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
	}
	c := &tls.Certificate{PrivateKey: key}
	signer, signed := key, template
	if parent == nil {
		template.IsCA, template.KeyUsage = true, x509.KeyUsageCertSign
	} else {
		template.URIs = []*url.URL{must(url.Parse(uri))}
		signer, signed = parent.PrivateKey.(*ecdsa.PrivateKey), parent.Leaf
	}
	der := must(x509.CreateCertificate(rand.Reader, template, signed, key.Public(), signer))
	c.Certificate, c.Leaf = [][]byte{der}, must(x509.ParseCertificate(der))
	return c
}
