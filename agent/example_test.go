// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// An agent gets a token of its own and calls an API with it, until an administrator
// decommissions the agent.
func Example() {
	// The key of the agent, and its public half as a JWK.
	agentKey, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	agentRing, _ := jwtauth.NewKeyRing(jwtauth.SigningKey{Algorithm: jwtauth.ES256, Private: agentKey})
	agentJWK := publicJWK(agentRing)

	ctx := context.Background()
	registry, server, handler, err := serve()
	if err != nil {
		panic(err)
	}
	defer func() { _, _ = registry.Close(), server.Close() }()
	helpers, _ := gatehouse.NewRoles("reader")
	if _, err := registry.Register(ctx, agent.Registration{Agent: agent.Agent{
		ID: "helper", Tenant: "acme", Owner: "alice", Roles: helpers, Keys: []string{agentJWK},
	}}); err != nil {
		panic(err)
	}

	// The agent: a client assertion for each request to the token endpoint. Package
	// oauth does this for a client.
	now := time.Now()
	assertion, _ := agentRing.SignJWT("JWT", map[string]any{
		"iss": "helper", "sub": "helper", "aud": "https://tools.example.com", "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})
	form := url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {string(assertion.Reveal())},
	}
	request := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form.Encode()))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, request)
	var tokens struct {
		AccessToken string `json:"access_token"`
		Scope       string
	}
	_ = json.Unmarshal(response.Body.Bytes(), &tokens)
	fmt.Println(response.Code, tokens.Scope)

	call := func() {
		request := httptest.NewRequest(http.MethodGet, "/report", nil)
		request.Header.Set("Authorization", "Bearer "+tokens.AccessToken)
		response := httptest.NewRecorder()
		handler.ServeHTTP(response, request)
		fmt.Println(response.Code, strings.TrimSpace(response.Body.String()))
	}
	call()
	if _, err := registry.Decommission(ctx, "acme", "helper"); err != nil {
		panic(err)
	}
	call()
	// Output:
	// 200 data:read
	// 200 report for agent helper of acme
	// 401 {"error":"invalid_token","error_description":"The access token is expired, revoked, malformed or invalid for other reasons."}
}

// serve returns the handler of an API and of its token endpoint.
func serve() (*agent.Registry, *agent.Server, http.Handler, error) {
	registry, err := agent.New(agent.Config{
		Issuer:  "https://tools.example.com",
		Store:   agent.NewMemory(0), // of the store module, if there are several servers
		Replays: dpop.NewMemory(0),
		Roles:   map[string]agent.Role{"reader": {Scopes: []string{"data:read"}}},
	})
	if err != nil {
		return nil, nil, nil, err
	}
	signing, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // load it from a file
	keys, err := jwtauth.NewKeyRing(jwtauth.SigningKey{Algorithm: jwtauth.ES256, Private: signing})
	if err != nil {
		return nil, nil, nil, err
	}
	server, err := agent.NewServer(agent.ServerConfig{
		Registry: registry, Keys: keys, Audience: "https://tools.example.com/report",
		TokenEndpoint: "https://tools.example.com/token", JWKS: "https://tools.example.com/jwks",
	})
	if err != nil {
		return nil, nil, nil, err
	}
	tokens, err := jwtauth.New(server.Trust(jwtauth.Config{}))
	if err != nil {
		return nil, nil, nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{registry.Guard(tokens)}, Realm: "tools"})
	if err != nil {
		return nil, nil, nil, err
	}
	mux := gate.Mux()
	mux.Public("/token", server)
	mux.Public("GET /jwks", keys)
	mux.Public("GET /.well-known/oauth-authorization-server", server.Metadata())
	mux.Handle("POST /agents/{id}/decommission", registry.DecommissionEndpoint("admin"), gatehouse.Authenticated)
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		caller, err := registry.Caller(r.Context(), p)
		if err != nil {
			gatehouse.Refuse(w, r, err)
			return
		}
		fmt.Fprintf(w, "report for agent %s of %s\n", caller.Agent.ID, caller.Agent.Tenant)
	}, scopes.All("data:read"))
	return registry, server, mux, nil
}

// publicJWK returns the public key of a keyring as a JWK.
func publicJWK(keys *jwtauth.KeyRing) string {
	response := httptest.NewRecorder()
	keys.ServeHTTP(response, httptest.NewRequest(http.MethodGet, "/jwks", nil))
	var set struct{ Keys []json.RawMessage }
	_ = json.Unmarshal(response.Body.Bytes(), &set)
	return string(set.Keys[0])
}
