// SPDX-License-Identifier: Apache-2.0

package gategrpc_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net/url"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/internal/rpctest"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/mtls"
)

func TestDPoP(t *testing.T) {
	issuer := rpctest.Issuer(t, list)
	secret := gatehouse.NewSecret([]byte(rand.Text() + rand.Text()))
	const origin = "https://api.example.com"
	proofs := must(dpop.New(dpop.Config{PublicOrigin: origin, Replays: dpop.NewMemory(0)}))
	withNonces := must(dpop.New(dpop.Config{PublicOrigin: origin, Replays: dpop.NewMemory(0), NonceKeys: []gatehouse.Secret{secret}}))
	key, other := must(dpop.GenerateKey()), must(dpop.GenerateKey())
	token := issuer.Token(authtest.Claims{"sub": "alice", "cnf": map[string]any{"jkt": key.Thumbprint()}})
	proof := func(key *dpop.Key, method, target, nonce string) string {
		return must(key.Proof(dpop.ProofRequest{Method: method, URL: must(url.Parse(target)), AccessToken: token, Nonce: nonce}))
	}
	connect := func(confirmer gatehouse.Confirmer) *grpc.ClientConn {
		return start(t, newInterceptor(rpctest.Gate(rpctest.Tokens(issuer, confirmer)), gatehouse.Bound()), reports{hello, helloStream})
	}
	client := connect(proofs)
	for _, method := range []string{list, watch} {
		call := func(what, scheme string, code codes.Code, reason string, proofs ...string) {
			t.Helper()
			pairs := []string{"authorization", scheme + " " + token}
			for _, p := range proofs {
				pairs = append(pairs, "dpop", p)
			}
			text := ""
			if code == codes.OK {
				text = "hello, alice"
			}
			a := invoke(t, client, method, pairs...)
			a.want(t, method+": "+what, code, text)
			if got := a.reason(); got != reason {
				t.Errorf("%s: %s: reason = %q, want %q", method, what, got, reason)
			}
		}
		good := proof(key, "POST", origin+method, "")
		call("right proof", "DPoP", codes.OK, "", good)
		call("proof used before", "DPoP", codes.Unauthenticated, "invalid_dpop_proof", good)
		call("no proof", "DPoP", codes.Unauthenticated, "invalid_dpop_proof")
		call("two proofs", "DPoP", codes.Unauthenticated, "invalid_dpop_proof", proof(key, "POST", origin+method, ""), proof(key, "POST", origin+method, ""))
		call("as Bearer", "Bearer", codes.Unauthenticated, "invalid_token")
		call("as Bearer with a proof", "Bearer", codes.InvalidArgument, "invalid_request", proof(key, "POST", origin+method, ""))
		call("another key", "DPoP", codes.Unauthenticated, "invalid_token", proof(other, "POST", origin+method, ""))
		call("another method", "DPoP", codes.Unauthenticated, "invalid_dpop_proof", proof(key, "POST", origin+ping, ""))
		call("GET", "DPoP", codes.Unauthenticated, "invalid_dpop_proof", proof(key, "GET", origin+method, ""))
		call("another origin", "DPoP", codes.Unauthenticated, "invalid_dpop_proof", proof(key, "POST", "https://other.example.com"+method, ""))
	}

	client = connect(withNonces)
	refused := invoke(t, client, list, "authorization", "DPoP "+token, "dpop", proof(key, "POST", origin+list, ""))
	refused.want(t, "no nonce", codes.Unauthenticated, "")
	nonces := refused.trailer.Get("dpop-nonce")
	if refused.reason() != "use_dpop_nonce" || len(nonces) != 1 {
		t.Fatalf("no nonce: reason = %q, dpop-nonce = %q, want use_dpop_nonce and a nonce", refused.reason(), nonces)
	}
	invoke(t, client, list, "authorization", "DPoP "+token, "dpop", proof(key, "POST", origin+list, nonces[0])).want(t, "nonce", codes.OK, "hello, alice")
}

func TestCertificates(t *testing.T) {
	const billing = "spiffe://example.org/billing"
	issuer := rpctest.Issuer(t, list)
	ca := rpctest.Certificate(nil, "")
	pool := x509.NewCertPool()
	pool.AddCert(ca.Leaf)
	certificates := must(mtls.New(mtls.Config{Subjects: []mtls.Subject{{SAN: "uri:" + billing, Subject: "billing"}}}))
	gate := rpctest.Gate(rpctest.Tokens(issuer, certificates), certificates)
	own := credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*rpctest.Certificate(ca, "spiffe://example.org/server")},
		ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool,
	})
	caller, other := rpctest.Certificate(ca, billing), rpctest.Certificate(ca, "spiffe://example.org/other")
	bound := "Bearer " + issuer.Token(authtest.Claims{"sub": "alice", "cnf": map[string]any{"x5t#S256": mtls.Thumbprint(caller.Leaf)}})
	for _, test := range []struct {
		name        string
		certificate *tls.Certificate
		token       string
		code        codes.Code
		text        string
	}{
		{"certificate of a caller", caller, "", codes.OK, "hello, billing"},
		{"certificate of no caller", other, "", codes.Unauthenticated, ""},
		{"no certificate", nil, "", codes.Unauthenticated, ""},
		{"bound token with its certificate", caller, bound, codes.OK, "hello, alice"},
		{"bound token with another certificate", other, bound, codes.Unauthenticated, ""},
		{"bound token without a certificate", nil, bound, codes.Unauthenticated, ""},
		{"certificate beside an invalid token", caller, "Bearer x", codes.Unauthenticated, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool}
			if test.certificate != nil {
				config.Certificates = []tls.Certificate{*test.certificate}
			}
			server := grpc.NewServer(append(intercept(newInterceptor(gate)), grpc.Creds(own))...)
			reports{hello, helloStream}.register(server)
			client := serve(t, server, credentials.NewTLS(config))
			for _, method := range []string{list, watch} {
				var pairs []string
				if test.token != "" {
					pairs = []string{"authorization", test.token}
				}
				invoke(t, client, method, pairs...).want(t, method, test.code, test.text)
			}
		})
	}
}
