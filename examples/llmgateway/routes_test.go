// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/authtest"
)

// Nothing of the caller but the body and a few headers reaches the upstream.
func TestWhatReachesTheUpstream(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil)
	s := start(t, configure(t, p.URL+"/base", nil))
	for _, test := range []struct {
		path, body, to, want, header string
	}{
		{
			"/v1/chat/completions?api_key=x", "{ \"model\":\"fast\", \"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9\"}],\"seed\":12345678901234567890,\"temperature\":1.0\n}", "/base/v1/chat/completions",
			"{ \"model\":\"small-1\", \"messages\":[{\"role\":\"user\",\"content\":\"h\\u00e9\"}],\"seed\":12345678901234567890,\"temperature\":1.0,\"max_completion_tokens\":400\n}", "Authorization",
		},
		{"/v1/responses", `{"model":"small-1","input":"x","max_output_tokens":5}`, "/base/v1/responses", `{"model":"small-1","input":"x","max_output_tokens":5}`, "Authorization"},
		{"/v1/embeddings", `{"model":"small-1","input":[1,2]}`, "/base/v1/embeddings", `{"model":"small-1","input":[1,2]}`, "Authorization"},
		{"/v1/messages", `{"model":"claude-1","messages":[],"max_tokens":9999}`, "/base/claude/v1/messages", `{"model":"claude-1","messages":[],"max_tokens":500}`, "X-Api-Key"},
	} {
		if a := s.post("ci", test.path, test.body, "Cookie", "a=b", "X-Api-Version", "1", "Proxy-Authorization", "Basic x", "Anthropic-Version", "2023-06-01", "Anthropic-Beta", "b", "Connection", "Authorization"); a.status != http.StatusOK {
			t.Errorf("POST %s = %s %s", test.path, a, a.body)
		}
		r, body := p.last(t)
		if r.URL.Path != test.to || r.URL.RawQuery != "" || body != test.want {
			t.Errorf("POST %s: upstream got %s %s, want %s %s", test.path, r.URL, body, test.to, test.want)
		}
		want := providerSecret
		if test.header == "Authorization" {
			want = "Bearer " + want
		}
		if got := r.Header[test.header]; !slices.Equal(got, []string{want}) {
			t.Errorf("POST %s: upstream got %s %q, want the credential of the upstream", test.path, test.header, got)
		}
		text := fmt.Sprint(r.Header)
		for _, header := range []string{"Cookie", "Proxy-Authorization", "X-Api-Version", "X-Forwarded-For", "Idempotency-Key", s.keys["ci"]} {
			if strings.Contains(text, header) {
				t.Errorf("POST %s: upstream got the headers %s, want none with %s", test.path, text, header)
			}
		}
		if r.Header.Get("Anthropic-Version") != "2023-06-01" || r.Header.Get("Anthropic-Beta") != "b" || r.Header.Get("Accept-Encoding") != "identity" {
			t.Errorf("POST %s: upstream got the headers %s, want those of Anthropic", test.path, text)
		}
	}
}

// Nothing of the upstream but the body and a few headers reaches the client.
func TestWhatReachesTheClient(t *testing.T) {
	t.Parallel()
	fake := &fake{words: 3}
	p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "<https://secret.example>")
		w.WriteHeader(http.StatusEarlyHints)
		for _, name := range []string{"Set-Cookie", "Openai-Organization", "X-Ratelimit-Limit-Tokens", "Ratelimit", "Www-Authenticate", "Location", "X-Should-Retry"} {
			w.Header().Set(name, "of the upstream")
		}
		w.Header().Set("X-Request-Id", "req_1")
		w.Header().Set("Trailer", "X-Trailer")
		fake.ServeHTTP(w, r)
		w.Header().Set("X-Trailer", "of the upstream")
	})
	s := start(t, configure(t, p.URL, nil))
	hints := 0
	trace := &httptrace.ClientTrace{Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil }}
	for _, more := range []string{"", `,"stream":true`} {
		ctx := httptrace.WithClientTrace(t.Context(), trace)
		response, err := http.DefaultTransport.RoundTrip(s.request(ctx, "ci", http.MethodPost, chatRoute, `{"model":"small-1","messages":[]`+more+`}`))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if got := fmt.Sprint(response.Header, response.Trailer, string(text)); err != nil || response.StatusCode != http.StatusOK || strings.Contains(got, "of the upstream") || len(response.Header["Cache-Control"]) != 1 ||
			hints > 0 || response.Header.Get("X-Request-Id") != "req_1" || response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("response %s, %d hints, %v, want nothing of the upstream but its request ID", got, hints, err)
		}
	}
}

