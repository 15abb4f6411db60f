// SPDX-License-Identifier: Apache-2.0

package mtls_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/mtls"
)

// Tokens that are bound to self-signed certificates, over connections that verify
// none. The certificates are those of callers only if they lead to a root.
//
// Covers RFC 8705 §6.2.
func TestSelfSignedCertificates(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	revoked := issue(nil, nil)
	roots, _ := rootsOf(t, root)
	certificates := func(change func(*mtls.Config)) *mtls.Authenticator {
		config := mtls.Config{Subjects: subjects, Revoked: func(_ context.Context, leaf *x509.Certificate) (bool, error) {
			return leaf.Equal(revoked.certificate), nil
		}}
		change(&config)
		return must(mtls.New(config))
	}
	allowed := certificates(func(c *mtls.Config) { c.AllowUnverifiedCertificates = true })
	allowedBesideRoots := certificates(func(c *mtls.Config) { c.AllowUnverifiedCertificates, c.Roots = true, roots })
	strict := certificates(func(*mtls.Config) {})
	// What openssl req -x509 makes: a certificate of a CA without usages.
	selfSigned := issue(nil, func(c *x509.Certificate) { named(billing)(c); c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, 0, nil })
	expired := issue(nil, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	future := issue(nil, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })
	for _, test := range []struct {
		name        string
		by          *mtls.Authenticator
		certificate *pair
		bound       *pair // the certificate of the token, nil for none
		status      int
		reason      gatehouse.Reason
	}{
		{"bound", allowed, selfSigned, selfSigned, 200, ""},
		{"bound, beside roots", allowedBesideRoots, selfSigned, selfSigned, 200, ""},
		{"with a certificate of the roots", allowedBesideRoots, client, client, 200, ""},
		{"another one", allowed, issue(nil, nil), selfSigned, 401, mtls.ReasonThumbprint},
		{"expired", allowed, expired, expired, 401, mtls.ReasonExpired},
		{"expired, beside roots", allowedBesideRoots, expired, expired, 401, mtls.ReasonExpired},
		{"not valid yet", allowed, future, future, 401, mtls.ReasonExpired},
		{"revoked", allowed, revoked, revoked, 401, mtls.ReasonRevoked},
		{"of the roots, without the usage of a client", allowedBesideRoots, noUsage, noUsage, 401, mtls.ReasonUsage},
		{"not allowed", strict, selfSigned, selfSigned, 401, mtls.ReasonUntrusted},
		{"as a caller", allowed, selfSigned, nil, 401, mtls.ReasonUntrusted},
		{"as a caller, beside roots", allowedBesideRoots, selfSigned, nil, 401, mtls.ReasonUntrusted},
	} {
		t.Run(test.name, func(t *testing.T) {
			tokens := must(jwtauth.New(jwtauth.Config{
				Issuers: []jwtauth.Issuer{{
					URL: issuer.URL, Audiences: []string{"https://api.example.com"}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover(),
				}},
				Confirmers: []gatehouse.Confirmer{test.by},
			}))
			t.Cleanup(func() { _ = tokens.Close() })
			var seen recorder
			s := server(t, gateOf(&seen, test.by, tokens), func(base *tls.Config) *tls.Config {
				base.ClientAuth = tls.RequestClientCert
				return base
			})
			c := clientOf(t, s, func(config *tls.Config) { config.Certificates = []tls.Certificate{test.certificate.tls()} })
			for range 2 { // the second time with what the authenticator remembers
				r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, http.NoBody))
				if test.bound != nil {
					r.Header.Set("Authorization", "Bearer "+issuer.Token(authtest.Claims{"cnf": map[string]any{"x5t#S256": mtls.Thumbprint(test.bound.certificate)}}))
				}
				response := must(c.Do(r))
				_ = response.Body.Close()
				equal(t, "status", response.StatusCode, test.status)
				equal(t, "reason", seen.reason(), test.reason)
			}
		})
	}
}
