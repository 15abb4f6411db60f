// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// The client of package oauth gets own and delegated tokens, with and without DPoP, by
// discovery.
func TestClientOfPackageOAuth(t *testing.T) {
	mux := http.NewServeMux()
	address := httptest.NewServer(mux)
	defer address.Close()
	var verifier *dpop.Verifier
	w := newWorld(t, func(a *agent.Config, c *agent.ServerConfig) {
		a.Issuer, c.TokenEndpoint, c.JWKS = address.URL, address.URL+"/token", address.URL+"/jwks"
		verifier = must(dpop.New(dpop.Config{PublicOrigin: address.URL, Replays: a.Replays}))
		c.DPoP = verifier
	})
	mux.Handle("/token", w.server)
	mux.Handle("/jwks", ownKeys.ring)
	mux.Handle("/.well-known/oauth-authorization-server", w.server.Metadata())
	// The API is another program, which fetches the key set.
	trusted := jwtauth.Issuer{URL: address.URL, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover()}
	tokens := must(jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{trusted}, Confirmers: []gatehouse.Confirmer{verifier}}))
	defer func() { _ = tokens.Close() }()

	client := func(id string, key *dpop.Key) *oauth.Client {
		return must(oauth.New(oauth.Config{Issuer: address.URL, ClientID: id, Auth: oauth.PrivateKeyJWT, Keys: agentKeys[id].ring, DPoP: key}))
	}
	first, second := client("helper-1", nil), client("helper-2", nil)
	credentials := must(first.ClientCredentials(oauth.CredentialsRequest{Scopes: must(gatehouse.NewScopes("data:read")), Resources: []string{audience}}))
	own, err := credentials.Token(t.Context())
	if err != nil || own.Scopes.String() != "data:read" || time.Until(own.Expires) > 15*time.Minute {
		t.Fatalf("Token = %+v, %v", own, err)
	}
	if _, err := tokens.Verify(t.Context(), string(own.Access.Reveal())); err != nil {
		t.Errorf("Verify(own token) error = %v", err)
	}
	subject := gatehouse.NewSecret([]byte(person(nil)))
	delegated, err := first.Exchange(t.Context(), oauth.ExchangeRequest{Subject: subject, Resources: []string{audience}})
	if err != nil || delegated.Type != oauth.TypeAccessToken || delegated.Scopes.String() != "data:read data:write" {
		t.Fatalf("Exchange = %+v, %v", delegated, err)
	}
	again, err := second.Exchange(t.Context(), oauth.ExchangeRequest{Subject: delegated.Access, Scopes: must(gatehouse.NewScopes("data:read")), Audiences: []string{audience}})
	if err != nil || again.Scopes.String() != "data:read" {
		t.Fatalf("Exchange of a delegated token = %+v, %v", again, err)
	}
	p, err := tokens.Verify(t.Context(), string(again.Access.Reveal()))
	if err != nil || p.Subject != "alice" || p.Actors.Len() != 2 {
		t.Errorf("Verify(delegated token) = %+v, %v", p, err)
	}
	key := must(dpop.GenerateKey())
	proven, err := client("helper-1", key).Exchange(t.Context(), oauth.ExchangeRequest{Subject: subject})
	if err != nil || !proven.DPoP {
		t.Fatalf("Exchange with DPoP = %+v, %v", proven, err)
	}
	r := httptest.NewRequest(http.MethodPost, "/mcp", nil)
	text := string(proven.Access.Reveal())
	r.Header.Set("Authorization", "DPoP "+text)
	r.Header.Set("DPoP", must(key.Proof(dpop.ProofRequest{Method: http.MethodPost, URL: must(r.URL.Parse(address.URL + "/mcp")), AccessToken: text})))
	if proof, err := tokens.Authenticate(r); err != nil || proof.Principal().Binding != dpop.Binding {
		t.Errorf("Authenticate with DPoP = %+v, %v", proof.Principal(), err)
	}
}