// A changed credential is used from the next call on.
func TestCredentialIsReadAgain(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil)
	path := credential(t)
	config := configure(t, p.URL, nil)
	for _, u := range config["upstreams"].([]object) {
		u["credential"] = "file:" + path
	}
	s := start(t, config)
	for _, secret := range []string{"second-secret-of-the-gateway", "third-secret-of-the-gateway"} {
		next := path + ".new"
		write(t, next, secret)
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
		if a := s.chat("ci", "small-1", ""); a.status != http.StatusOK {
			t.Fatalf("chat = %s %s", a, a.body)
		}
		if r, _ := p.last(t); r.Header.Get("Authorization") != "Bearer "+secret {
			t.Errorf("upstream got %q, want %s", r.Header.Get("Authorization"), secret)
		}
		s.secrets = append(s.secrets, secret)
	}
}

// The refusals of the contract. None of them reaches the upstream or is charged.
func TestRefusals(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil)
	s := start(t, configure(t, p.URL, object{
		"max_body_bytes": 5000,
		"budgets":        []object{{"per": "tenant", "window": "rolling_24h", "max_tokens": 1000}},
		"prompts": []object{
			{"category": "code", "contains": []string{"```", "write code"}, "roles": []string{"developer"}},
			{"category": "legal", "contains": []string{"sue"}, "roles": []string{"lawyer"}},
			{"category": "hello", "contains": []string{"hello", "Hi"}},
		},
	}))
	chat := func(model, content string) string {
		return `{"model":"` + model + `","messages":[{"role":"user","content":` + content + `}]}`
	}
	const (
		completions = "/v1/chat/completions"
		messages    = "/v1/messages"
		invalid     = "400 invalid_request invalid_request_error"
		scope       = "403 insufficient_scope permission_error"
		denied      = "403 access_denied permission_error"
		exceeded    = "403 budget_exceeded permission_error"
	)
	for _, test := range []struct {
		name, who, path, body, want string
	}{
		{"no credential", "", completions, chat("small-1", `"hello"`), "401 missing_credentials authentication_error"},
		{"no credential, Anthropic", "", messages, chat("claude-1", `"hello"`), "401 missing_credentials authentication_error"},
		{"unknown key", "gatehouse_live_AAAAAAAAAAAAAAAA_AAAA", completions, chat("small-1", `"hello"`), "401 invalid_token authentication_error"},
		{"no model", "ci", completions, `{"messages":[]}`, invalid},
		{"unknown model", "ci", completions, chat("gpt", `"hello"`), invalid},
		{"model without a tier", "ci", completions, chat("untiered-1", `"hello"`), invalid},
		{"alias without a tier", "ci", completions, chat("none", `"hello"`), invalid},
		{"model of another tenant", "other", completions, chat("tuned-acme-1", `"hello"`), invalid},
		{"model twice", "ci", completions, `{"model":"small-1","model":"small-1","messages":[]}`, invalid},
		{"no JSON", "ci", messages, "hello", invalid},
		{"no UTF-8", "ci", completions, chat("small-1", "\"\xff\""), invalid},
		{"too large", "ci", completions, chat("small-1", `"`+strings.Repeat("hello", 1000)+`"`), "413 invalid_request invalid_request_error"},
		{"too large, Anthropic", "ci", messages, chat("claude-1", `"`+strings.Repeat("hello", 1000)+`"`), "413 invalid_request request_too_large"},
		{"other API", "ci", messages, chat("small-1", `"hello"`), invalid},
		{"the other other API", "ci", completions, chat("claude-1", `"hello"`), invalid},
		{"limit is no integer", "ci", completions, `{"model":"small-1","messages":[],"max_tokens":1.5}`, invalid},
		{"number of choices is no integer", "ci", completions, `{"model":"small-1","messages":[],"n":"2"}`, invalid},
		{"limit twice", "ci", completions, `{"model":"small-1","messages":[],"max_tokens":5,"max_tokens":6}`, invalid},
		{"tier", "ci", completions, chat("large-1", `"hello"`), scope},
		{"image", "ci", completions, chat("small-1", `[{"type":"image_url"}]`), denied},
		{"audio", "ci", completions, chat("small-1", `[{"type":"input_audio"}]`), denied},
		{"file", "ci", completions, chat("small-1", `[{"type":"file"}]`), denied},
		{"image, Anthropic", "ci", messages, chat("claude-1", `[{"type":"image"}]`), denied},
		{"conversation", "ci", "/v1/responses", `{"model":"small-1","input":"hello","conversation":"c"}`, denied},
		{"stored prompt", "ci", "/v1/responses", `{"model":"small-1","input":"hello","prompt":{"id":"p"}}`, denied},
		{"item reference", "ci", "/v1/responses", `{"model":"small-1","input":[{"type":"item_reference","id":"i"}]}`, denied},
		{"previous response", "ci", "/v1/responses", `{"model":"small-1","input":"hello","previous_response_id":"r"}`, denied},
		{"category without the role", "capped", completions, chat("small-1", `"write code"`), denied},
		{"category over two parts", "capped", completions, chat("small-1", `[{"type":"text","text":"write "},{"type":"text","text":"code"}]`), denied},
		{"category beside another", "capped", completions, chat("small-1", `"hello, write code"`), denied},
		{"category in the system prompt", "ci", messages, `{"model":"claude-1","system":"sue","messages":[{"role":"user","content":"hello"}]}`, denied},
		{"category in a tool result", "ci", messages, `{"model":"claude-1","messages":[{"role":"user","content":[{"type":"tool_result","content":"sue"},{"type":"text","text":"hello"}]}]}`, denied},
		{"category in the instructions", "ci", "/v1/responses", `{"model":"small-1","input":"hello","instructions":"sue"}`, denied},
		{"no category", "ci", completions, chat("small-1", `"SECRET-PROMPT"`), denied},
		{"above the cap", "capped", completions, chat("small-1", `"`+strings.Repeat("hello", 20)+`"`), exceeded},
		{"above the cap, Anthropic", "capped", messages, chat("claude-1", `"`+strings.Repeat("hello", 20)+`"`), exceeded},
		{"nothing left for the output", "capped", completions, chat("small-1", `"`+strings.Repeat("h", 79)+`hello"`), exceeded},
		{"above the window", "ci", completions, `{"model":"small-1","n":3,"messages":[{"role":"user","content":"hello"}]}`, exceeded},
		{"no such route", "ci", "/v1/images", `{}`, "404 not_found invalid_request_error"},
		{"no such route, Anthropic", "ci", "/v1/messages/count_tokens", `{}`, "404 not_found not_found_error"},
		{"no such route, no credential", "", "/v1/images", `{}`, "401 missing_credentials authentication_error"},
		{"no scope for the page", "capped", "GET /spend", "", "403 insufficient_scope"},
		{"no such page", "ci", "GET /none", "", "404"},
		{"no such method", "ci", "/usage", "", "405"},
		{"the style of the page", "", "GET /spend.css", "", "200"},
		{"no credential for the usage", "", "GET /usage", "", "401 missing_credentials"},
	} {
		t.Run(test.name, func(t *testing.T) {
			method, path := http.MethodPost, test.path
			if get, ok := strings.CutPrefix(path, "GET "); ok {
				method, path = http.MethodGet, get
			}
			a := s.do(test.who, method, path, test.body)
			if a.String() != test.want {
				t.Errorf("%s %s = %s %s, want %s", method, path, a, a.body, test.want)
			}
			if a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("Cache-Control = %q, want no-store", a.header.Get("Cache-Control"))
			}
			if retry := a.header.Get("X-Should-Retry"); (a.status == http.StatusForbidden) != (retry == "false") {
				t.Errorf("%d with X-Should-Retry %q, want false on 403", a.status, retry)
			}
		})
	}
	for header, body := range map[string]string{"Content-Encoding: gzip": chat("small-1", `"hello"`), "Content-Type: multipart/form-data; boundary=x": "--x--"} {
		name, value, _ := strings.Cut(header, ": ")
		if a := s.post("ci", completions, body, name, value); a.String() != invalid {
			t.Errorf("%s: %s, want %s", header, a, invalid)
		}
	}
	if a := s.chat("ci", "large-1", ""); !strings.Contains(a.header.Get("Www-Authenticate"), `scope="model:premium"`) {
		t.Errorf("WWW-Authenticate = %q, want the scope model:premium", a.header.Get("Www-Authenticate"))
	}
	if n := p.calls(); n != 0 {
		t.Errorf("the upstream got %d requests, want none", n)
	}
	if got := s.spent("ci", "tenant", ""); got != "0+0" {
		t.Errorf("the tenant has spent %s, want nothing", got)
	}
	for _, content := range []string{`"hello"`, "\"write code\"", `[{"type":"text","text":"Hi"}]`} {
		if a := s.post("ci", completions, chat("small-1", content)); a.status != http.StatusOK {
			t.Errorf("chat %s by a developer = %s %s, want 200", content, a, a.body)
		}
	}
}

