// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
)

// refuse runs the app with an invalid configuration and returns its error.
func refuse(t *testing.T, config any) string {
	t.Helper()
	var stdout webtest.Log
	err := run(t.Context(), writeConfig(t, config), &stdout, io.Discard)
	if err == nil || stdout.String() != "" {
		t.Fatalf("run = %v, stdout %q, want an error", err, &stdout)
	}
	_, lines, _ := strings.Cut(err.Error(), ":\n") // after the path
	return lines
}

func TestInvalidConfigIsRefused(t *testing.T) {
	t.Parallel()
	const base = "http://127.0.0.1:9000"
	top := func(changes object) object { return configure(t, base, changes) }
	change := func(field, name string, value any) object {
		c := top(nil)
		c[field] = with(c[field].(object), object{name: value})
		return c
	}
	upstream := func(changes object) object {
		c := top(nil)
		list := c["upstreams"].([]object)
		list[0] = with(list[0], changes)
		return c
	}
	line := func(changes object) object {
		return top(object{"budgets": []object{with(object{"per": "key", "window": "day", "max_tokens": 10}, changes)}})
	}
	prompts := func(list ...object) object { return top(object{"prompts": list}) }
	mint := func(changes object) object {
		return top(object{"api_keys": object{"driver": "memory", "mint": []object{with(object{"name": "a", "tenant": "acme"}, changes)}}})
	}
	dir := t.TempDir()
	empty, key := filepath.Join(dir, "empty"), filepath.Join(dir, "key")
	write(t, empty, "")
	write(t, key, webtest.CookieKey)
	people := func(changes object) object {
		return top(object{"signin": with(object{
			"issuer": "https://auth.example.com", "client_id": "x", "client_secret": "file:" + credential(t), "scopes": []string{"openid"}, "cookie_keys": []string{"file:" + key},
		}, changes)})
	}
	for _, test := range []struct {
		name   string
		config any
		want   string
	}{
		{"no JSON", "addr", "byte 0: "},
		{"data after the object", `{"addr":"127.0.0.1:0"} {}`, "data after the JSON object"},
		{"unknown field", top(object{"debug": true}), `unknown field "debug"`},
		{"unknown field of a budget", line(object{"max": 1}), `unknown field "max"`},
		{"field in another case", top(object{"Tiers": object{}}), `unknown field "Tiers"`},
		{"field twice", `{"addr":"127.0.0.1:0","addr":"127.0.0.1:0"}`, `"addr" occurs twice`},
		{"model twice in a map", `{"max_output_tokens":{"a":1,"a":2}}`, `"a" occurs twice`},
		{"mistyped", top(object{"max_body_bytes": "1"}), "max_body_bytes: unexpected string"},
		{"fraction of tokens", line(object{"max_tokens": 1.5}), "max_tokens: unexpected number"},
		{"addr", top(object{"addr": nil}), `addr: "" is not host:port`},
		{"neither issuers nor keys", top(object{"api_keys": nil}), "issuers: at least one is required"},
		{"issuer", top(object{"issuers": []object{{"issuer": "https://a.example", "audience": "x"}}}), "issuers[0].algorithms: "},
		{"driver of the keys", top(object{"api_keys": object{"driver": "mysql"}}), "api_keys.driver: "},
		{"cap of a key", mint(object{"max_tokens_per_day": -1}), "api_keys.mint[0].max_tokens_per_day: "},
		{"tenant of a key", mint(object{"tenant": nil}), "api_keys.mint[0].tenant: required"},
		{"role of a key", mint(object{"roles": []string{""}}), "api_keys.mint[0].roles: "},
		{"ledger", top(object{"ledger": nil}), "ledger.driver: "},
		{"dsn of the ledger", top(object{"ledger": object{"driver": "postgres"}}), "ledger.dsn: required"},
		{"no upstreams", top(object{"upstreams": nil, "tiers": nil, "aliases": nil, "fallbacks": nil, "max_output_tokens": nil, "model_tenants": nil}), "upstreams: at least one is required"},
		{"upstream without a name", upstream(object{"name": nil}), "upstreams[0].name: "},
		{"upstream twice", upstream(object{"name": "claude"}), "upstreams[1].name: "},
		{"api", upstream(object{"api": "gemini"}), "upstreams[0].api: "},
		{"plain http", upstream(object{"base_url": "http://api.example.com"}), "upstreams[0].base_url: plain http"},
		{"base URL without a host", upstream(object{"base_url": "api.example.com"}), "upstreams[0].base_url: not an https URL"},
		{"base URL with a query", upstream(object{"base_url": "https://api.example.com/?a=b"}), "upstreams[0].base_url: must have"},
		{"base URL with a user", upstream(object{"base_url": "https://a:b@api.example.com"}), "upstreams[0].base_url: must have"},
		{"literal credential", upstream(object{"credential": providerSecret}), "upstreams[0].credential: "},
		{"no credential", upstream(object{"credential": nil}), "upstreams[0].credential: "},
		{"empty credential", upstream(object{"credential": "file:" + empty}), "upstreams[0].credential: "},
		{"credential that is not there", upstream(object{"credential": "env:NO_SUCH_VARIABLE"}), "upstreams[0].credential: "},
		{"no models", upstream(object{"models": nil}), "upstreams[0].models: at least one"},
		{"model in two upstreams", upstream(object{"models": []string{"small-1", "large-1", "tuned-acme-1", "untiered-1", "claude-1"}}), `upstreams[1].models: "claude-1" occurs twice`},
		{"model in two tiers", change("tiers", "premium", []string{"large-1", "small-1"}), `tiers.standard: model "small-1" is in the tier "premium" already`},
		{"no limit", change("max_output_tokens", "small-1", nil), "max_output_tokens.small-1: required"},
		{"no limit of a model without a tier", change("max_output_tokens", "untiered-1", nil), "max_output_tokens.untiered-1: required"},
		{"limit 0", change("max_output_tokens", "small-1", 0), "max_output_tokens.small-1: required"},
		{"limit of nothing", change("max_output_tokens", "none", 1), `max_output_tokens: unknown model "none"`},
		{"overhead of nothing", top(object{"tool_overhead": object{"none": 1}}), `tool_overhead: unknown model "none"`},
		{"negative overhead", top(object{"tool_overhead": object{"small-1": -1}}), "tool_overhead.small-1: "},
		{"tier of nothing", change("tiers", "premium", []string{"none"}), `tiers.premium: unknown model "none"`},
		{"tier that is no scope", change("tiers", "a b", []string{"untiered-1"}), "tiers: "},
		{"tier without models", change("tiers", "x", []string{}), `tiers["x"]: has no model`},
		{"alias of nothing", change("aliases", "x", "none"), `aliases.x: unknown model "none"`},
		{"alias of an alias", change("aliases", "x", "fast"), `aliases.x: unknown model "fast"`},
		{"alias with the name of a model", change("aliases", "large-1", "small-1"), `aliases: "large-1" is a model`},
		{"fallback of nothing", change("fallbacks", "none", []string{"small-1"}), `fallbacks: unknown model "none"`},
		{"fallback to nothing", change("fallbacks", "small-1", []string{"none"}), `fallbacks.small-1: unknown model "none"`},
		{"fallback to itself", change("fallbacks", "small-1", []string{"small-1"}), "fallbacks.small-1: "},
		{"fallback to the other API", change("fallbacks", "small-1", []string{"claude-1"}), "fallbacks.small-1: "},
		{"tenant of nothing", change("model_tenants", "none", "acme"), `model_tenants: unknown model "none"`},
		{"empty tenant", change("model_tenants", "small-1", ""), "model_tenants.small-1: "},
		{"per", line(object{"per": "planet"}), "budgets[0].per: "},
		{"window", line(object{"window": "year"}), `budgets[0]: window "year"`},
		{"window life", line(object{"window": "life"}), `budgets[0]: window "life"`},
		{"zone", line(object{"zone": "Mars/Olympus"}), `budgets[0]: zone "Mars/Olympus"`},
		{"local zone", line(object{"zone": "Local"}), `budgets[0]: zone "Local"`},
		{"zone of a minute", line(object{"window": "minute", "zone": "Mars/Olympus"}), `budgets[0]: zone "Mars/Olympus"`},
		{"no tokens", line(object{"max_tokens": nil}), "budgets[0].max_tokens: "},
		{"too many tokens", line(object{"max_tokens": int64(1) << 53}), "budgets[0].max_tokens: "},
		{"warn 0", line(object{"warn": []float64{0}}), "budgets[0].warn: "},
		{"warn above 1", line(object{"warn": []float64{1.01}}), "budgets[0].warn: "},
		{"prompt without a condition", prompts(object{"category": "a"}), "prompts[0]: needs contains or default"},
		{"prompt without a category", prompts(object{"default": true}), "prompts[0].category: "},
		{"category twice", prompts(object{"category": "a", "default": true}, object{"category": "a", "contains": []string{"x"}}), "prompts[1].category: "},
		{"two defaults", prompts(object{"category": "a", "default": true}, object{"category": "b", "default": true}), "prompts[1].default: "},
		{"empty text", prompts(object{"category": "a", "contains": []string{""}}), "prompts[0].contains: "},
		{"role of a prompt", prompts(object{"category": "a", "default": true, "roles": []string{""}}), "prompts[0].roles: "},
		{"hold 0", top(object{"hold": "0s"}), "hold: "},
		{"hold that is no duration", top(object{"hold": "soon"}), "hold: "},
		{"short hold", top(object{"hold": "1ms"}), "hold: "},
		{"body 0", top(object{"max_body_bytes": 0}), "max_body_bytes: "},
		{"issuer of people", people(object{"issuer": "x"}), "signin.issuer: "},
		{"secret of people", people(object{"client_secret": "x"}), "signin.client_secret: "},
		{"scopes of people", people(object{"scopes": []string{"spend:read"}}), "signin.scopes: openid is required"},
		{"cookie keys", people(object{"cookie_keys": []string{}}), "signin.cookie_keys: "},
		{"short cookie key", people(object{"cookie_keys": []string{"file:" + credential(t)}}), "signin.cookie_keys[0]: "},
		{"origin", people(object{"public_origin": "x"}), "signin.public_origin: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := refuse(t, test.config)
			if !strings.Contains(got, test.want) {
				t.Errorf("run = %s, want %q", got, test.want)
			}
			if strings.Contains(got, providerSecret[:12]) {
				t.Errorf("run = %s, want no secret", got)
			}
		})
	}
}

