// SPDX-License-Identifier: Apache-2.0

package mtls_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/mtls"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// pair is a certificate with its key.
type pair struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issue makes a certificate that by has signed, itself if by is nil. The usual
// one is that of a TLS client.
func issue(by *pair, change func(*x509.Certificate)) *pair {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, big.NewInt(1<<62))),
		Subject:      pkix.Name{CommonName: "test"},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	if change != nil {
		change(template)
	}
	if by == nil {
		by = &pair{template, key}
	}
	der := must(x509.CreateCertificate(rand.Reader, template, by.certificate, &key.PublicKey, by.key))
	return &pair{must(x509.ParseCertificate(der)), key}
}

func authority(by *pair) *pair {
	return issue(by, func(c *x509.Certificate) {
		c.Subject.CommonName = must(rand.Int(rand.Reader, big.NewInt(1<<62))).String()
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
		c.NotAfter = c.NotAfter.Add(time.Hour) // later than that of each certificate that it signs
	})
}

// named adds URIs to the certificate.
func named(uris ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		for _, u := range uris {
			c.URIs = append(c.URIs, must(url.Parse(u)))
		}
	}
}

func (p *pair) tls(intermediates ...*pair) tls.Certificate {
	c := tls.Certificate{Certificate: [][]byte{p.certificate.Raw}, PrivateKey: p.key}
	for _, i := range intermediates {
		c.Certificate = append(c.Certificate, i.certificate.Raw)
	}
	return c
}

// header returns the certificate as RFC 9440 writes it.
func (p *pair) header() string {
	return ":" + base64.StdEncoding.EncodeToString(p.certificate.Raw) + ":"
}

func pemOf(pairs ...*pair) []byte {
	var text []byte
	for _, p := range pairs {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.certificate.Raw})...)
	}
	return text
}

func write(t testing.TB, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// rootsOf writes a file of roots.
func rootsOf(t testing.TB, pairs ...*pair) (*mtls.Roots, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "roots.pem")
	write(t, file, pemOf(pairs...))
	return must(mtls.NewRoots(mtls.RootsConfig{File: file})), file
}

const billing = "spiffe://example.org/billing"

var (
	root     = authority(nil)
	client   = issue(root, named(billing))
	subjects = []mtls.Subject{{SAN: "uri:" + billing, Subject: "billing", Tenant: "acme", Scopes: []string{"reports:read"}, Roles: []string{"reader"}}}
	loopback = []netip.Prefix{netip.MustParsePrefix("::ffff:127.0.0.1/128")} // which New unmaps
)

// recorder keeps the last event.
type recorder struct {
	mu   sync.Mutex
	last gatehouse.Event
	all  []string // the type and the level of each, and whether it has a cause
}

func (r *recorder) Observe(_ context.Context, e gatehouse.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = e
	r.all = append(r.all, fmt.Sprint(e.Type, e.Level, e.Cause != nil))
	return nil
}

func (r *recorder) reason() gatehouse.Reason {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last.Reason
}

// gateOf returns a handler that says who calls.
func gateOf(observer gatehouse.Observer, authenticators ...gatehouse.Authenticator) http.Handler {
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: authenticators, Realm: "test", Observer: observer}))
	return gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		w.Header().Set("Subject", p.Subject)
		w.Header().Set("Binding", string(p.Binding))
		if len(r.Header["Client-Cert"])+len(r.Header["Client-Cert-Chain"]) > 0 {
			w.WriteHeader(http.StatusTeapot)
		}
	}))
}

// check serves r and checks the status of the response, and the reason of the event.
func (r *recorder) check(t *testing.T, h http.Handler, request *http.Request, status int, reason gatehouse.Reason) http.Header {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, request)
	equal(t, "status", w.Code, status)
	equal(t, "reason", r.reason(), reason)
	return w.Header()
}

// server serves handler over TLS with a certificate for localhost.
func server(t *testing.T, handler http.Handler, configure func(*tls.Config) *tls.Config) *httptest.Server {
	t.Helper()
	ca := authority(nil)
	own := issue(ca, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		c.DNSNames = []string{"localhost", "other.example.org"}
	})
	s := httptest.NewUnstartedServer(handler)
	s.TLS = configure(&tls.Config{Certificates: []tls.Certificate{own.tls()}})
	s.EnableHTTP2, s.Config.ErrorLog = true, slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(ca.certificate)
	s.URL = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	s.Client().Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: pool, ServerName: "localhost"}
	return s
}

// clientOf returns a client with the certificates.
func clientOf(t *testing.T, s *httptest.Server, change func(*tls.Config)) *http.Client {
	t.Helper()
	config := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	change(config)
	if certificates := config.Certificates; len(certificates) > 0 {
		// Without this, a client sends only certificates of the CAs that the server names.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificates[0], nil }
	}
	transport := &http.Transport{TLSClientConfig: config, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(!slices.Equal(config.NextProtos, []string{"h2"}))
	transport.Protocols.SetHTTP2(!slices.Equal(config.NextProtos, []string{"http/1.1"}))
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// get returns the response to a GET, and its status, 0 if the handshake failed.
func get(t *testing.T, c *http.Client, address string) (*http.Response, int) {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody))
	response, err := c.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); !ok || e == nil {
			t.Fatal(err)
		}
		return nil, 0
	}
	response.Body.Close()
	return response, response.StatusCode
}