// Only the models and aliases that the caller may use are listed.
func TestModels(t *testing.T) {
	t.Parallel()
	s := start(t, configure(t, newProvider(t, nil).URL, nil))
	for who, want := range map[string]string{
		"ci": "claude-1 small-1 tuned-acme-1 fast", "boss": "claude-1 large-1 small-1 tuned-acme-1 fast", "other": "claude-1 large-1 small-1 fast",
	} {
		a := s.do(who, http.MethodGet, "/v1/models", "")
		var ids []string
		for part := range strings.SplitSeq(a.body, `"id":"`) {
			if id, _, ok := strings.Cut(part, `","object":"model"`); ok {
				ids = append(ids, id)
			}
		}
		if got := strings.Join(ids, " "); got != want || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("models of %s = %q, want %q", who, got, want)
		}
	}
}

// Tokens without a tenant, and with caps that are malformed, are refused everywhere.
func TestTokens(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t)
	p := newProvider(t, nil)
	s := start(t, configure(t, p.URL, object{"issuers": []object{trust(issuer)}, "budgets": []object{
		{"per": "subject", "window": "rolling_24h", "max_tokens": 100000}, {"per": "agent", "window": "rolling_24h", "max_tokens": 100000}, {"per": "key", "window": "rolling_24h", "max_tokens": 100000},
	}}))
	token := func(claims authtest.Claims) string {
		all := authtest.Claims{"scope": "model:standard", "tenant": "acme"}
		maps.Copy(all, claims)
		return issuer.Token(all)
	}
	for _, test := range []struct {
		name   string
		claims authtest.Claims
		want   string
	}{
		{"good", nil, "200"},
		{"no tenant", authtest.Claims{"tenant": nil}, "403 access_denied permission_error"},
		{"text cap", authtest.Claims{"max_tokens_per_request": "100"}, "403 access_denied permission_error"},
		{"fraction", authtest.Claims{"max_tokens_per_day": 1.5}, "403 access_denied permission_error"},
		{"negative", authtest.Claims{"token_budget": -1}, "403 access_denied permission_error"},
		{"above 2^53 - 1", authtest.Claims{"max_tokens_per_day": int64(1 << 53)}, "403 access_denied permission_error"},
		{"request cap", authtest.Claims{"max_tokens_per_request": 20}, "403 budget_exceeded permission_error"},
		{"day cap", authtest.Claims{"max_tokens_per_day": 20}, "403 budget_exceeded permission_error"},
		{"token budget", authtest.Claims{"token_budget": 20}, "403 budget_exceeded permission_error"},
		{"caps that suffice", authtest.Claims{"max_tokens_per_request": 50, "max_tokens_per_day": 60, "token_budget": 1000}, "200"},
	} {
		t.Run(test.name, func(t *testing.T) {
			bearer := token(test.claims)
			if a := s.chat(bearer, "small-1", ""); a.String() != test.want {
				t.Errorf("chat = %s %s, want %s", a, a.body, test.want)
			}
		})
	}
	t.Run("accounts", func(t *testing.T) {
		bearer := token(authtest.Claims{"sub": "bot", "act": object{"sub": "robot", "act": object{"sub": "first"}}})
		if a := s.chat(bearer, "small-1", ""); a.status != http.StatusOK {
			t.Fatalf("chat = %s %s", a, a.body)
		}
		var accounts []string
		for _, b := range s.budgets(bearer, "/usage") {
			accounts = append(accounts, b.Per+" "+b.Account[strings.LastIndex(b.Account, "/")+1:])
		}
		if want := []string{"subject bot", "agent robot"}; !slices.Equal(accounts, want) {
			t.Errorf("accounts = %q, want %q", accounts, want)
		}
		if got := s.budgets(token(authtest.Claims{"sub": "own", "type": "agent"}), "/usage"); len(got) != 2 || !strings.HasSuffix(got[1].Account, "/own") {
			t.Errorf("budgets of an agent = %+v, want its own", got)
		}
	})
}
