// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/interop/node"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/mtls"
	"github.com/gatehouse-go/gatehouse/oauth"
)

const boundSAN = "spiffe://example.org/machine"

// boundWorld is a certified authorization server that binds tokens, and its clients.
type boundWorld struct {
	authority                *authority
	provider                 *provider.Provider
	rs                       oauth.Config // of the API, for introspection
	certificate, selfSigned  tls.Certificate
	key                      *dpop.Key
	byCertificate, bySelf    *oauth.Client
	byAssertion, byStranger  *oauth.Client
	resources                map[string]string // by the format of their tokens
	strangerCert, strangeOne tls.Certificate   // of the CA, and self-signed
}

func newBoundWorld(t *testing.T) *boundWorld {
	t.Helper()
	w := &boundWorld{
		authority: newAuthority(t), key: must(dpop.GenerateKey()),
		resources: map[string]string{"JWT": resource(jwtauth.ES256), "opaque": opaque},
	}
	own := w.authority.server()
	w.certificate, w.strangerCert = w.authority.client(boundSAN), w.authority.client("spiffe://example.org/stranger")
	w.selfSigned, w.strangeOne = new(authority).issue(&x509.Certificate{}), new(authority).issue(&x509.Certificate{})
	byCertificate := map[string]any{"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_uri": boundSAN}
	bySelf := map[string]any{"token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": certificateJWKS(w.selfSigned)}
	for _, m := range []map[string]any{byCertificate, bySelf} {
		m["tls_client_certificate_bound_access_tokens"] = true
	}
	byAssertion := assertionMetadata("client_credentials")
	byAssertion["dpop_bound_access_tokens"] = true
	rs := provider.Client{ID: "rs", Secret: "the secret of the resource server"}
	w.provider = ownProvider(t, provider.Options{
		Host: "localhost", DPoPNonce: true,
		TLS: &provider.TLS{Cert: certificatePEM(own), Key: keyPEM(own.PrivateKey), CA: string(must(os.ReadFile(w.authority.file)))},
		Clients: []provider.Client{
			rs, {ID: "certificate", Metadata: byCertificate}, {ID: "self-signed", Metadata: bySelf}, {ID: "assertion", Metadata: byAssertion},
		},
		Resources: []provider.Resource{
			{URI: resource(jwtauth.ES256), Algorithm: "ES256", Scope: "reports:read"}, {URI: opaque, Scope: "reports:read"},
		},
	})
	client := func(c oauth.Config, certificates ...tls.Certificate) oauth.Config {
		c.Issuer, c.TLS = w.provider.Issuer, w.authority.trust(certificates...)
		return c
	}
	w.rs = client(oauth.Config{ClientID: rs.ID, Secret: gatehouse.NewSecret([]byte(rs.Secret))})
	w.byCertificate = newClient(t, client(oauth.Config{ClientID: "certificate", Profile: oauth.FAPI2, Auth: oauth.TLSClient}, w.certificate))
	w.bySelf = newClient(t, client(oauth.Config{ClientID: "self-signed", Profile: oauth.FAPI2, Auth: oauth.SelfSignedTLS}, w.selfSigned))
	w.byAssertion = newClient(t, client(oauth.Config{ClientID: "assertion", Profile: oauth.FAPI2, Auth: oauth.PrivateKeyJWT, Keys: clientKeys, DPoP: w.key}))
	w.byStranger = newClient(t, client(oauth.Config{ClientID: "certificate", Auth: oauth.TLSClient}, w.strangerCert))
	return w
}

// certificateJWKS registers a self-signed certificate, RFC 8705 section 2.2.2.
func certificateJWKS(c tls.Certificate) map[string]any {
	public := must(c.PrivateKey.(*ecdsa.PrivateKey).PublicKey.ECDH()).Bytes() // 4, X, Y
	return map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "x": encode(public[1:33]), "y": encode(public[33:]),
		"x5c": []string{base64.StdEncoding.EncodeToString(c.Certificate[0])},
	}}}
}

// token gets a token with the client credentials grant.
func (w *boundWorld) token(t *testing.T, c *oauth.Client, resource string) string {
	t.Helper()
	source := must(c.ClientCredentials(oauth.CredentialsRequest{Resources: []string{resource}, Scopes: must(gatehouse.ParseScopes("reports:read"))}))
	return string(do(source.Token(t.Context()))(t).Access.Reveal())
}

