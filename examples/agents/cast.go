// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// cast are the parties of the story: the server, the issuer of people, the agent and a
// partner.
type cast struct {
	origin string // of the server
	dir    string // of its files
	apiKey string
	stop   func() error // stops the server; the audit log is then closed

	people  *jwtauth.Signer
	key     *ecdsa.PrivateKey // of the agent
	ca      *authority
	client  *http.Client // of the agent, with its certificate
	browser *http.Client // of people, without one
	partner *httptest.Server
	issuer  *httptest.Server
}

const agentID = "helper-1"

// newCast starts the parties.
func newCast(ctx context.Context) (*cast, error) {
	c := &cast{}
	var err error
	if c.dir, err = os.MkdirTemp("", "agents"); err != nil {
		return nil, err
	}
	c.partner = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }))
	if err := c.startIssuer(); err != nil {
		return nil, err
	}
	if c.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	if err := c.makeCertificates(); err != nil {
		return nil, err
	}
	return c, c.startServer(ctx)
}

// startIssuer starts the issuer of people.
func (c *cast) startIssuer() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	keys, err := jwtauth.NewKeyRing(jwtauth.SigningKey{Algorithm: jwtauth.ES256, Private: key})
	if err != nil {
		return err
	}
	c.issuer = httptest.NewServer(keys)
	c.people, err = jwtauth.NewSigner(jwtauth.SignerConfig{Issuer: c.issuer.URL, Keys: keys})
	return err
}

// startServer starts the server with a configuration file's worth of settings.
func (c *cast) startServer(ctx context.Context) error {
	probe, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := probe.Addr().String()
	if err := probe.Close(); err != nil {
		return err
	}
	c.origin = "https://" + addr
	jwk, err := json.Marshal(map[string]string{
		"kty": "EC", "crv": "P-256", "x": coordinate(c.key.X), "y": coordinate(c.key.Y),
	})
	if err != nil {
		return err
	}
	for _, name := range []string{"tokens", "audit"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		if err := c.writeKey(name, key); err != nil {
			return err
		}
	}
	file := func(name string) string { return "file:" + filepath.Join(c.dir, name) }
	settings := &config{
		Addr: addr, PublicOrigin: c.origin,
		TLS:        &tlsConfig{Cert: file("server.pem"), Key: file("server.key"), ClientCA: filepath.Join(c.dir, "ca.pem")},
		Issuers:    []issuerConfig{{Issuer: c.issuer.URL, Audience: c.origin + "/mcp", Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, JWKSURL: c.issuer.URL}},
		APIKeys:    &keysConfig{Driver: "memory", Mint: []mintConfig{{Name: "reader", Tenant: "acme", Scopes: []string{"data:read", "data:write"}}}},
		Store:      storeConfig{Driver: "memory"},
		SigningKey: file("tokens.key"),
		Agents:     []agentConfig{{ID: agentID, Tenant: "acme", Owner: "alice", Roles: []string{"executor"}, JWK: jwk, Attestation: "key"}},
		Roles:      map[string][]string{"executor": allScopes},
		Audit:      &auditConfig{Path: filepath.Join(c.dir, "audit.jsonl"), SigningKey: file("audit.key")},
	}
	ctx, cancel := context.WithCancel(ctx)
	lines, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := serve(ctx, settings, out, slog.New(slog.DiscardHandler))
		_ = out.CloseWithError(errors.Join(err, io.ErrClosedPipe))
		ended <- err
	}()
	c.stop = func() error {
		cancel()
		return <-ended
	}
	for {
		var word, first, second string
		if _, err := fmt.Fscan(lines, &word, &first); err != nil {
			return err
		}
		if word == "listening" {
			return nil
		}
		if _, err := fmt.Fscan(lines, &second); err != nil {
			return err
		}
		c.apiKey = second
	}
}

// close ends the parties.
func (c *cast) close() {
	for _, s := range []*httptest.Server{c.issuer, c.partner} {
		if s != nil {
			s.Close()
		}
	}
	_ = os.RemoveAll(c.dir)
}

// person returns an access token of a person of the tenant acme.
func (c *cast) person(name string, roles ...string) (string, error) {
	scopes, _ := gatehouse.NewScopes("data:read", "data:write", "external:invoke")
	r, err := gatehouse.NewRoles(roles...)
	if err != nil {
		return "", err
	}
	signed, err := c.people.Sign(jwtauth.AccessToken{
		Subject: name, Audience: c.origin + "/mcp", Client: "portal", Scopes: scopes, Tenant: "acme", Roles: r,
	})
	if err != nil {
		return "", err
	}
	return string(signed.Token.Reveal()), nil
}

