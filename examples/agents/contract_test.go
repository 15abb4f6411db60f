// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// The metadata of the resource and of the issuer lead clients to one another.
//
// Covers RFC 9728 §3.
func TestMetadata(t *testing.T) {
	n := newWorld(t).start(t, nil)
	resource := n.send(t, n.browser, http.MethodGet, "/.well-known/oauth-protected-resource/mcp", "")
	servers, _ := resource.body["authorization_servers"].([]any)
	if resource.status != 200 || resource.body["resource"] != n.origin+"/mcp" || len(servers) != 2 || servers[0] != n.issuer.URL || servers[1] != n.origin {
		t.Errorf("metadata of the resource: %d %s, want both issuers", resource.status, resource.text)
	}
	issuer := n.send(t, n.browser, http.MethodGet, "/.well-known/oauth-authorization-server", "")
	if issuer.status != 200 || issuer.body["issuer"] != n.origin || issuer.body["token_endpoint"] != n.origin+"/token" || issuer.body["jwks_uri"] != n.origin+"/jwks" {
		t.Errorf("metadata of the issuer: %d %s, want its endpoints", issuer.status, issuer.text)
	}
	if keys := n.send(t, n.browser, http.MethodGet, "/jwks", ""); keys.status != 200 || !strings.Contains(keys.text, `"kty":"EC"`) || strings.Contains(keys.text, `"d"`) {
		t.Errorf("GET /jwks: %d %s, want public keys", keys.status, keys.text)
	}
}

