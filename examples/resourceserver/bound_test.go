// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// prover is a client with a key.
type prover struct {
	*dpop.Key
	private *ecdsa.PrivateKey
}

func newProver(t *testing.T) prover {
	t.Helper()
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	return prover{must(dpop.NewKey(dpop.ES256, private)), private}
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (p prover) jwk() object {
	point := must(p.private.PublicKey.Bytes())
	return object{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
}

// proof returns a proof for a request with a token. Changes replace claims, and the
// header parameters typ, alg and jwk.
func (p prover) proof(method, address, token string, changes object) string {
	hash := sha256.Sum256([]byte(token))
	header := object{"typ": "dpop+jwt", "alg": "ES256", "jwk": p.jwk()}
	claims := object{"htm": method, "htu": address, "ath": encode(hash[:]), "iat": time.Now().Unix(), "jti": rand.Text()}
	for name, value := range changes {
		if _, ok := header[name]; ok {
			header[name] = value
		} else {
			claims[name] = value
		}
	}
	part := func(o object) string { return encode(must(json.Marshal(with(o, nil)))) }
	input := part(header) + "." + part(claims)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, p.private, digest[:])
	if err != nil {
		panic(err)
	}
	return input + "." + encode(slices.Concat(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))))
}

const publicOrigin = "https://api.example.com"

// challenge returns the challenge of a scheme, "" if there is none.
func (a answer) challenge(scheme string) string {
	for _, value := range a.header.Values("WWW-Authenticate") {
		if strings.HasPrefix(value, scheme+" ") {
			return value
		}
	}
	return ""
}