// proofOf returns a proof by key for a GET of address.
func proofOf(key *dpop.Key, address, token, nonce string) string {
	return must(key.Proof(dpop.ProofRequest{Method: http.MethodGet, URL: must(url.Parse(address)), AccessToken: token, Nonce: nonce}))
}

// TestProviderBoundTokens uses sender-constrained tokens of a certified authorization
// server, JWTs and opaque ones, with what they are bound to and without it.
//
// Covers RFC 8705 §3 (TLS layer, mismatch), §6.2; RFC 9449 §6, §7.1, §9, §11.1 (jti).
func TestProviderBoundTokens(t *testing.T) {
	t.Parallel()
	node.Require(t)
	w := newBoundWorld(t)
	t.Run("key", w.testKeyBound)
	t.Run("certificate", w.testCertificateBound)
}

// testKeyBound uses DPoP-bound tokens, which package oauth has got with
// private_key_jwt, at two nodes of an API that share the store of used proofs.
func (w *boundWorld) testKeyBound(t *testing.T) {
	stale := staleNonce(t)
	stranger := must(dpop.GenerateKey())
	for _, driver := range []string{"postgres", "redis"} {
		t.Run(driver, func(t *testing.T) {
			stores := replaysOf(t, driver)
			var nodes [2]*boundNode
			for i := range nodes {
				nodes[i] = startBoundNode(t, w.authority, w.provider, w.rs, stores[i], false)
			}
			for format, resource := range w.resources {
				t.Run(format, func(t *testing.T) {
					token, another := w.token(t, w.byAssertion, resource), strings.Repeat("x", 40)
					const address = boundOrigin + "/reports"
					_, header, err := nodes[0].get(t, w.authority.trust(), http.Header{"Authorization": {"DPoP " + token}, "Dpop": {proofOf(w.key, address, token, "")}})
					nonce := header.Get("DPoP-Nonce")
					if err != nil || nonce == "" {
						t.Fatalf("a request without a nonce: %v, no new nonce", err)
					}
					proof := func(address string) []string { return []string{proofOf(w.key, address, token, nonce)} }
					first, second := proof(address), proof(address)
					served := outcome{http.StatusOK, "assertion dpop", ""}
					refused := func(reason gatehouse.Reason) outcome {
						return outcome{http.StatusUnauthorized, "invalid_dpop_proof", reason}
					}
					for _, test := range []struct {
						name   string
						node   int
						scheme string
						proofs []string
						want   outcome
					}{
						{"with the right key", 0, "DPoP", first, served},
						{"replayed", 0, "DPoP", first, refused(dpop.ReasonReplayed)},
						{"replayed on another node", 1, "DPoP", first, refused(dpop.ReasonReplayed)},
						{"a new proof on another node", 1, "DPoP", second, served},
						{"which is replayed on the first", 0, "DPoP", second, refused(dpop.ReasonReplayed)},
						{"with another key", 0, "DPoP", []string{proofOf(stranger, address, token, nonce)}, outcome{401, "invalid_token", dpop.ReasonOtherKey}},
						{"without a proof", 0, "DPoP", nil, refused(dpop.ReasonMissing)},
						{"with two proofs", 0, "DPoP", append(proof(address), proof(address)...), refused(dpop.ReasonSeveral)},
						{"as Bearer", 0, "Bearer", nil, outcome{401, "invalid_token", gatehouse.ReasonUnconfirmed}},
						{"as Bearer with a proof", 0, "Bearer", proof(address), outcome{400, "invalid_request", gatehouse.ReasonSeveralCredentials}},
						{"with a stale nonce", 0, "DPoP", []string{proofOf(w.key, address, token, stale)}, outcome{401, "use_dpop_nonce", dpop.ReasonNonce}},
						{"with the nonce of a stranger", 0, "DPoP", []string{proofOf(w.key, address, token, another)}, outcome{401, "use_dpop_nonce", dpop.ReasonNonce}},
						{"for another host", 0, "DPoP", proof("https://other.example.com/reports"), refused(dpop.ReasonURL)},
						{"for the address of the node", 0, "DPoP", proof(nodes[0].url + "/reports"), refused(dpop.ReasonURL)},
						{"after all of them", 1, "DPoP", proof(address), served},
					} {
						header := http.Header{"Authorization": {test.scheme + " " + token}}
						if test.proofs != nil {
							header["Dpop"] = test.proofs
						}
						got, _, err := nodes[test.node].get(t, w.authority.trust(), header)
						if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
							t.Errorf("%s: %v (-want +got):\n%s", test.name, err, diff)
						}
						if got.Status != http.StatusOK {
							hostile.Add(1)
						}
					}
				})
			}
		})
	}
}