// token gets a token from the server, with an assertion of the agent.
func (c *cast) token(ctx context.Context, parameters url.Values) (string, error) {
	assertion, err := sign(c.key, map[string]any{
		"iss": agentID, "sub": agentID, "aud": c.origin, "jti": rand.Text(), "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
	})
	if err != nil {
		return "", err
	}
	parameters.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	parameters.Set("client_assertion", assertion)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.origin+"/token", strings.NewReader(parameters.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer struct {
		Token string `json:"access_token"`
		Error string `json:"error"`
	}
	if err := c.json(c.client, request, &answer); err != nil {
		return "", err
	}
	if answer.Token == "" {
		return "", errors.New(answer.Error)
	}
	return answer.Token, nil
}

// json sends a request and decodes the answer, if out is not nil.
func (c *cast) json(client *http.Client, request *http.Request, out any) error {
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil || out == nil {
		return err
	}
	return json.Unmarshal(body, out)
}

// decide approves an approval as a person.
func (c *cast) decide(ctx context.Context, token, id string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.origin+"/approvals/"+id, strings.NewReader(`{"decision":"approve","reason":"as agreed"}`))
	if err != nil {
		return "", err
	}
	request.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "Authorization": {"Bearer " + token}}
	var answer struct {
		Status string `json:"status"`
		Error  string `json:"error"`
	}
	if err := c.json(c.browser, request, &answer); err != nil {
		return "", err
	}
	if answer.Status != "" {
		return answer.Status, nil
	}
	return answer.Error, nil
}

// call calls a tool with the client of the official SDK. The result has the structured
// content, or the error of the answer.
func (c *cast) call(ctx context.Context, client *http.Client, header, name string, arguments any) (map[string]any, error) {
	field, value, _ := strings.Cut(header, ": ")
	authorized := &http.Client{Transport: withHeader{client.Transport, field, value}}
	transport := &sdk.StreamableClientTransport{Endpoint: c.origin + "/mcp", HTTPClient: authorized, MaxRetries: -1, DisableStandaloneSSE: true}
	session, err := sdk.NewClient(&sdk.Implementation{Name: "story", Version: "1.0.0"}, nil).Connect(ctx, transport, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = session.Close() }()
	result, err := session.CallTool(ctx, &sdk.CallToolParams{Name: name, Arguments: arguments})
	if err != nil {
		return nil, err
	}
	content, _ := result.StructuredContent.(map[string]any)
	return content, nil
}

// withHeader adds the credential to each request.
type withHeader struct {
	base        http.RoundTripper
	name, value string
}

func (t withHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(t.name, t.value)
	return t.base.RoundTrip(r)
}

func coordinate(n *big.Int) string {
	return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, 32)))
}

// sign returns a JWT with ES256.
func sign(key *ecdsa.PrivateKey, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	digest := digestOf(input)
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		return "", err
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return input + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

func (c *cast) writeKey(name string, key crypto.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return c.writePEM(name+".key", "PRIVATE KEY", der)
}

func (c *cast) writePEM(name, kind string, der []byte) error {
	var b bytes.Buffer
	if err := pem.Encode(&b, &pem.Block{Type: kind, Bytes: der}); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.dir, name), b.Bytes(), 0o600)
}

// authority is a CA.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	serial      int64
}

// issue returns a certificate with its key.
func (a *authority) issue(name string, usage x509.ExtKeyUsage, addresses ...net.IP) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	a.serial++
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name}, IPAddresses: addresses,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// client returns an HTTP client that trusts the CA, with client certificates.
func (a *authority) client(certificates ...tls.Certificate) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certificates, MinVersion: tls.VersionTLS12}}
	return &http.Client{Transport: transport, Timeout: 30 * time.Second}
}

// makeCertificates makes a CA, the certificate of the server and that of the agent.
func (c *cast) makeCertificates() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	c.ca = &authority{certificate: certificate, key: key, serial: 1}
	server, err := c.ca.issue("server", x509.ExtKeyUsageServerAuth, net.IPv4(127, 0, 0, 1))
	if err != nil {
		return err
	}
	agent, err := c.ca.issue(agentID, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return err
	}
	c.client, c.browser = c.ca.client(agent), c.ca.client()
	return errors.Join(
		c.writePEM("ca.pem", "CERTIFICATE", der), c.writePEM("server.pem", "CERTIFICATE", server.Certificate[0]),
		c.writeKey("server", server.PrivateKey),
	)
}
