// SPDX-License-Identifier: Apache-2.0

package mtls_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/mtls"
)

func usage(key x509.KeyUsage, extended ...x509.ExtKeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		named(billing)(c)
		c.KeyUsage, c.ExtKeyUsage = key, extended
	}
}

// Real handshakes, over TLS 1.2 and 1.3, HTTP/1.1 and HTTP/2.
//
// Covers RFC 9440 §2.4 (cache).
func TestHandshakes(t *testing.T) {
	const signing, clientAuth = x509.KeyUsageDigitalSignature, x509.ExtKeyUsageClientAuth
	intermediate := authority(root)
	second := authority(intermediate)
	behind := issue(intermediate, named(billing))
	past := func(c *x509.Certificate) {
		named(billing)(c)
		c.NotAfter = time.Now().Add(-time.Minute)
	}
	future := func(c *x509.Certificate) {
		named(billing)(c)
		c.NotBefore = time.Now().Add(time.Minute)
	}
	ca := func(c *x509.Certificate) {
		usage(signing|x509.KeyUsageCertSign, clientAuth)(c)
		c.IsCA = true
	}
	others := append([]mtls.Subject{{SAN: "uri:spiffe://example.org/other", Subject: "other"}}, subjects...)
	for _, test := range []struct {
		name        string
		certificate []tls.Certificate
		status      int // 0 if the handshake fails
		reason      gatehouse.Reason
	}{
		{"good", []tls.Certificate{client.tls()}, 200, ""},
		{"with intermediate", []tls.Certificate{behind.tls(intermediate)}, 200, ""},
		{"with two intermediates", []tls.Certificate{issue(second, named(billing)).tls(second, intermediate)}, 200, ""},
		{"no key usage", []tls.Certificate{issue(root, usage(0, clientAuth)).tls()}, 200, ""},
		{"no certificate", nil, 401, gatehouse.ReasonNoCredentials},
		{"no row", []tls.Certificate{issue(root, named(billing+"/x")).tls()}, 401, gatehouse.ReasonNoCredentials},
		{"no name", []tls.Certificate{issue(root, nil).tls()}, 401, gatehouse.ReasonNoCredentials},
		{"two rows", []tls.Certificate{issue(root, named(billing, "spiffe://example.org/other")).tls()}, 401, gatehouse.ReasonNoCredentials},
		{"unknown CA", []tls.Certificate{issue(authority(nil), named(billing)).tls()}, 0, ""},
		{"self-signed", []tls.Certificate{issue(nil, named(billing)).tls()}, 0, ""},
		{"expired", []tls.Certificate{issue(root, past).tls()}, 0, ""},
		{"not valid yet", []tls.Certificate{issue(root, future).tls()}, 0, ""},
		{"intermediate missing", []tls.Certificate{behind.tls()}, 0, ""},
		{"for servers", []tls.Certificate{issue(root, usage(signing, x509.ExtKeyUsageServerAuth)).tls()}, 0, ""},
		{"no extended usage", []tls.Certificate{issue(root, usage(signing)).tls()}, 401, mtls.ReasonUsage},
		{"any extended usage", []tls.Certificate{issue(root, usage(signing, x509.ExtKeyUsageAny)).tls()}, 401, mtls.ReasonUsage},
		{"keyEncipherment only", []tls.Certificate{issue(root, usage(x509.KeyUsageKeyEncipherment, clientAuth)).tls()}, 401, mtls.ReasonUsage},
		{"a CA as leaf", []tls.Certificate{issue(root, ca).tls()}, 401, mtls.ReasonUsage},
		{"a CA without the usage of one", []tls.Certificate{issue(root, func(c *x509.Certificate) { named(billing)(c); c.IsCA = true }).tls()}, 401, mtls.ReasonUsage},
		{"certificate signing", []tls.Certificate{issue(root, usage(signing|x509.KeyUsageCertSign, clientAuth)).tls()}, 401, mtls.ReasonUsage},
		{"CRL signing", []tls.Certificate{issue(root, usage(signing|x509.KeyUsageCRLSign, clientAuth)).tls()}, 401, mtls.ReasonUsage},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, protocol := range []string{"h2", "http/1.1"} {
				t.Run(fmt.Sprintf("%s/%s/%s", test.name, tls.VersionName(version), protocol), func(t *testing.T) {
					roots, _ := rootsOf(t, root)
					var seen recorder
					s := server(t, gateOf(&seen, must(mtls.New(mtls.Config{Roots: roots, Subjects: others}))), func(base *tls.Config) *tls.Config {
						return must(mtls.ServerTLS(base, roots))
					})
					c := clientOf(t, s, func(config *tls.Config) {
						config.Certificates, config.MinVersion, config.MaxVersion = test.certificate, version, version
						config.NextProtos = []string{protocol}
					})
					response, status := get(t, c, s.URL)
					equal(t, "status", status, test.status)
					if status == 0 {
						return
					}
					equal(t, "reason", seen.reason(), test.reason)
					equal(t, "protocol", response.TLS.NegotiatedProtocol, protocol)
					if status == 200 {
						equal(t, "subject", response.Header.Get("Subject"), "billing")
						equal(t, "binding", response.Header.Get("Binding"), "mtls")
						equal(t, "Cache-Control", response.Header.Get("Cache-Control"), "no-store")
					}
				})
			}
		}
	}
}

