// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/browser"
	"github.com/gatehouse-go/gatehouse/interop/program"
)

// spendGateway is examples/llmgateway in front of its fake upstream.
type spendGateway struct {
	url    string
	keys   map[string]string // by name
	binary string
}

func startSpendGateway(t *testing.T) *spendGateway {
	t.Helper()
	g := &spendGateway{binary: buildExample(t, "llmgateway"), keys: make(map[string]string)}
	fake := program.Start(t, g.binary, os.Environ(), "-fake", "127.0.0.1:0")
	upstream := fake.Prints(t, &fake.Out, `listening (\S+)\n`)
	names := []map[string]any{
		{"name": "team", "tenant": "acme", "scopes": []string{"model:standard", "model:premium", "spend:read"}},
		{"name": "small", "tenant": "acme", "scopes": []string{"model:standard"}, "max_tokens_per_day": 300},
		{"name": "other", "tenant": "globex", "scopes": []string{"model:standard", "spend:read"}},
	}
	server := startApp(t, g.binary, map[string]any{
		"addr": "127.0.0.1:0", "hold": "60s", "max_body_bytes": 1 << 20,
		"api_keys": map[string]any{"driver": "memory", "mint": names},
		"ledger":   map[string]any{"driver": "memory"},
		"upstreams": []map[string]any{
			{"name": "one", "api": "openai", "base_url": upstream, "credential": "env:PROVIDER_KEY", "models": []string{"small-1", "large-1"}},
			{"name": "two", "api": "anthropic", "base_url": upstream, "credential": "env:PROVIDER_KEY", "models": []string{"claude-1"}},
		},
		"tiers":             map[string]any{"standard": []string{"small-1", "claude-1"}, "premium": []string{"large-1"}},
		"max_output_tokens": map[string]any{"small-1": 400, "large-1": 800, "claude-1": 500},
		"budgets": []map[string]any{
			{"per": "tenant", "window": "month", "zone": "Europe/Berlin", "max_tokens": 20000, "warn": []float64{0.8}},
			{"per": "tenant_tier", "window": "day", "max_tokens": 5000},
			{"per": "subject", "window": "rolling_24h", "max_tokens": 8000},
		},
	})
	g.url = server.Prints(t, &server.Out, `listening (\S+)\n`)
	for _, n := range names {
		name, _ := n["name"].(string)
		g.keys[name] = server.Prints(t, &server.Out, `api-key `+name+` (\S+)\n`)
	}
	return g
}

// llmGatewayInBrowser looks at the live page of the spend. A proxy adds the API key,
// which a browser cannot send by itself.
func llmGatewayInBrowser(t *testing.T, page *browser.Page) {
	g := startSpendGateway(t)
	target := must(url.Parse(g.url))
	var broken atomic.Bool
	signedIn := func(key string) string {
		front := httptest.NewServer(&httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.Out.Header.Set("Authorization", "Bearer "+g.keys[key])
				if broken.Load() {
					r.Out.Header.Set("Authorization", "Bearer wrong")
				}
			},
			ModifyResponse: func(r *http.Response) error {
				if policy := r.Header.Get("Content-Security-Policy"); r.Request.URL.Path == "/spend" && r.StatusCode == 200 && !strings.Contains(policy, "default-src 'none'") {
					return fmt.Errorf("Content-Security-Policy: %q", policy)
				}
				return nil
			},
		})
		t.Cleanup(front.Close)
		return front.URL + "/spend"
	}
	chat := func(key, model string, limit int) {
		t.Helper()
		body := fmt.Sprintf(`{"model":%q,"max_tokens":%d,"messages":[{"role":"user","content":"Say something."}]}`, model, limit)
		r := must(http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/v1/chat/completions", strings.NewReader(body)))
		r.Header.Set("Authorization", "Bearer "+g.keys[key])
		r.Header.Set("Content-Type", "application/json")
		response, err := http.DefaultClient.Do(r)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("chat as %s = %v, %v", key, response, err)
		}
		_ = response.Body.Close()
	}

	address := signedIn("team")
	lands(t, "the page", page.Visit(t, address), http.StatusOK, "")
	says(t, page, "main", "No tokens yet")
	chat("team", "small-1", 50)
	page.Until(t, `[...document.querySelectorAll('h2')].map(e => e.textContent).join() === 'Tenant,Model tiers,Models,Subjects'`)
	for range 4 {
		chat("small", "small-1", 20)
		chat("team", "large-1", 100)
	}
	chat("other", "small-1", 20)
	page.Until(t, `document.querySelector('main').textContent.includes('large-1')`)
	if got := page.Text(t, "body"); strings.Contains(got, "globex") {
		t.Errorf("the page shows another tenant: %s", got)
	}
	pictures(t, page, filepath.Join(t.ArtifactDir(), "spend"),
		"[...document.querySelectorAll('svg')].every((e) => e.getBoundingClientRect().height >= 8)") // a bar is visible
	broken.Store(true) // the session has ended
	page.Until(t, `!document.querySelector('#problem').hidden && document.body.classList.contains('stale')`)
	broken.Store(false)
	page.Until(t, `document.querySelector('#problem').hidden && !document.body.classList.contains('stale')`)
	page.Visit(t, signedIn("other"))
	if got := page.Text(t, "body"); strings.Contains(got, "acme") || !strings.Contains(got, "globex") {
		t.Errorf("the page of the other tenant is %s", got)
	}
	lands(t, "without the scope, the page", page.Visit(t, signedIn("small")), http.StatusForbidden, "")
}