// TestExitStatus runs this binary as the app.
func TestExitStatus(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "none.json")
	for _, test := range []struct {
		args   []string
		status int
		want   string // on standard error
	}{
		{nil, 2, "-config"},
		{[]string{"-config", missing, "more"}, 2, "-config"},
		{[]string{"-config", missing, "-fake", "127.0.0.1:0"}, 2, "-config"},
		{[]string{"-config", missing}, 1, "llmgateway: " + missing + ":\nno such file"},
		{[]string{"-config", writeConfig(t, "{}")}, 1, "\naddr: "},
		{[]string{"-fake", "192.0.2.1:0"}, 1, "llmgateway: "},
	} {
		app := exec.CommandContext(t.Context(), os.Args[0], test.args...) //nolint:gosec // this binary
		app.Env = append(os.Environ(), appBinary+"=1")
		var stdout, stderr webtest.Log
		app.Stdout, app.Stderr = &stdout, &stderr
		_ = app.Run()
		if got := app.ProcessState.ExitCode(); got != test.status || stdout.String() != "" || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("llmgateway %q = %d, stdout %q, stderr %q, want %d, %q", test.args, got, &stdout, &stderr, test.status, test.want)
		}
	}
}

// TestExampleConfig starts the app with config.example.json.
func TestExampleConfig(t *testing.T) {
	text := must(os.ReadFile("config.example.json"))
	dir := t.TempDir()
	secret := credential(t)
	changed := strings.NewReplacer(`"127.0.0.1:8080"`, `"127.0.0.1:0"`, `"dsn": "`, `"dsn": "`+dir+`/`, "file:openai.key", "file:"+secret, "file:anthropic.key", "file:"+secret).Replace(string(text))
	path := writeConfig(t, changed)
	c := must(readConfig(path))
	if _, err := c.settings(); err != nil {
		t.Fatal(err)
	}
	readme := must(os.ReadFile("README.md"))
	webtest.CheckReadme(t, string(readme), config{})
}

