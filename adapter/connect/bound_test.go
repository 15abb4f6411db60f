// SPDX-License-Identifier: Apache-2.0

package gateconnect_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"connectrpc.com/connect"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/internal/rpctest"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/mtls"
)

func TestDPoP(t *testing.T) {
	issuer := rpctest.Issuer(t, list)
	const origin = "https://api.example.com"
	nonceKey := gatehouse.NewSecret([]byte(rand.Text() + rand.Text()))
	proofs := must(dpop.New(dpop.Config{PublicOrigin: origin, Replays: dpop.NewMemory(0), NonceKeys: []gatehouse.Secret{nonceKey}}))
	key := must(dpop.GenerateKey())
	token := issuer.Token(authtest.Claims{"sub": "alice", "cnf": map[string]any{"jkt": key.Thumbprint()}})
	server := serve(t, protect(newGuard(rpctest.Gate(rpctest.Tokens(issuer, proofs)), gatehouse.Bound()), reports{hello, helloStream}))
	for name, protocol := range protocols {
		for _, method := range []string{list, watch} {
			what, htm := name+" "+method, http.MethodPost
			if name == "GET" && method == list {
				htm = http.MethodGet
			}
			call := func(scheme, htm, path, nonce string) (http.Header, answer) {
				proof := must(key.Proof(dpop.ProofRequest{Method: htm, URL: must(url.Parse(origin + path)), AccessToken: token, Nonce: nonce}))
				header := http.Header{"Authorization": {scheme + " " + token}, "Dpop": {proof}}
				return header, invoke(t, server.Client(), server.URL, method, protocol, header)
			}
			refused := func(how string, a answer, code connect.Code, reason string) {
				t.Helper()
				a.want(t, what+": "+how, code, "")
				if got, _ := a.details(); got != reason {
					t.Errorf("%s: %s: reason = %q, want %q", what, how, got, reason)
				}
			}
			_, a := call("DPoP", htm, method, "")
			refused("no nonce", a, connect.CodeUnauthenticated, "use_dpop_nonce")
			nonce := a.header.Get("Dpop-Nonce")
			header, a := call("DPoP", htm, method, nonce)
			a.want(t, what+": right proof", 0, "hello, alice")
			refused("proof used before", invoke(t, server.Client(), server.URL, method, protocol, header), connect.CodeUnauthenticated, "invalid_dpop_proof")
			_, a = call("DPoP", htm, ping, nonce)
			refused("another method", a, connect.CodeUnauthenticated, "invalid_dpop_proof")
			_, a = call("DPoP", http.MethodPut, method, nonce)
			refused("PUT", a, connect.CodeUnauthenticated, "invalid_dpop_proof")
			_, a = call("Bearer", htm, method, nonce)
			refused("as Bearer with a proof", a, connect.CodeInvalidArgument, "invalid_request")
			a = invoke(t, server.Client(), server.URL, method, protocol, http.Header{"Authorization": {"Bearer " + token}})
			refused("as Bearer", a, connect.CodeUnauthenticated, "invalid_token")
		}
	}
}

func TestCertificates(t *testing.T) {
	const billing = "spiffe://example.org/billing"
	issuer := rpctest.Issuer(t, list)
	ca := rpctest.Certificate(nil, "")
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	certificates := must(mtls.New(mtls.Config{Subjects: []mtls.Subject{{SAN: "uri:" + billing, Subject: "billing"}}}))
	server := httptest.NewUnstartedServer(protect(newGuard(rpctest.Gate(rpctest.Tokens(issuer, certificates), certificates)), reports{hello, helloStream}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	server.StartTLS()
	defer server.Close()
	caller, other := rpctest.Certificate(ca, billing), rpctest.Certificate(ca, "spiffe://example.org/other")
	bound := "Bearer " + issuer.Token(authtest.Claims{"sub": "alice", "cnf": map[string]any{"x5t#S256": mtls.Thumbprint(caller.Leaf)}})
	for _, test := range []struct {
		name        string
		certificate *tls.Certificate
		token       string
		code        connect.Code
		text        string
	}{
		{"certificate of a caller", caller, "", 0, "hello, billing"},
		{"certificate of no caller", other, "", connect.CodeUnauthenticated, ""},
		{"no certificate", nil, "", connect.CodeUnauthenticated, ""},
		{"bound token with its certificate", caller, bound, 0, "hello, alice"},
		{"bound token with another certificate", other, bound, connect.CodeUnauthenticated, ""},
		{"bound token without a certificate", nil, bound, connect.CodeUnauthenticated, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			transport := server.Client().Transport.(*http.Transport).Clone()
			if test.certificate != nil {
				transport.TLSClientConfig.Certificates = []tls.Certificate{*test.certificate}
			}
			defer transport.CloseIdleConnections()
			header := http.Header{}
			if test.token != "" {
				header.Set("Authorization", test.token)
			}
			for name, protocol := range protocols {
				for _, method := range []string{list, watch} {
					invoke(t, &http.Client{Transport: transport}, server.URL, method, protocol, header).want(t, name+" "+method, test.code, test.text)
				}
			}
		})
	}
}