// A session is resumed with its certificate, until the roots change: then its
// certificate is verified again, and open connections lose their credential.
func TestResumption(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			roots, file := rootsOf(t, root)
			var seen recorder
			s := server(t, gateOf(&seen, must(mtls.New(mtls.Config{Roots: roots, Subjects: subjects}))), func(base *tls.Config) *tls.Config {
				return must(mtls.ServerTLS(base, roots))
			})
			sessions := tls.NewLRUClientSessionCache(0)
			connect := func() *http.Client {
				return clientOf(t, s, func(config *tls.Config) {
					config.Certificates, config.MaxVersion, config.ClientSessionCache = []tls.Certificate{client.tls()}, version, sessions
				})
			}
			for _, resumed := range []bool{false, true} {
				response, status := get(t, connect(), s.URL)
				equal(t, "status", status, 200)
				equal(t, "resumed", response.TLS.DidResume, resumed)
			}
			open := connect()
			_, status := get(t, open, s.URL)
			equal(t, "status of the open connection", status, 200)

			other := authority(nil)
			write(t, file, pemOf(root, other))
			roots.Reread()
			_, status = get(t, open, s.URL)
			equal(t, "status with another root added", status, 200)

			write(t, file, pemOf(other))
			roots.Reread()
			_, status = get(t, open, s.URL)
			equal(t, "status of the open connection without its root", status, 401)
			equal(t, "reason", seen.reason(), mtls.ReasonUntrusted)
			_, status = get(t, connect(), s.URL)
			equal(t, "status of a new connection without its root", status, 0)
		})
	}
}

// crypto/tls does not verify certificates in these modes, so that the
// authenticator must: with roots itself, without by refusing.
func TestUnverifiedHandshake(t *testing.T) {
	roots, _ := rootsOf(t, root)
	stranger := issue(authority(nil), named(billing))
	for _, test := range []struct {
		name        string
		roots       *mtls.Roots
		certificate *pair
		status      int
	}{
		{"roots", roots, client, 200},
		{"roots, unknown CA", roots, stranger, 401},
		{"no roots", nil, client, 401},
		{"no roots, unknown CA", nil, stranger, 401},
	} {
		for _, mode := range []tls.ClientAuthType{tls.RequestClientCert, tls.RequireAnyClientCert} {
			t.Run(fmt.Sprint(test.name, mode), func(t *testing.T) {
				var seen recorder
				s := server(t, gateOf(&seen, must(mtls.New(mtls.Config{Roots: test.roots, Subjects: subjects}))), func(base *tls.Config) *tls.Config {
					base.ClientAuth = mode
					return base
				})
				c := clientOf(t, s, func(config *tls.Config) { config.Certificates = []tls.Certificate{test.certificate.tls()} })
				_, status := get(t, c, s.URL)
				if equal(t, "status", status, test.status); status == 401 {
					equal(t, "reason", seen.reason(), mtls.ReasonUntrusted)
				}
			})
		}
	}
}

