// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/authtest"
)

// names are the addresses of host names that only these tests know.
var names sync.Map

// resolveNames makes HTTP clients find the hosts in names.
func resolveNames() {
	transport := http.DefaultTransport.(*http.Transport)
	dial := transport.DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if known, ok := names.Load(address); ok {
			address = known.(string)
		}
		return dial(ctx, network, address)
	}
}

// shaped is an issuer with the metadata and the tokens of a product.
type shaped struct {
	keys *authtest.Issuer
	url  string
}

// newShaped serves an issuer over plain http. host is a host:port that only these
// tests know, "" for the loopback address.
func newShaped(t *testing.T, host, path, keysPath string) *shaped {
	t.Helper()
	s := &shaped{keys: authtest.NewIssuer(t)}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL + path
	if host != "" {
		names.Store(host, server.Listener.Addr().String())
		s.url = "http://" + host + path
	}
	mux.HandleFunc("GET "+path+"/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, object{"issuer": s.url, "jwks_uri": s.url + keysPath, "token_endpoint": s.url + "/token"})
	})
	mux.HandleFunc("GET "+path+keysPath, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(s.keys.KeySet()) })
	return s
}

// token signs claims and the ones that every token has.
func (s *shaped) token(claims object) string {
	now := time.Now()
	payload := must(json.Marshal(with(object{"iss": s.url, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}, claims)))
	return s.keys.Sign(must(json.Marshal(object{"alg": "RS256", "kid": s.keys.Keys()[0].ID})), payload)
}

// tokenTest is a request with a token whose claims are those of a user with changes.
type tokenTest struct {
	name, method, path string
	claims             object
	want, reason       string
}

func (s *shaped) check(t *testing.T, p *server, user object, tests []tokenTest) {
	t.Helper()
	for _, test := range tests {
		p.with(s.token(with(user, test.claims)), test.method, test.path).want(t, test.name, test.want)
		if got := p.lastRejection().Reason; test.reason != "" && got != test.reason {
			t.Errorf("%s: reason = %s, want %s", test.name, got, test.reason)
		}
	}
}

// fileConfig returns a configuration file of this folder with another issuer URL and
// changes of its issuer.
func fileConfig(t *testing.T, name, issuer string, changes object) object {
	t.Helper()
	var c object
	if err := json.Unmarshal(must(os.ReadFile(name)), &c); err != nil {
		t.Fatal(err)
	}
	first := c["issuers"].([]any)[0].(object)
	c["addr"], c["issuers"] = "127.0.0.1:0", []object{with(with(first, object{"issuer": issuer}), changes)}
	return c
}

var keycloakUser = object{
	"aud": []string{"reports-api", "account"}, "sub": "6c8b", "typ": "Bearer", "azp": "web", "jti": "onrtac:0c2b", "sid": "s1", "acr": "1",
	"scope": "openid reports:read", "realm_access": object{"roles": []string{"admin"}}, "preferred_username": "ann",
}

// TestKeycloak runs the app with config.keycloak.json and an issuer like Keycloak on
// plain http, as in a compose file.
func TestKeycloak(t *testing.T) {
	t.Parallel()
	issuer := newShaped(t, "keycloak:8080", "/realms/acme", "/protocol/openid-connect/certs")
	p := start(t, fileConfig(t, "config.keycloak.json", issuer.url, nil))
	issuer.check(t, p, keycloakUser, []tokenTest{
		{"user", "GET", "/reports", nil, "200", ""},
		{"scope", "POST", "/reports", nil, "403 insufficient_scope", "scopes_missing"},
		{"with nonce, before 25", "GET", "/reports", object{"nonce": "n"}, "200", ""},
		{"ID token with the audience", "GET", "/reports", object{"typ": "ID"}, "401 invalid_token", "jwtauth_type"},
		{"refresh token", "GET", "/reports", object{"typ": "Refresh"}, "401 invalid_token", "jwtauth_type"},
		{"no typ", "GET", "/reports", object{"typ": nil}, "401 invalid_token", "jwtauth_type"},
		{"no audience mapper", "GET", "/reports", object{"aud": "account"}, "401 invalid_token", "jwtauth_audience"},
		{"other realm", "GET", "/reports", object{"iss": "http://keycloak:8080/realms/other"}, "401 invalid_token", "jwtauth_issuer"},
		{"malformed roles", "GET", "/reports", object{"realm_access": object{"roles": 1}}, "401 invalid_token", "jwtauth_claims"},
	})
	p.do("GET", "/readyz").want(t, "GET /readyz", "200")
	// RFC 9728 §2: authorization_servers is optional. Clients cannot use this issuer.
	p.do("GET", "/.well-known/oauth-protected-resource").wantJSON(t, object{
		"resource":         "http://127.0.0.1:8081",
		"scopes_supported": []any{"reports:read", "reports:write"}, "bearer_methods_supported": []any{"header"},
	})
	if !strings.Contains(p.log.String(), "jwtauth_plain_http") {
		t.Errorf("log = %s, want a line about plain http", &p.log)
	}
}