// Every row of the contract's table of DPoP.
func TestProofs(t *testing.T) {
	t.Parallel()
	p, issuer := serve(t, object{"public_origin": publicOrigin, "dpop": object{}, "api_keys": object{"driver": "memory", "mint": []object{ciKey}}})
	me, other := newProver(t), newProver(t)
	bound := p.secret(issuer.Token(authtest.Claims{"cnf": object{"jkt": me.Thumbprint()}}))
	unbound := p.secret(issuer.Token(nil))
	now := time.Now().Unix()
	private := me.jwk()
	private["d"] = encode(make([]byte, 32))
	const invalidProof, invalidToken, ok = "401 invalid_dpop_proof", "401 invalid_token", "200"
	type send struct {
		name, scheme, token string // the scheme is DPoP if empty
		proofs              []string
		want, binding       string
	}
	// of returns a proof of me for the bound token, with changes.
	of := func(changes object) []string {
		return []string{me.proof("GET", publicOrigin+"/whoami", bound, changes)}
	}
	rows := []send{
		{"right", "", bound, of(nil), ok, "dpop"},
		{"normalised URL", "", bound, []string{me.proof("GET", "HTTPS://API.example.com:443/%77hoami?a=b#c", bound, nil)}, ok, "dpop"},
		{"iat 10 s ahead", "", bound, of(object{"iat": now + 9}), ok, "dpop"},
		{"iat 30 s ago", "", bound, of(object{"iat": now - 30}), ok, "dpop"},
		{"jti of 64 characters", "", bound, of(object{"jti": strings.Repeat("j", 64)}), ok, "dpop"},
		{"same jti of another key", "", p.secret(issuer.Token(authtest.Claims{"cnf": object{"jkt": other.Thumbprint()}})), nil, ok, "dpop"},
		{"no header", "", bound, nil, invalidProof, ""},
		{"two headers", "", bound, append(of(nil), of(nil)...), invalidProof, ""},
		{"malformed", "", bound, []string{"a.b.c"}, invalidProof, ""},
		{"over 8 KiB", "", bound, of(object{"x": strings.Repeat("x", 8<<10)}), invalidProof, ""},
		{"replayed", "", bound, of(object{"jti": strings.Repeat("j", 64)}), invalidProof, ""},
		{"typ", "", bound, of(object{"typ": "JWT"}), invalidProof, ""},
		{"alg", "", bound, of(object{"alg": "HS256"}), invalidProof, ""},
		{"private key", "", bound, of(object{"jwk": private}), invalidProof, ""},
		{"signature", "", bound, []string{of(nil)[0] + "AAAA"}, invalidProof, ""},
		{"htm", "", bound, []string{me.proof("POST", publicOrigin+"/whoami", bound, nil)}, invalidProof, ""},
		{"htu path", "", bound, []string{me.proof("GET", publicOrigin+"/reports", bound, nil)}, invalidProof, ""},
		{"htu host", "", bound, []string{me.proof("GET", "https://other.example.com/whoami", bound, nil)}, invalidProof, ""},
		{"htu scheme", "", bound, []string{me.proof("GET", "http://api.example.com/whoami", bound, nil)}, invalidProof, ""},
		{"htu port", "", bound, []string{me.proof("GET", publicOrigin+":8443/whoami", bound, nil)}, invalidProof, ""},
		{"htu of the connection", "", bound, []string{me.proof("GET", p.URL+"/whoami", bound, nil)}, invalidProof, ""},
		{"iat too old", "", bound, of(object{"iat": now - 62}), invalidProof, ""},
		{"iat too far ahead", "", bound, of(object{"iat": now + 600}), invalidProof, ""},
		{"no jti", "", bound, of(object{"jti": nil}), invalidProof, ""},
		{"jti of 4,000 characters", "", bound, of(object{"jti": strings.Repeat("j", 4000)}), invalidProof, ""},
		{"no ath", "", bound, of(object{"ath": nil}), invalidProof, ""},
		{"ath of another token", "", bound, []string{me.proof("GET", publicOrigin+"/whoami", unbound, nil)}, invalidProof, ""},
		{"another key", "", bound, []string{other.proof("GET", publicOrigin+"/whoami", bound, nil)}, invalidToken, ""},
		{"bound token as Bearer", "Bearer", bound, nil, invalidToken, ""},
		{"unbound token as DPoP", "", unbound, []string{me.proof("GET", publicOrigin+"/whoami", unbound, nil)}, invalidToken, ""},
		{"unbound Bearer", "Bearer", unbound, nil, ok, ""},
		{"bound Bearer with a proof", "Bearer", bound, of(nil), "400 invalid_request", ""},
		{"unbound Bearer with a proof", "Bearer", unbound, []string{me.proof("GET", publicOrigin+"/whoami", unbound, nil)}, "400 invalid_request", ""},
		{"Bearer with an empty proof", "Bearer", unbound, []string{""}, "400 invalid_request", ""},
		{"Bearer with two proofs", "Bearer", unbound, []string{"", ""}, "400 invalid_request", ""},
	}
	rows[5].proofs = []string{other.proof("GET", publicOrigin+"/whoami", rows[5].token, object{"jti": strings.Repeat("j", 64)})}
	for name, cnf := range map[string]any{
		"empty cnf": object{}, "null cnf": nil, "cnf is no object": "x", "unknown member": object{"kid": "1"},
		"unknown member beside jkt": object{"jkt": me.Thumbprint(), "kid": "1"}, "jkt is no string": object{"jkt": 1},
	} {
		token := p.secret(issuer.Token(authtest.Claims{"cnf": json.RawMessage(must(json.Marshal(cnf)))}))
		rows = append(rows, send{name, "", token, []string{me.proof("GET", publicOrigin+"/whoami", token, nil)}, invalidToken, ""})
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			scheme := cmp.Or(row.scheme, "DPoP")
			header := []string{"Authorization", scheme + " " + row.token}
			for _, proof := range row.proofs {
				header = append(header, "DPoP", proof)
			}
			a := p.do("GET", "/whoami", header...)
			if a.String() != row.want {
				t.Fatalf("response = %s, want %s", a, row.want)
			}
			switch a.status {
			case http.StatusOK:
				if !strings.Contains(a.body, `"binding":"`+row.binding+`"`) {
					t.Errorf("whoami = %s, want the binding %q", a.body, row.binding)
				}
			case http.StatusUnauthorized:
				if got := a.challenge("DPoP"); !strings.Contains(got, `algs="`) || !strings.Contains(got, "ES256") || strings.Contains(got, "error=") != (scheme == "DPoP") {
					t.Errorf("DPoP challenge = %q, want algs, and an error only for the scheme DPoP", got)
				}
				if got := a.challenge("Bearer"); strings.Contains(got, "error=") != (scheme == "Bearer") {
					t.Errorf("Bearer challenge = %q, want an error only for the scheme Bearer", got)
				}
			}
		})
	}
	get := func(path string, header ...string) (a answer, dpopChallenge, bearer string) {
		a = p.do("GET", path, header...)
		return a, a.challenge("DPoP"), a.challenge("Bearer")
	}
	p.do("GET", "/sensitive", "Authorization", "DPoP "+bound, "DPoP", me.proof("GET", publicOrigin+"/sensitive", bound, nil)).want(t, "/sensitive, bound", ok)
	if a, challenge, bearer := get("/sensitive", "Authorization", "Bearer "+unbound); a.String() != invalidToken || !strings.Contains(bearer, `error="invalid_token"`) || challenge == "" {
		t.Errorf("/sensitive, unbound: response = %s %v, want the error in the Bearer challenge and a DPoP challenge", a, a.header)
	}
	for name, request := range map[string][]string{"no credential": {"/whoami"}, "API key": {"/sensitive", "X-API-Key", p.minted()["ci"]}} {
		if a, challenge, bearer := get(request[0], request[1:]...); a.String() != "401 missing_credentials" || challenge == "" || bearer == "" || strings.Contains(challenge+bearer, "error=") {
			t.Errorf("%s: response = %s %v, want both challenges without an error", name, a, a.header)
		}
	}
}