// staleNonce returns a genuine nonce that has expired: the clock of a synctest bubble
// begins in the year 2000.
func staleNonce(t *testing.T) (nonce string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := must(dpop.New(dpop.Config{PublicOrigin: boundOrigin, Replays: dpop.NewMemory(1), NonceKeys: []gatehouse.Secret{nonceKey}}))
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/reports", http.NoBody)
		r.Header.Set("DPoP", proofOf(must(dpop.GenerateKey()), boundOrigin+"/reports", "token", ""))
		recorder := httptest.NewRecorder()
		v.Nonces(http.NotFoundHandler()).ServeHTTP(recorder, r)
		if nonce = recorder.Header().Get("DPoP-Nonce"); nonce == "" || time.Now().Year() > 2000 {
			t.Errorf("nonce %q of %v, want one of the year 2000", nonce, time.Now())
		}
	})
	return nonce
}

// testCertificateBound uses certificate-bound tokens, which package oauth has got with
// tls_client_auth and with self_signed_tls_client_auth.
func (w *boundWorld) testCertificateBound(t *testing.T) {
	strict := startBoundNode(t, w.authority, w.provider, w.rs, dpop.NewMemory(0), false)
	lenient := startBoundNode(t, w.authority, w.provider, w.rs, dpop.NewMemory(0), true)
	for format, resource := range w.resources {
		t.Run(format, func(t *testing.T) {
			token, self := w.token(t, w.byCertificate, resource), w.token(t, w.bySelf, resource)
			proof := proofOf(w.key, boundOrigin+"/reports", token, "")
			for _, test := range []struct {
				name        string
				node        *boundNode
				token       string
				certificate *tls.Certificate
				want        outcome // zero if the handshake fails
			}{
				{"its certificate", strict, token, &w.certificate, outcome{200, "certificate mtls", ""}},
				{"again, from the caches", strict, token, &w.certificate, outcome{200, "certificate mtls", ""}},
				{"another certificate", strict, token, &w.strangerCert, outcome{401, "invalid_token", mtls.ReasonThumbprint}},
				{"no certificate", strict, token, nil, outcome{401, "invalid_token", mtls.ReasonNoCertificate}},
				{"a self-signed certificate", strict, self, &w.selfSigned, outcome{}},
				{"its self-signed certificate", lenient, self, &w.selfSigned, outcome{200, "self-signed mtls", ""}},
				{"another self-signed certificate", lenient, self, &w.strangeOne, outcome{401, "invalid_token", mtls.ReasonThumbprint}},
				{"a certificate of the CA for the self-signed one", lenient, self, &w.certificate, outcome{401, "invalid_token", mtls.ReasonThumbprint}},
				{"no self-signed certificate", lenient, self, nil, outcome{401, "invalid_token", mtls.ReasonNoCertificate}},
			} {
				settings := w.authority.trust()
				if test.certificate != nil {
					settings = w.authority.trust(*test.certificate)
				}
				got, _, err := test.node.get(t, settings, http.Header{"Authorization": {"Bearer " + test.token}})
				if diff := cmp.Diff(test.want, got); diff != "" || (err != nil) != (test.want == outcome{}) {
					t.Errorf("%s: %v (-want +got):\n%s", test.name, err, diff)
				}
				if got.Status != http.StatusOK {
					hostile.Add(1)
				}
			}
			// A certificate is no DPoP proof, and a proof no certificate.
			got, _, err := strict.get(t, w.authority.trust(w.certificate), http.Header{"Authorization": {"DPoP " + token}, "Dpop": {proof}})
			if want := (outcome{401, "invalid_token", gatehouse.ReasonUnconfirmed}); err != nil || got != want {
				t.Errorf("with a proof: %+v, %v, want %+v", got, err, want)
			}
		})
	}
	_, err := must(w.byStranger.ClientCredentials(oauth.CredentialsRequest{Resources: []string{opaque}})).Token(t.Context())
	wantCode(t, "Token() with the certificate of another client", err, "invalid_client")
}
