// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

// A person signs in with a browser, sees the approvals that are waiting and decides by
// the form of the page. Tenant and roles come from the ID token.
func TestSignIn(t *testing.T) {
	w := newWorld(t)
	provider := webtest.NewProvider(t)
	provider.Subject, provider.Claims = "carol", object{"tenant": "acme", "roles": []string{"admin"}}
	probe := value(net.Listen("tcp", "127.0.0.1:0"))
	addr := probe.Addr().String()
	must(t, probe.Close())
	w.origin = "http://" + addr
	t.Setenv("WEBTEST_SECRET", webtest.ClientSecret)
	t.Setenv("WEBTEST_KEY", webtest.CookieKey)
	login := object{
		"issuer": provider.URL, "client_id": webtest.ClientID, "client_secret": "env:WEBTEST_SECRET",
		"scopes": []string{"openid"}, "cookie_keys": []string{"env:WEBTEST_KEY"},
	}
	issuer := object{"issuer": provider.URL, "audience": w.origin + "/mcp", "algorithms": []string{"RS256"}, "tenants": []string{"acme"}}
	n := w.start(t, object{"tls": nil, "addr": addr, "public_origin": w.origin, "issuers": []object{issuer}, "signin": login})

	id := n.callTool(t, w.browser, n.own(t, w.browser, "helper-1"), "run_code", code).approval()
	b := webtest.NewBrowser(t)
	page := b.Go(w.origin + "/approvals/" + id)
	if page.URL != w.origin+"/approvals/"+id || page.Status != 200 || !strings.Contains(page.Body, "run_code") {
		t.Fatalf("after the login: %s, want the page of the approval", page)
	}
	if page.Header.Get("Content-Security-Policy") == "" || page.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the page has the headers %v, want a policy and no-store", page.Header)
	}
	if list := b.Go(w.origin + "/approvals"); list.Status != 200 || !strings.Contains(list.Body, id) {
		t.Errorf("GET /approvals: %s, want the approval in the list", list)
	}
	form := url.Values{"decision": {"approve"}, "reason": {"ok"}}
	for _, test := range []struct {
		from string
		want int
	}{{"https://evil.example.com", 403}, {w.origin, 303}} {
		answer := b.Do(webtest.Request{Method: "POST", URL: w.origin + "/approvals/" + id, Body: form.Encode(), Type: "application/x-www-form-urlencoded", From: test.from, Navigation: true})
		if answer.Status != test.want {
			t.Errorf("POST from %s: %s, want %d", test.from, answer, test.want)
		}
	}
	if got := n.callTool(t, w.browser, n.own(t, w.browser, "helper-1"), "run_code", code).outcome(); got != "done" {
		t.Errorf("run_code after the approval: %s, want done", got)
	}

	// The issuer may not speak for another tenant, and a person without a role sees
	// nothing.
	provider.Change(func() { provider.Claims = object{"tenant": "globex", "roles": []string{"admin"}} })
	if page := webtest.NewBrowser(t).Go(w.origin + "/approvals"); page.Status != 403 {
		t.Errorf("login for another tenant: %s, want 403", page)
	}
	provider.Change(func() { provider.Claims, provider.Subject = object{"tenant": "acme"}, "dave" })
	if page := webtest.NewBrowser(t).Go(w.origin + "/approvals/" + id); page.Status != 403 && page.Status != 404 {
		t.Errorf("the page for a person without a role: %s, want 403 or 404", page)
	}
}

func TestClaim(t *testing.T) {
	claims := map[string]any{"tenant": "a", "realm": map[string]any{"a/b": map[string]any{"roles": "c"}}}
	for name, want := range map[string]any{"tenant": "a", "/realm/a~1b/roles": "c", "/realm/x/roles": nil, "roles": nil, "/tenant/x": nil} {
		if got := claim(claims, name); got != want {
			t.Errorf("claim(%s) = %v, want %v", name, got, want)
		}
	}
}