func TestWithoutDPoP(t *testing.T) {
	t.Parallel()
	p, issuer := serve(t, nil)
	me := newProver(t)
	token := p.secret(issuer.Token(authtest.Claims{"cnf": object{"jkt": me.Thumbprint()}}))
	for _, scheme := range []string{"DPoP", "Bearer"} {
		a := p.do("GET", "/whoami", "Authorization", scheme+" "+token, "DPoP", me.proof("GET", publicOrigin+"/whoami", token, nil))
		if a.status != http.StatusUnauthorized || a.challenge("DPoP") != "" || a.challenge("Bearer") == "" {
			t.Errorf("%s: response = %s %v, want 401 with the Bearer challenge only", scheme, a, a.header)
		}
	}
}

func TestNonces(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t)
	key := writeFile(t, "nonce.key", rand.Text()+rand.Text())
	config := configure([]object{trust(issuer, nil)}, object{"public_origin": publicOrigin, "dpop": object{"nonce_key": "file:" + key}})
	p, node := start(t, config), start(t, config)
	me := newProver(t)
	token := p.secret(issuer.Token(authtest.Claims{"cnf": object{"jkt": me.Thumbprint()}}))
	node.secret(token)
	send := func(s *server, changes object) answer {
		return s.do("GET", "/whoami", "Authorization", "DPoP "+token, "DPoP", me.proof("GET", publicOrigin+"/whoami", token, changes))
	}
	a := send(p, nil)
	nonce := a.header.Get("DPoP-Nonce")
	if a.String() != "401 use_dpop_nonce" || nonce == "" || !strings.Contains(a.challenge("DPoP"), `error="use_dpop_nonce"`) {
		t.Fatalf("without a nonce: response = %s %v, want use_dpop_nonce with a nonce", a, a.header)
	}
	for name, s := range map[string]*server{"same node": p, "another node": node} {
		send(s, object{"nonce": nonce}).want(t, name, "200")
	}
	if a := send(p, object{"nonce": nonce + "x"}); a.String() != "401 use_dpop_nonce" || a.header.Get("DPoP-Nonce") == "" {
		t.Errorf("with a forged nonce: response = %s, want use_dpop_nonce", a)
	}
}

func TestBoundTokensRequired(t *testing.T) {
	t.Parallel()
	as := newIntrospectionServer(t, map[string]any{"is-active": active(nil)})
	p, issuer := serve(t, object{
		"public_origin": publicOrigin, "dpop": object{"required": true}, "introspection": []object{as.config(t, object{"any_tenant": true})},
	})
	me := newProver(t)
	for _, unbound := range []string{issuer.Token(nil), "is-active"} {
		if a := p.with(unbound, "GET", "/whoami"); a.String() != "401 invalid_token" || a.challenge("DPoP") == "" {
			t.Errorf("unbound: response = %s %v, want 401 with a DPoP challenge", a, a.header)
		}
	}
	bound := p.secret(issuer.Token(authtest.Claims{"cnf": object{"jkt": me.Thumbprint()}}))
	p.do("GET", "/whoami", "Authorization", "DPoP "+bound, "DPoP", me.proof("GET", publicOrigin+"/whoami", bound, nil)).want(t, "bound", "200")
}

// authority is a certificate authority.
type authority struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	ca := &authority{t: t, key: newProver(t).private}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotAfter: time.Now().Add(2 * time.Hour), // the certificates end before
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	ca.certificate = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, &ca.key.PublicKey, ca.key))))
	return ca
}