// People sign in for the page, and only for the page.
func TestSignIn(t *testing.T) {
	p := webtest.NewProvider(t)
	p.Claims["tenant"] = "acme"
	t.Setenv("WEBTEST_SECRET", webtest.ClientSecret)
	t.Setenv("WEBTEST_KEY", webtest.CookieKey)
	s := start(t, configure(t, newProvider(t, nil).URL, object{"signin": object{
		"issuer": p.URL, "client_id": webtest.ClientID, "client_secret": "env:WEBTEST_SECRET",
		"scopes": []string{"openid", "spend:read"}, "cookie_keys": []string{"env:WEBTEST_KEY"},
	}}))
	b := webtest.NewBrowser(t)
	page := b.Go(s.URL + "/spend")
	if page.Status != 200 || page.URL != s.URL+"/spend" || !strings.Contains(page.Body, "acme") {
		t.Fatalf("GET /spend = %v at %s, want a login and the page", page, page.URL)
	}
	if policy := page.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' "+p.URL+";") {
		t.Errorf("Content-Security-Policy = %q, want forms that lead to the issuer", policy)
	}
	if data := b.Fetch("GET", s.URL+"/spend", s.URL); data.Status != 200 || data.JSON(t)["tenant"] != "acme" {
		t.Errorf("GET /spend by a script = %v, want the data", data)
	}
	for path, method := range map[string]string{"/usage": "GET", "/v1/models": "GET", "/v1/chat/completions": "POST"} {
		if answer := b.Do(webtest.Request{Method: method, URL: s.URL + path, From: s.URL, Body: "{}", Type: "application/json"}); answer.Status != 401 {
			t.Errorf("%s %s with a session = %v, want 401", method, path, answer)
		}
	}
	if out := b.Do(webtest.Request{Method: "POST", URL: s.URL + "/logout", From: s.URL, Navigation: true}); out.Status != 303 || len(b.Cookies()) != 0 {
		t.Errorf("POST /logout = %v, cookies %q, want 303 and no session", out, b.Cookies())
	}
}
