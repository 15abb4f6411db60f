// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/mtls"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// authority is a CA with the certificates of a test.
type authority struct {
	key  *ecdsa.PrivateKey
	root *x509.Certificate
	file string // of the root
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	root := a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.key, a.root = root.PrivateKey.(*ecdsa.PrivateKey), must(x509.ParseCertificate(root.Certificate[0]))
	a.file = writeFile(t, t.TempDir(), "ca.pem", certificatePEM(root))
	return a
}

// issue issues a certificate, a self-signed one if there is no root.
func (a *authority) issue(template *x509.Certificate) tls.Certificate {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template.SerialNumber = must(rand.Int(rand.Reader, big.NewInt(1<<62)))
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(time.Hour)
	parent, signer := a.root, a.key
	if parent == nil {
		parent, signer = template, key
		template.NotAfter = template.NotAfter.Add(time.Hour) // the certificates of a CA end before it
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) server() tls.Certificate {
	return a.issue(&x509.Certificate{DNSNames: []string{"localhost"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

func (a *authority) client(uri string) tls.Certificate {
	return a.issue(&x509.Certificate{URIs: []*url.URL{must(url.Parse(uri))}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// trust returns the TLS settings of a client that trusts the CA.
func (a *authority) trust(certificates ...tls.Certificate) *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(a.root)
	config := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if len(certificates) > 0 { // also if the server does not name its CA
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificates[0], nil }
	}
	return config
}

func certificatePEM(c tls.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
}

func keyPEM(key any) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))}))
}

// boundOrigin is the public origin of all nodes of the API.
const boundOrigin = "https://api.example.com"

// boundNode is one server of an API that accepts bound tokens: JWTs, and opaque ones.
type boundNode struct {
	recorder
	url string
}

// startBoundNode starts a node. unverified makes it accept self-signed certificates.
func startBoundNode(t *testing.T, a *authority, p *provider.Provider, rs oauth.Config, replays dpop.ReplayStore, unverified bool) *boundNode {
	t.Helper()
	roots := must(mtls.NewRoots(mtls.RootsConfig{File: a.file}))
	certificates := must(mtls.New(mtls.Config{Roots: roots, AllowUnverifiedCertificates: unverified}))
	proofs := must(dpop.New(dpop.Config{PublicOrigin: boundOrigin, Replays: replays, NonceKeys: []gatehouse.Secret{nonceKey}}))
	confirmers := []gatehouse.Confirmer{certificates, proofs}
	tokens := must(jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{issuer(p, jwtauth.ES256, jwtauth.Discover())}, Confirmers: confirmers,
		Transport: &http.Transport{TLSClientConfig: a.trust()},
	}))
	introspector := must(oauth.NewIntrospector(oauth.IntrospectorConfig{
		Endpoints: []oauth.IntrospectionEndpoint{{Client: newClient(t, rs), Audiences: []string{opaque}}}, Confirmers: confirmers, Cache: 5 * time.Second,
	}))
	n := &boundNode{}
	mux := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens, introspector}, Realm: "interop", Observer: &n.recorder})).Mux()
	mux.HandleFunc("GET /reports", func(w http.ResponseWriter, r *http.Request) {
		who, _ := gatehouse.FromContext(r.Context())
		_, _ = io.WriteString(w, who.Subject+" "+string(who.Binding))
	}, gatehouse.Authenticated)
	server := httptest.NewUnstartedServer(proofs.Nonces(mux))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.server()}, MinVersion: tls.VersionTLS12}
	if unverified {
		server.TLS.ClientAuth = tls.RequestClientCert
	} else {
		server.TLS = must(mtls.ServerTLS(server.TLS, roots))
	}
	server.StartTLS()
	t.Cleanup(func() {
		server.Close()
		_ = tokens.Close()
		_ = introspector.Close()
	})
	n.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return n
}

// outcome is what a caller gets, and the reason in the log.
type outcome struct {
	Status int
	Text   string // the caller and its binding, or the error code
	Reason gatehouse.Reason
}

// get sends a request. It fails with an error if the handshake does.
func (n *boundNode) get(t *testing.T, settings *tls.Config, header http.Header) (outcome, http.Header, error) {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, n.url+"/reports", http.NoBody))
	r.Header = header
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true}, Timeout: time.Minute}
	response, err := client.Do(r)
	if err != nil {
		return outcome{}, nil, err
	}
	defer response.Body.Close()
	body := must(io.ReadAll(response.Body))
	o := outcome{Status: response.StatusCode, Text: string(body), Reason: n.why()}
	if o.Status != http.StatusOK {
		o.Text, _ = object(t, o.Text)["error"].(string)
	}
	return o, response.Header, nil
}

// replaysOf returns the store of used proofs of two nodes.
func replaysOf(t *testing.T, driver string) (nodes [2]dpop.ReplayStore) {
	t.Helper()
	if driver == "redis" {
		options := must(redis.ParseURL(enginetest.StartRedis(t).URL()))
		options.ContextTimeoutEnabled = true
		for i := range nodes {
			client := redis.NewClient(options)
			t.Cleanup(func() { _ = client.Close() })
			nodes[i] = must(redisstore.New(redisstore.Config{Client: client})).Replays()
		}
		return nodes
	}
	dsn := enginetest.StartPostgres(t).Database(t)
	for i := range nodes {
		db := stdlib.OpenDB(*must(pgx.ParseConfig(dsn)))
		t.Cleanup(func() { _ = db.Close() })
		store := must(sqlstore.New(sqlstore.Config{DB: db, Dialect: sqlstore.Postgres}))
		if err := store.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		nodes[i] = store.Replays()
	}
	return nodes
}
