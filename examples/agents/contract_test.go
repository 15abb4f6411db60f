// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/url"
	"slices"
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
	carol := n.person("carol", "acme", "admin")
	id := n.callTool(t, n.client, n.own(t, n.client, "helper-1"), "run_code", code).approval()
	for _, origin := range [][]string{{"Origin", "https://evil.example.com"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		for _, path := range []string{"/approvals/" + id, "/agents/helper-1/decommission"} {
			for _, credential := range [][]string{{"Authorization", "Bearer " + carol}, nil} {
				headers := slices.Concat(origin, credential, []string{"Content-Type", "application/json", "Accept", "application/json"})
				if r := n.send(t, n.browser, http.MethodPost, path, `{"decision":"approve","reason":""}`, headers...); r.status != 403 {
					t.Errorf("POST %s with %q: %d %s, want 403", path, headers, r.status, r.text)
				}
			}
		}
	}
	if r := n.send(t, n.browser, http.MethodPost, "/mcp", `{}`, "Origin", "https://evil.example.com"); r.status != 403 {
		t.Errorf("POST /mcp of another origin: %d %s, want 403", r.status, r.text)
	}
	if r := n.get(t, "/approvals/"+id, carol); r.body["status"] != "pending" {
		t.Errorf("the approval: %s, want pending", r.text)
	}
	form := url.Values{"decision": {"approve"}, "reason": {"ok"}}.Encode()
	if r := n.send(t, n.browser, http.MethodPost, "/approvals/"+id, form, "Origin", n.origin, "Sec-Fetch-Site", "same-origin",
		"Content-Type", "application/x-www-form-urlencoded", "Authorization", "Bearer "+carol); r.status != 303 && r.status != 200 {
		t.Errorf("the form of the page: %d %s, want a redirect or a page", r.status, r.text)
	}
	if r := n.get(t, "/approvals/"+id, carol); r.body["status"] != "approved" {
		t.Errorf("the approval after the form: %s, want approved", r.text)
	}
}

// The list has what the caller may decide on, newest first.
func TestApprovalList(t *testing.T) {
	n := newWorld(t).start(t, nil)
	alice, bob := n.person("alice", "acme"), n.person("bob", "acme", "operator")
	own := n.own(t, n.client, "helper-1")
	payment := func(amount int) object { return object{"url": n.partner.URL, "amount": amount} }
	first := n.callTool(t, n.client, own, "call_partner", payment(1)).approval()
	second := n.callTool(t, n.client, own, "call_partner", payment(2)).approval()
	n.callTool(t, n.client, own, "run_code", code)
	consent := n.callTool(t, n.client, n.delegated(t, n.client, "helper-1", alice), "update_profile", profile).approval()
	list := func(token string) string {
		var ids strings.Builder
		r := n.get(t, "/approvals", token)
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
	r := n.get(t, "/approvals/"+second, bob)
	if arguments, _ := r.body["arguments"].(object); r.body["tool"] != "call_partner" || arguments["amount"] != 2.0 || r.body["subject"] != "helper-1" ||
		r.body["actor"] != "helper-1" || r.body["tenant"] != "acme" || r.body["status"] != "pending" || r.body["expires"] == nil {
		t.Errorf("GET of an approval: %s, want all members", r.text)
	}
	for _, path := range []string{"/approvals", "/approvals?access_token=" + bob} {
		if r := n.send(t, n.browser, http.MethodGet, path, ""); r.status != 401 {
			t.Errorf("GET %.12s without a header: %d, want 401", path, r.status)
		}
	}
}

// Tokens that people's issuers delegate are as good as those of the token endpoint, if
// their actor is a live agent of the tenant.
func TestDelegatedByIssuer(t *testing.T) {
	n := newWorld(t).start(t, nil)
	token := func(tenant string, actors ...string) string {
		var chain []gatehouse.Actor
		for _, actor := range actors {
			chain = append(chain, gatehouse.Actor{Subject: actor})
		}
		return "Authorization: Bearer " + n.token(jwtauth.AccessToken{Subject: "alice", Tenant: tenant, Actors: gatehouse.NewActors(chain...)})
	}
	// Claims of another issuer make no caller an agent.
	claims := "Authorization: Bearer " + n.token(jwtauth.AccessToken{Subject: "helper-1", Client: "helper-1", Tenant: "acme", Claims: object{"type": "agent"}})
	n.want(t, "a live agent", token("acme", "helper-1"), "update_profile", profile, "approval_required")
	n.want(t, "its roles limit the scopes", token("acme", "helper-2"), "update_profile", profile, "insufficient_scope")
	n.want(t, "an unknown agent", token("acme", "unknown"), "update_profile", profile, "invalid_token")
	n.want(t, "an agent of another tenant", token("acme", "other"), "update_profile", profile, "invalid_token")
	n.want(t, "a chain of four", token("acme", "helper-1", "plain", "helper-1", "plain"), "update_profile", profile, "approval_required")
	n.want(t, "a person with the claims of an agent", claims, "run_code", code, "access_denied")
	chain := bare(token("acme", "helper-1", "plain", "helper-1", "plain"))
	if r := n.mint(t, n.client, "plain", exchange(chain)...); r.status != 400 || r.body["access_token"] != nil {
		t.Errorf("a fifth actor: %d %s, want 400", r.status, r.text)
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
	key := value(dpop.GenerateKey())
	proof := func(path, token string) string {
		return value(key.Proof(dpop.ProofRequest{Method: http.MethodPost, URL: value(url.Parse(n.origin + path)), AccessToken: token}))
	}
	r := n.tokenRequest("helper-1")
	r.Header.Set("DPoP", proof("/token", ""))
	got := n.do(t, n.browser, r)
	token, _ := got.body["access_token"].(string)
	if got.status != 200 || got.body["token_type"] != "DPoP" {
		t.Fatalf("POST /token with a proof: %d %s, want a DPoP token", got.status, got.text)
	}
	call := func(scheme string, headers ...string) int {
		return n.do(t, n.browser, n.message("Authorization: "+scheme+" "+token, "tools/call", `{"name":"read_public","arguments":{"topic":"hello"}}`, headers...)).status
	}
	once := proof("/mcp", token)
	for _, test := range []struct {
		name string
		got  int
		want int
	}{
		{"with a proof", call("DPoP", "DPoP", once), 200},
		{"the proof again", call("DPoP", "DPoP", once), 401},
		{"as a bearer token", call("Bearer"), 401},
	} {
		if test.got != test.want {
			t.Errorf("a DPoP token %s: %d, want %d", test.name, test.got, test.want)
		}
	}
}