// A page of another origin causes nothing, whatever the credential.
func TestOtherOrigins(t *testing.T) {
	n := newWorld(t).start(t, nil)
	carol := "Bearer " + n.person(t, "carol", "acme", "admin")
	id := n.callTool(t, n.client, n.own(t, n.client, "helper-1"), "run_code", code).approval()
	for _, test := range []struct{ name, value string }{
		{"Origin", "https://evil.example.com"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
	} {
		for _, path := range []string{"/approvals/" + id, "/agents/helper-1/decommission"} {
			for _, credential := range []string{carol, ""} {
				headers := []string{test.name, test.value, "Content-Type", "application/json", "Accept", "application/json"}
				if credential != "" {
					headers = append(headers, "Authorization", credential)
				}
				if r := n.send(t, n.browser, http.MethodPost, path, `{"decision":"approve","reason":""}`, headers...); r.status != 403 {
					t.Errorf("POST %s with %s: %s: %d %s, want 403", path, test.name, test.value, r.status, r.text)
				}
			}
		}
	}
	if r := n.send(t, n.browser, http.MethodPost, "/mcp", `{}`, "Origin", "https://evil.example.com"); r.status != 403 {
		t.Errorf("POST /mcp of another origin: %d %s, want 403", r.status, r.text)
	}
	if r := n.send(t, n.browser, http.MethodGet, "/approvals/"+id, "", "Authorization", carol, "Accept", "application/json"); r.body["status"] != "pending" {
		t.Errorf("the approval: %s, want pending", r.text)
	}
	form := url.Values{"decision": {"approve"}, "reason": {"ok"}}.Encode()
	if r := n.send(t, n.browser, http.MethodPost, "/approvals/"+id, form, "Origin", n.origin, "Sec-Fetch-Site", "same-origin",
		"Content-Type", "application/x-www-form-urlencoded", "Authorization", carol); r.status != 303 && r.status != 200 {
		t.Errorf("the form of the page: %d %s, want a redirect or a page", r.status, r.text)
	}
	if r := n.send(t, n.browser, http.MethodGet, "/approvals/"+id, "", "Authorization", carol, "Accept", "application/json"); r.body["status"] != "approved" {
		t.Errorf("the approval after the form: %s, want approved", r.text)
	}
}

// The list has what the caller may decide on, newest first.
func TestApprovalList(t *testing.T) {
	n := newWorld(t).start(t, nil)
	alice, bob := n.person(t, "alice", "acme"), n.person(t, "bob", "acme", "operator")
	own := n.own(t, n.client, "helper-1")
	payment := func(amount int) object { return object{"url": n.partner.URL, "amount": amount} }
	first := n.callTool(t, n.client, own, "call_partner", payment(1)).approval()
	second := n.callTool(t, n.client, own, "call_partner", payment(2)).approval()
	n.callTool(t, n.client, own, "run_code", code)
	consent := n.callTool(t, n.client, n.delegated(t, n.client, "helper-1", alice), "update_profile", profile).approval()
	list := func(token string) string {
		var ids strings.Builder
		r := n.send(t, n.browser, http.MethodGet, "/approvals", "", "Authorization", "Bearer "+token, "Accept", "application/json")
		all, _ := r.body["approvals"].([]any)
		for _, a := range all {
			id, _ := a.(object)["id"].(string)
			ids.WriteString(id + " ")
		}
		return ids.String()
	}
	if got := list(bob); got != second+" "+first+" " {
		t.Errorf("the list of an operator: %s, want %s %s", got, second, first)
	}
	if got := list(alice); got != consent+" " {
		t.Errorf("the list of a person: %s, want %s", got, consent)
	}
	r := n.send(t, n.browser, http.MethodGet, "/approvals/"+second, "", "Authorization", "Bearer "+bob, "Accept", "application/json")
	if arguments, _ := r.body["arguments"].(object); r.body["tool"] != "call_partner" || arguments["amount"] != 2.0 || r.body["subject"] != "helper-1" ||
		r.body["actor"] != "helper-1" || r.body["tenant"] != "acme" || r.body["status"] != "pending" || r.body["expires"] == nil {
		t.Errorf("GET of an approval: %s, want all members", r.text)
	}
	if r := n.send(t, n.browser, http.MethodGet, "/approvals", ""); r.status != 401 {
		t.Errorf("GET /approvals without a credential: %d, want 401", r.status)
	}
	if r := n.send(t, n.browser, http.MethodGet, "/approvals?access_token="+bob, ""); r.status != 401 && r.status != 400 {
		t.Errorf("GET /approvals with a token in the query: %d, want 401", r.status)
	}
}

// Tokens that people's issuers delegate are as good as those of the token endpoint, if
// their actor is a live agent of the tenant.
func TestDelegatedByIssuer(t *testing.T) {
	n := newWorld(t).start(t, nil)
	token := func(tenant string, actors ...string) string {
		t.Helper()
		var chain []gatehouse.Actor
		for _, actor := range actors {
			chain = append(chain, gatehouse.Actor{Subject: actor})
		}
		scopes, _ := gatehouse.NewScopes(allScopes...)
		signed, err := n.people.Sign(jwtauth.AccessToken{
			Subject: "alice", Audience: n.origin + "/mcp", Client: "portal", Scopes: scopes, Tenant: tenant, Actors: gatehouse.NewActors(chain...),
		})
		must(t, err)
		return "Authorization: Bearer " + string(signed.Token.Reveal())
	}
	for _, test := range []struct {
		name, credential string
		want             string
	}{
		{"a live agent", token("acme", "helper-1"), "approval_required"},
		{"its roles limit the scopes", token("acme", "helper-2"), "insufficient_scope"},
		{"an unknown agent", token("acme", "unknown"), "invalid_token"},
		{"an agent of another tenant", token("acme", "other"), "invalid_token"},
		{"a chain of four", token("acme", "helper-1", "plain", "helper-1", "plain"), "approval_required"},
	} {
		if r := n.callTool(t, n.browser, test.credential, "update_profile", profile); r.outcome() != test.want {
			t.Errorf("%s: %d %s, want %s", test.name, r.status, r.text, test.want)
		}
	}
	chain := strings.TrimPrefix(token("acme", "helper-1", "plain", "helper-1", "plain"), "Authorization: Bearer ")
	if r := n.mint(t, n.client, "plain", "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token", chain,
		"subject_token_type", "urn:ietf:params:oauth:token-type:access_token"); r.status != 400 || r.body["access_token"] != nil {
		t.Errorf("a fifth actor: %d %s, want 400", r.status, r.text)
	}
	// Claims of another issuer make no caller an agent.
	scopes, _ := gatehouse.NewScopes(allScopes...)
	signed, err := n.people.Sign(jwtauth.AccessToken{
		Subject: "helper-1", Audience: n.origin + "/mcp", Client: "helper-1", Scopes: scopes, Tenant: "acme", Claims: object{"type": "agent"},
	})
	must(t, err)
	if r := n.callTool(t, n.browser, "Authorization: Bearer "+string(signed.Token.Reveal()), "run_code", code); r.outcome() != "access_denied" {
		t.Errorf("a person with the claims of an agent: %d %s, want access_denied", r.status, r.text)
	}
}

// A stream does not keep the server from stopping.
func TestStopEndsStreams(t *testing.T) {
	n := newWorld(t).start(t, nil)
	stream := n.listen(t, n.own(t, n.client, "helper-1"))
	if err := n.end(syscall.SIGTERM); err != nil { // what does not end in time is an error
		t.Errorf("the server ended with %v, want nil", err)
	}
	<-stream
	path, key := n.trail()
	if _, err := verified(path, key); err != nil {
		t.Errorf("-verify after the stop error = %v, want nil", err)
	}
}

// DPoP is always on: a token that is bound to a key needs a new proof for each request.
//
// Covers RFC 9449 §7.1.
func TestDPoP(t *testing.T) {
	n := newWorld(t).start(t, nil)
	address := func(path string) *url.URL {
		u, err := url.Parse(n.origin + path)
		must(t, err)
		return u
	}
	key, err := dpop.GenerateKey()
	must(t, err)
	form := url.Values{
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {n.assertion(t, "helper-1", nil)},
		"grant_type": {"client_credentials"},
	}
	proof, err := key.Proof(dpop.ProofRequest{Method: http.MethodPost, URL: address("/token")})
	must(t, err)
	r := n.send(t, n.browser, http.MethodPost, "/token", form.Encode(), "Content-Type", "application/x-www-form-urlencoded", "DPoP", proof)
	token, _ := r.body["access_token"].(string)
	if r.status != 200 || r.body["token_type"] != "DPoP" {
		t.Fatalf("POST /token with a proof: %d %s, want a DPoP token", r.status, r.text)
	}
	call := func(headers ...string) int {
		headers = append(headers, "Content-Type", "application/json", "Accept", "application/json, text/event-stream")
		return n.send(t, n.browser, http.MethodPost, "/mcp", `{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"read_public","arguments":{"topic":"hello"}}}`, headers...).status
	}
	proof, err = key.Proof(dpop.ProofRequest{Method: http.MethodPost, URL: address("/mcp"), AccessToken: token})
	must(t, err)
	for _, test := range []struct {
		name string
		got  int
		want int
	}{
		{"with a proof", call("Authorization", "DPoP "+token, "DPoP", proof), 200},
		{"the proof again", call("Authorization", "DPoP "+token, "DPoP", proof), 401},
		{"as a bearer token", call("Authorization", "Bearer "+token), 401},
	} {
		if test.got != test.want {
			t.Errorf("a DPoP token %s: %d, want %d", test.name, test.got, test.want)
		}
	}
}