// TestCognito runs the app with config.cognito.json and an issuer like Amazon
// Cognito, whose access tokens have no aud, on the loopback address and on a name.
func TestCognito(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"", "cognito:9229"} {
		issuer := newShaped(t, host, "/eu-west-1_Ab12Cd", "/.well-known/jwks.json")
		changes := object{"plain_http_hosts": []string{"cognito:9229"}}
		if host == "" {
			changes = nil // loopback addresses are not in the list
		}
		p := start(t, fileConfig(t, "config.cognito.json", issuer.url, changes))
		user := object{
			"sub": "6c8b", "client_id": "4p26exampleclient", "token_use": "access", "scope": "openid https://api.example.com/reports:read",
			"username": "ann", "jti": "j1", "auth_time": time.Now().Unix(), "version": 2, "cognito:groups": []string{"admins"},
		}
		issuer.check(t, p, user, []tokenTest{
			{"user", "GET", "/reports", nil, "200", ""},
			{"scope", "POST", "/reports", nil, "403 insufficient_scope", "scopes_missing"},
			{"the prefix of the scopes alone", "GET", "/reports", object{"scope": "https://api.example.com/ https://api.example.com/reports:read"}, "200", ""},
			{"scope of another API", "GET", "/reports", object{"scope": "reports:read https://other.example.com/reports:read"}, "403 insufficient_scope", "scopes_missing"},
			{"other client", "GET", "/reports", object{"client_id": "9other"}, "401 invalid_token", "jwtauth_audience"},
			{"ID token", "GET", "/reports", object{"token_use": "id", "aud": "4p26exampleclient", "client_id": nil}, "401 invalid_token", "jwtauth_type"},
			{"no token_use", "GET", "/reports", object{"token_use": nil}, "401 invalid_token", "jwtauth_type"},
		})
	}
}

// TestProviderSettings: each setting for providers that do not follow the standards has its
// effect, and so have the tenants of an issuer.
func TestProviderSettings(t *testing.T) {
	t.Parallel()
	issuer := newShaped(t, "", "/settings", "/certs")
	for _, test := range []struct {
		name             string
		settings, claims object
		want             string
	}{
		{"scope_claims", object{"scope_claims": []string{"scp"}}, object{"scope": nil, "scp": []string{"reports:read"}}, "200"},
		{"tenant_claim", object{"tenant_claim": "org"}, object{"tenant": nil, "org": "acme"}, "200"},
		{"audiences", object{"audiences": []string{"second"}}, object{"aud": "second"}, "200"},
		{"accept_missing_audience", object{"audience": nil, "accept_missing_audience": true}, object{"aud": nil}, "200"},
		{"refuse", object{"refuse": []object{{"claim": "kind", "values": []string{"id"}}}}, object{"kind": "id"}, "401 invalid_token"},
		{"refuse, another value", object{"refuse": []object{{"claim": "kind", "values": []string{"id"}}}}, object{"kind": "access"}, "200"},
		{"tenants", object{"tenants": []string{"acme"}}, nil, "200"},
		{"other tenants", object{"tenants": []string{"globex"}}, nil, "401 invalid_token"},
	} {
		settings := with(object{"issuer": issuer.url, "audience": apiAudience, "algorithms": []string{"RS256"}, "profile": "compat"}, test.settings)
		p := start(t, configure([]object{settings}, nil))
		claims := with(object{"aud": apiAudience, "sub": "ann", "scope": "reports:read", "tenant": "acme"}, test.claims)
		p.with(issuer.token(claims), "GET", "/tenants/acme/reports").want(t, test.name, test.want)
	}
}

// TestPlainHTTPHosts: plain http is for the hosts in the list only.
func TestPlainHTTPHosts(t *testing.T) {
	t.Parallel()
	issuer := newShaped(t, "idp:8080", "/realms/acme", "/certs")
	other := newShaped(t, "other:8080", "/realms/acme", "/certs")
	config := func(changes object) object { return fileConfig(t, "config.keycloak.json", issuer.url, changes) }
	hosts := func(hosts ...string) object { return object{"plain_http_hosts": hosts} }
	tests := []refusal{
		{"no list", object{"plain_http_hosts": nil}, "issuers[0].issuer: plain http"},
		{"other port", hosts("idp:80"), "issuers[0].issuer: plain http"},
		{"other host", hosts("keycloak:8080"), "issuers[0].issuer: plain http"},
		{"no port", hosts("idp:8080", "idp"), `issuers[0].plain_http_hosts[1]: `},
		{"wildcard", hosts("idp:8080", "*:8080"), `issuers[0].plain_http_hosts[1]: `},
		{"name of the issuer, key set over https", object{"plain_http_hosts": nil, "jwks_url": "https://idp.example/certs"}, "issuers[0].issuer: plain http"},
		{"address of the key set", with(hosts("idp:8080"), object{"jwks_url": other.url + "/certs"}), "issuers[0].jwks_url: plain http"},
	}
	for n, test := range tests {
		tests[n].config = config(test.config.(object))
	}
	checkRefused(t, tests)
	p := start(t, config(hosts("idp:8080")))
	issuer.url, other.url = other.url, issuer.url // the metadata now name the other host
	p.with(other.token(keycloakUser), "GET", "/reports").want(t, "key set on a host that is not in the list", "503 temporarily_unavailable")
}