// issue issues a certificate with names: "uri:" or "dns:" and the name.
func (ca *authority) issue(usage x509.ExtKeyUsage, names ...string) tls.Certificate {
	key := newProver(ca.t).private
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	for _, name := range names {
		switch kind, value, _ := strings.Cut(name, ":"); kind {
		case "uri":
			template.URIs = append(template.URIs, must(url.Parse(value)))
		case "dns":
			template.DNSNames = append(template.DNSNames, value)
		}
	}
	der := must(x509.CreateCertificate(rand.Reader, template, ca.certificate, &key.PublicKey, ca.key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serverTLS returns the setting tls of a server with a certificate of the authority.
func (ca *authority) serverTLS() object {
	ca.t.Helper()
	write := func(name, kind string, der []byte) string {
		return writeFile(ca.t, name, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	server := ca.issue(x509.ExtKeyUsageServerAuth, "dns:localhost", "dns:api.example.com")
	return object{
		"cert":      "file:" + write("server.pem", "CERTIFICATE", server.Certificate[0]),
		"key":       "file:" + write("server.key", "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(server.PrivateKey))),
		"client_ca": write("ca.pem", "CERTIFICATE", ca.certificate.Raw),
	}
}

// as has the server's client present a certificate, nil for none.
func (s *server) as(ca *authority, certificate *tls.Certificate) {
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	config := &tls.Config{RootCAs: roots, ServerName: "localhost"}
	if certificate != nil {
		config.Certificates = []tls.Certificate{*certificate}
	}
	transport := &http.Transport{TLSClientConfig: config}
	s.client = &http.Client{Timeout: client.Timeout, Transport: transport}
	s.t.Cleanup(transport.CloseIdleConnections)
}

func thumbprintOf(certificate tls.Certificate) string {
	sum := sha256.Sum256(certificate.Certificate[0])
	return encode(sum[:])
}

var billing = object{"san": "uri:spiffe://example.org/billing", "subject": "billing", "tenant": "acme", "scopes": []string{"reports:read"}}

func TestCertificates(t *testing.T) {
	t.Parallel()
	ca, otherCA := newAuthority(t), newAuthority(t)
	p, issuer := serve(t, object{
		"tls": ca.serverTLS(), "public_origin": publicOrigin, "dpop": object{},
		"mtls":     object{"subjects": []object{billing, {"san": "dns:batch.example.org", "subject": "batch"}}},
		"api_keys": object{"driver": "memory", "mint": []object{ciKey}},
	})
	client := ca.issue(x509.ExtKeyUsageClientAuth, "uri:spiffe://example.org/billing")
	unknown := ca.issue(x509.ExtKeyUsageClientAuth, "uri:spiffe://example.org/other")
	both := ca.issue(x509.ExtKeyUsageClientAuth, "uri:spiffe://example.org/billing", "dns:batch.example.org")
	me := newProver(t)
	bound := p.secret(issuer.Token(authtest.Claims{"sub": "alice", "cnf": object{"x5t#S256": thumbprintOf(client)}}))
	twice := p.secret(issuer.Token(authtest.Claims{"cnf": object{"x5t#S256": thumbprintOf(client), "jkt": me.Thumbprint()}}))
	unbound := p.secret(issuer.Token(nil))
	proof := func() string { return me.proof("GET", publicOrigin+"/whoami", twice, nil) }
	for _, test := range []struct {
		name        string
		certificate *tls.Certificate
		header      []string
		want, body  string
	}{
		{"certificate", &client, nil, "200", `"subject":"billing","tenant":"acme"`},
		{"certificate without a row", &unknown, nil, "401 missing_credentials", ""},
		{"certificate of two rows", &both, nil, "401 missing_credentials", ""},
		{"no certificate", nil, nil, "401 missing_credentials", ""},
		{"bound token", &client, []string{"Authorization", "Bearer " + bound}, "200", `"binding":"mtls"`},
		{"bound token with another certificate", &unknown, []string{"Authorization", "Bearer " + bound}, "401 invalid_token", ""},
		{"bound token without a certificate", nil, []string{"Authorization", "Bearer " + bound}, "401 invalid_token", ""},
		{"both bindings", &client, []string{"Authorization", "DPoP " + twice, "DPoP", proof()}, "200", `"binding":"dpop+mtls"`},
		{"both bindings without the certificate", nil, []string{"Authorization", "DPoP " + twice, "DPoP", proof()}, "401 invalid_token", ""},
		{"both bindings without the proof", &client, []string{"Authorization", "DPoP " + twice}, "401 invalid_dpop_proof", ""},
		{"both bindings as Bearer", &client, []string{"Authorization", "Bearer " + twice}, "401 invalid_token", ""},
		{"unbound token", &client, []string{"Authorization", "Bearer " + unbound}, "200", `"binding":""`},
		{"the certificate saves no invalid token", &client, []string{"Authorization", "Bearer " + issuer.ExpiredToken(nil)}, "401 invalid_token", ""},
		{"API key beside a certificate", &client, []string{"X-API-Key", p.minted()["ci"]}, "200", `"method":"api_key"`},
		{"Client-Cert is not read", nil, []string{"Client-Cert", clientCert(client)}, "401 missing_credentials", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p.as(ca, test.certificate)
			if a := p.do("GET", "/whoami", test.header...); a.String() != test.want || !strings.Contains(a.body, test.body) {
				t.Errorf("response = %s %s, want %s with %s", a, a.body, test.want, test.body)
			}
		})
	}
	p.as(ca, &client)
	p.do("GET", "/sensitive").want(t, "GET /sensitive", "200")
	for name, certificate := range map[string]tls.Certificate{
		"unknown CA":  otherCA.issue(x509.ExtKeyUsageClientAuth, "uri:spiffe://example.org/billing"),
		"wrong usage": ca.issue(x509.ExtKeyUsageServerAuth, "uri:spiffe://example.org/billing"),
	} {
		p.as(ca, &certificate)
		if a, err := p.try("GET", "/whoami"); err == nil {
			t.Errorf("%s: response = %s, want the handshake to fail", name, a)
		}
	}
}

// clientCert returns a certificate in the form of RFC 9440.
func clientCert(c tls.Certificate) string {
	return ":" + base64.StdEncoding.EncodeToString(c.Certificate[0]) + ":"
}

func TestCertificateHeader(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t)
	ca := newAuthority(t)
	client := ca.issue(x509.ExtKeyUsageClientAuth, "uri:spiffe://example.org/billing")
	config := func(from string) object {
		return configure([]object{trust(issuer, nil)}, object{
			"mtls": object{"subjects": []object{billing}, "client_cert_header": object{"from": []string{from}}},
		})
	}
	p, stranger := start(t, config("127.0.0.1/32")), start(t, config("192.0.2.0/24"))
	bound := p.secret(issuer.Token(authtest.Claims{"cnf": object{"x5t#S256": thumbprintOf(client)}}))
	unbound := stranger.secret(issuer.Token(nil))
	for _, test := range []struct {
		name   string
		server *server
		header []string
		want   string
	}{
		{"caller", p, []string{"Client-Cert", clientCert(client)}, "200"},
		{"bound token", p, []string{"Client-Cert", clientCert(client), "Authorization", "Bearer " + bound}, "200"},
		{"bound token without the header", p, []string{"Authorization", "Bearer " + bound}, "401 invalid_token"},
		{"malformed", p, []string{"Client-Cert", "x"}, "400 invalid_request"},
		{"two certificates", p, []string{"Client-Cert", clientCert(client) + ", " + clientCert(client)}, "400 invalid_request"},
		{"twice", p, []string{"Client-Cert", clientCert(client), "Client-Cert", clientCert(client)}, "400 invalid_request"},
		{"empty", p, []string{"Client-Cert", ""}, "400 invalid_request"},
		{"unnamed peer", stranger, []string{"Client-Cert", clientCert(client)}, "400 invalid_request"},
		{"unnamed peer with a token", stranger, []string{"Client-Cert", clientCert(client), "Authorization", "Bearer " + unbound}, "400 invalid_request"},
		{"unnamed peer without the header", stranger, []string{"Authorization", "Bearer " + unbound}, "200"},
	} {
		test.server.do("GET", "/whoami", test.header...).want(t, test.name, test.want)
	}
}

func TestInvalidBoundConfigIsRefused(t *testing.T) {
	t.Parallel()
	server := newAuthority(t).serverTLS()
	var tests []refusal
	for name, test := range map[string]struct {
		changes object
		want    string
	}{
		"dpop without an origin":      {object{"dpop": object{}}, "public_origin: "},
		"origin with a path":          {object{"dpop": object{}, "public_origin": publicOrigin + "/api"}, "public_origin: "},
		"origin with a path, no dpop": {object{"public_origin": publicOrigin + "/api"}, "public_origin: "},
		"origin with a query":         {object{"dpop": object{}, "public_origin": publicOrigin + "?a"}, "public_origin: "},
		"origin with a fragment":      {object{"dpop": object{}, "public_origin": publicOrigin + "#a"}, "public_origin: "},
		"origin with a user":          {object{"dpop": object{}, "public_origin": "https://a@api.example.com"}, "public_origin: "},
		"origin on plain http":        {object{"dpop": object{}, "public_origin": "http://api.example.com"}, "public_origin: "},
		"nonce key":                   {object{"dpop": object{"nonce_key": "secret"}, "public_origin": publicOrigin}, "dpop.nonce_key: "},
		"replay driver":               {object{"dpop": object{"replay": object{"driver": "file"}}, "public_origin": publicOrigin}, "dpop.replay.driver: "},
		"replay dsn":                  {object{"dpop": object{"replay": object{"driver": "postgres"}}, "public_origin": publicOrigin}, "dpop.replay.dsn: "},
		"tls without a certificate":   {object{"tls": with(server, object{"cert": nil})}, "tls.cert: "},
		"tls without a key":           {object{"tls": with(server, object{"key": nil})}, "tls.key: "},
		"client CA":                   {object{"tls": with(server, object{"client_ca": "none.pem"})}, "tls.client_ca: "},
		"mtls without a source":       {object{"mtls": object{"subjects": []object{billing}}}, "mtls: "},
		"one SAN in two rows":         {object{"tls": server, "mtls": object{"subjects": []object{billing, billing}}}, "mtls.subjects[1].san: "},
		"SAN of another kind":         {object{"tls": server, "mtls": object{"subjects": []object{with(billing, object{"san": "ip:127.0.0.1"})}}}, "mtls.subjects[0].san: "},
		"SAN without a kind":          {object{"tls": server, "mtls": object{"subjects": []object{with(billing, object{"san": "billing"})}}}, "mtls.subjects[0].san: "},
		"no subject":                  {object{"tls": server, "mtls": object{"subjects": []object{with(billing, object{"subject": ""})}}}, "mtls.subjects[0].subject: "},
		"scope":                       {object{"tls": server, "mtls": object{"subjects": []object{with(billing, object{"scopes": []string{"a b"}})}}}, "mtls.subjects[0].scopes: "},
		"header from nowhere":         {object{"mtls": object{"client_cert_header": object{}}}, "mtls.client_cert_header.from: "},
		"header from a host name":     {object{"mtls": object{"client_cert_header": object{"from": []string{"proxy"}}}}, "mtls.client_cert_header.from[0]: "},
	} {
		tests = append(tests, refusal{name, configure([]object{good(nil)}, test.changes), test.want})
	}
	checkRefused(t, tests)
}

// A proof is used once on all servers that share a store, and a store that is down is
// 503 for bound tokens only.
func TestSharedReplays(t *testing.T) {
	for _, driver := range []string{"sqlite", "postgres", "redis"} {
		t.Run(driver, func(t *testing.T) {
			if driver != "sqlite" {
				enginetest.Slow(t)
			}
			dsn, _, down, up := openShared(t, driver)
			issuer := authtest.NewIssuer(t)
			config := configure([]object{trust(issuer, nil)}, object{
				"public_origin": publicOrigin, "dpop": object{"replay": object{"driver": driver, "dsn": dsn}},
			})
			nodes := []*server{start(t, config), start(t, config)}
			me := newProver(t)
			token := issuer.Token(authtest.Claims{"cnf": object{"jkt": me.Thumbprint()}})
			send := func(n int, proof string) answer {
				return nodes[n].do("GET", "/whoami", "Authorization", "DPoP "+nodes[n].secret(token), "DPoP", proof)
			}
			proof := func() string { return me.proof("GET", publicOrigin+"/whoami", token, nil) }
			first := proof()
			send(0, first).want(t, "first use", "200")
			for n := range nodes {
				if a, r := send(n, first), nodes[n].lastRejection(); a.String() != "401 invalid_dpop_proof" || r.Reason != "dpop_replayed" {
					t.Errorf("second use on server %d: response = %s, %+v, want 401 invalid_dpop_proof", n, a, r)
				}
			}
			if down == nil {
				return
			}
			down()
			send(0, proof()).want(t, "store down", "503 temporarily_unavailable")
			nodes[0].with(issuer.Token(nil), "GET", "/whoami").want(t, "unbound token while the store is down", "200")
			up()
			enginetest.Eventually(t, deadline, "bound tokens are accepted again", func() bool { return send(1, proof()).status == http.StatusOK })
		})
	}
}