// A connection can be made for one host and used for another. Without roots the
// authenticator relies on the handshake, which was for the first.
func TestMisdirected(t *testing.T) {
	pool := x509.NewCertPool()
	pool.AddCert(root.certificate)
	roots, _ := rootsOf(t, root)
	for _, test := range []struct {
		host   string
		roots  *mtls.Roots
		status int
	}{
		{"localhost", nil, 200},
		{"LOCALHOST:8443", nil, 200},
		{"other.example.org", nil, 421},
		{"api.localhost", nil, 421},
		{"other.example.org", roots, 200},
	} {
		var seen recorder
		s := server(t, gateOf(&seen, must(mtls.New(mtls.Config{Roots: test.roots, Subjects: subjects}))), func(base *tls.Config) *tls.Config {
			base.ClientAuth, base.ClientCAs = tls.VerifyClientCertIfGiven, pool
			return base
		})
		c := clientOf(t, s, func(config *tls.Config) { config.Certificates = []tls.Certificate{client.tls()} })
		r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, http.NoBody))
		r.Host = test.host
		response := must(c.Do(r))
		response.Body.Close()
		equal(t, test.host, response.StatusCode, test.status)
		if test.status == 421 {
			equal(t, "reason", seen.reason(), mtls.ReasonMisdirected)
		}
	}
}

// The handshakes with the same roots share a configuration, and a change of the roots does
// not change that of running handshakes.
func TestConfigurationOfHandshakes(t *testing.T) {
	roots, file := rootsOf(t, root)
	config := must(mtls.ServerTLS(&tls.Config{Certificates: []tls.Certificate{client.tls()}}, roots))
	get := func() (*tls.Config, *x509.CertPool) {
		c := must(config.GetConfigForClient(nil))
		return c, c.ClientCAs
	}
	first, before := get()
	write(t, file, pemOf(authority(nil)))
	roots.Reread()
	second, after := get()
	third, _ := get()
	if first.ClientCAs != before || second == first || third != second || after.Equal(before) {
		t.Errorf("configurations %p, %p and %p with the ClientCAs %p (%p before) and %p, want the second twice, with other ClientCAs", first, second, third, first.ClientCAs, before, after)
	}
}

func TestServerTLSReportsEveryMistake(t *testing.T) {
	roots, _ := rootsOf(t, root)
	if _, err := mtls.ServerTLS(nil, roots); err == nil {
		t.Error("ServerTLS(nil, roots) error = nil")
	}
	for _, roots := range []*mtls.Roots{nil, {}} {
		if _, err := mtls.ServerTLS(&tls.Config{}, roots); err == nil || !strings.Contains(err.Error(), "roots must come from NewRoots") {
			t.Errorf("ServerTLS with the roots %v: error = %v, want one of the roots", roots, err)
		}
	}
	_, err := mtls.ServerTLS(&tls.Config{
		ClientAuth: tls.RequestClientCert, ClientCAs: x509.NewCertPool(), MaxVersion: tls.VersionTLS11,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil },
	}, roots)
	for _, field := range []string{"Certificates", "GetConfigForClient", "ClientCAs", "MaxVersion", "ClientAuth"} {
		if err == nil || !strings.Contains(err.Error(), "base."+field) {
			t.Errorf("ServerTLS error = %v, want one about %s", err, field)
		}
	}
	base := &tls.Config{Certificates: []tls.Certificate{client.tls()}, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13}
	config := must(mtls.ServerTLS(base, roots))
	equal(t, "ClientAuth", config.ClientAuth, tls.RequireAndVerifyClientCert)
	equal(t, "MinVersion", config.MinVersion, tls.VersionTLS13)
	equal(t, "MinVersion by default", must(mtls.ServerTLS(&tls.Config{Certificates: base.Certificates}, roots)).MinVersion, tls.VersionTLS12)
	equal(t, "ClientCAs of base", base.ClientCAs, nil)
	equal(t, "config has ClientCAs", config.ClientCAs != nil, true)
	get := func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &base.Certificates[0], nil }
	must(mtls.ServerTLS(&tls.Config{GetCertificate: get, MaxVersion: tls.VersionTLS12}, roots))
}
