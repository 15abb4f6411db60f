// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// claims returns the claims of a credential or token.
func claims(t *testing.T, credential string) object {
	t.Helper()
	var c object
	must(t, json.Unmarshal(value(base64.RawURLEncoding.DecodeString(strings.Split(credential, ".")[1])), &c))
	return c
}

// The token endpoint gives an agent what its roles and the person allow, and no more.
func TestTokens(t *testing.T) {
	n := newWorld(t).start(t, nil)
	alice := n.person("alice", "acme")
	own := n.own(t, n.client, "helper-1")
	delegated := n.delegated(t, n.browser, "helper-1", alice, "scope", "data:read data:write")
	nested := n.delegated(t, n.browser, "plain", bare(delegated))
	const all = "data:read data:write exec:sandbox external:invoke"
	for name, test := range map[string]struct {
		credential                   string
		subject, kind, client, scope string
		act                          any
	}{
		"own token":            {own, "helper-1", "agent", "helper-1", all, nil},
		"asked for less":       {n.own(t, n.browser, "helper-1", "scope", "data:read"), "helper-1", "agent", "helper-1", "data:read", nil},
		"role reader":          {n.own(t, n.browser, "helper-2"), "helper-2", "agent", "helper-2", "data:read", nil},
		"delegated":            {delegated, "alice", "", "helper-1", "data:read data:write", object{"sub": "helper-1"}},
		"limited by the roles": {n.delegated(t, n.browser, "helper-2", alice), "alice", "", "helper-2", "data:read", object{"sub": "helper-2"}},
		"exchanged again":      {nested, "alice", "", "plain", "data:read data:write", object{"sub": "plain", "act": object{"sub": "helper-1"}}},
	} {
		got := claims(t, test.credential)
		issued, _ := got["iat"].(float64)
		expires, _ := got["exp"].(float64)
		if limit, _ := claims(t, alice)["exp"].(float64); expires <= issued || expires > issued+900 || test.act != nil && expires > limit {
			t.Errorf("%s: iat = %v, exp = %v, want at most 15 minutes, and at most the exp of the subject token, %v", name, issued, expires, limit)
		}
		kind, _ := got["type"].(string)
		want := []any{n.origin + "/mcp", n.origin, "acme", test.subject, test.kind, test.client, test.scope, test.act}
		if diff := cmp.Diff(want, []any{got["aud"], got["iss"], got["tenant"], got["sub"], kind, got["client_id"], got["scope"], got["act"]}); diff != "" {
			t.Errorf("%s: claims (-want +got):\n%s", name, diff)
		}
	}
	if cnf, _ := claims(t, own)["cnf"].(object); cnf["x5t#S256"] == nil {
		t.Errorf("cnf = %v over a connection with a certificate, want its thumbprint", cnf)
	}
	if cnf := claims(t, delegated)["cnf"]; cnf != nil {
		t.Errorf("cnf = %v over a connection without a certificate, want none", cnf)
	}
}

// Covers RFC 6749 §5.2; RFC 8693 §2.2.2.
func TestTokenRequestsAreRefused(t *testing.T) {
	n := newWorld(t).start(t, nil)
	alice := n.person("alice", "acme")
	bound := bare(n.delegated(t, n.client, "helper-1", alice))
	used := n.assertion("helper-1", nil)
	if r := n.mint(t, n.browser, "helper-1", "client_assertion", used); r.status != http.StatusOK {
		t.Fatalf("POST /token: %d %s, want a token", r.status, r.text)
	}
	asserts := func(changes object) []string { return []string{"client_assertion", n.assertion("helper-1", changes)} }
	late := time.Now().Unix() + 3600
	for name, test := range map[string]struct {
		agent      string
		parameters []string
		want       string
	}{
		"assertion twice":              {"helper-1", []string{"client_assertion", used}, "invalid_client"},
		"assertion of an hour":         {"helper-1", asserts(object{"exp": late}), "invalid_client"},
		"assertion for another server": {"helper-1", asserts(object{"aud": "https://other.example"}), "invalid_client"},
		"assertion of another issuer":  {"helper-1", asserts(object{"iss": "helper-2"}), "invalid_client"},
		"assertion for another agent":  {"helper-1", asserts(object{"iss": "helper-2", "sub": "helper-2"}), "invalid_client"},
		"assertion without jti":        {"helper-1", asserts(object{"jti": ""}), "invalid_client"},
		"no assertion":                 {"helper-1", []string{"client_assertion", ""}, "invalid_client"},
		"another grant":                {"helper-1", []string{"grant_type", "password"}, "unsupported_grant_type"},
		"more than the roles":          {"helper-2", []string{"scope", "data:write"}, "invalid_scope"},
		"another resource":             {"helper-1", []string{"resource", "https://tools.example.com"}, "invalid_target"},
		"another audience":             {"helper-1", []string{"audience", "https://other.example/mcp"}, "invalid_target"},
		"actor_token":                  {"helper-1", exchange(alice, "actor_token", alice, "actor_token_type", "urn:ietf:params:oauth:token-type:access_token"), "invalid_request"},
		"nothing in common":            {"helper-2", exchange(alice, "scope", "data:write"), "invalid_scope"},
		"person of another tenant":     {"helper-1", exchange(n.person("eve", "globex")), "invalid_request"},
		"person without a tenant":      {"helper-1", exchange(n.person("zoe", "")), "invalid_request"},
		"bound subject token":          {"helper-2", exchange(bound), "invalid_request"},
		"an agent's own token":         {"helper-2", exchange(bare(n.own(t, n.browser, "helper-1"))), "invalid_request"},
	} {
		r := n.mint(t, n.browser, test.agent, test.parameters...)
		if r.status/100 != 4 || r.body["error"] != test.want || r.body["access_token"] != nil || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s, want %s", name, r.status, r.text, test.want)
		}
	}
}
