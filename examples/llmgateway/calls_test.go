// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
)

// The output limit that reaches the upstream is the smallest of all.
func TestLimits(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil)
	s := start(t, configure(t, p.URL, object{"tool_overhead": object{"small-1": 30}}))
	for _, test := range []struct {
		name, who, path, body string
		want                  object // limits that the upstream gets
	}{
		{"of the model", "ci", "/v1/chat/completions", `{"model":"small-1","messages":[]}`, object{"max_completion_tokens": 400}},
		{"of the request", "ci", "/v1/chat/completions", `{"model":"small-1","messages":[],"max_tokens":7}`, object{"max_tokens": 7}},
		{"all three", "ci", "/v1/chat/completions", `{"model":"small-1","messages":[],"max_tokens":7,"max_completion_tokens":6,"max_output_tokens":900}`, object{"max_tokens": 6, "max_completion_tokens": 6, "max_output_tokens": 6}},
		{"null", "ci", "/v1/messages", `{"model":"claude-1","messages":[],"max_tokens":null}`, object{"max_tokens": 500}},
		{"cap less the input", "capped", "/v1/chat/completions", `{"model":"small-1","messages":[{"role":"user","content":"0123"}]}`, object{"max_completion_tokens": 80}},
		{"divided by the choices", "capped", "/v1/chat/completions", `{"model":"small-1","n":3,"messages":[{"role":"user","content":"0123"}]}`, object{"max_completion_tokens": 26}},
		{"tools", "capped", "/v1/responses", `{"model":"small-1","input":"0123","tools":[{"type":"custom"}]}`, object{"max_output_tokens": 31}},
		{"embeddings", "capped", "/v1/embeddings", `{"model":"small-1","input":[1,2,3]}`, object{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if a := s.post(test.who, test.path, test.body); a.status != http.StatusOK {
				t.Fatalf("POST %s = %s %s", test.path, a, a.body)
			}
			_, body := p.last(t)
			var got map[string]any
			if err := json.Unmarshal([]byte(body), &got); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"max_tokens", "max_completion_tokens", "max_output_tokens"} {
				if fmt.Sprint(got[name]) != fmt.Sprint(test.want[name]) {
					t.Errorf("upstream got %s, want %s %v", body, name, test.want[name])
				}
			}
		})
	}
}

// A call is charged what the upstream reports, plain and streamed, and the window ends
// with 429.
func TestCharges(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil) // 3 words of output
	s := start(t, configure(t, p.URL, object{"budgets": []object{
		{"per": "key", "window": "month", "zone": "Europe/Berlin", "max_tokens": 1000, "warn": []float64{0.5}},
		{"per": "tenant_tier", "window": "rolling_24h", "max_tokens": 2000},
	}}))
	want := 0
	for _, test := range []struct {
		path, body string
		tokens     int // 1 for the input and one for each of its words, and the output
		end        string
	}{
		{"/v1/chat/completions", `{"model":"small-1","messages":[]}`, 2 + 3, `"total_tokens":5}}`},
		{"/v1/chat/completions", `{"model":"small-1","messages":[],"n":2}`, 2 + 6, ""},
		{"/v1/chat/completions", `{"model":"small-1","messages":[],"stream":true}`, 2 + 3, "data: [DONE]"},
		{"/v1/chat/completions", `{"model":"small-1","messages":[],"stream":true,"n":2}`, 2 + 6, "data: [DONE]"},
		{"/v1/chat/completions", `{"model":"small-1","messages":[],"stream":true,"stream_options":{"include_usage":true}}`, 2 + 3, "data: [DONE]"},
		{"/v1/responses", `{"model":"small-1","input":"x"}`, 2 + 3, ""},
		{"/v1/responses", `{"model":"small-1","input":"x","stream":true}`, 2 + 3, ""},
		{"/v1/embeddings", `{"model":"small-1","input":"x"}`, 2, ""},
		{"/v1/messages", `{"model":"claude-1","messages":[],"max_tokens":9}`, 2 + 3, ""},
		{"/v1/messages", `{"model":"claude-1","messages":[],"max_tokens":9,"stream":true}`, 2 + 3, `data: {"type":"message_stop"}`},
	} {
		a := s.post("ci", test.path, test.body)
		if want += test.tokens; a.status != http.StatusOK || !strings.HasSuffix(strings.TrimSpace(a.body), test.end) || a.header.Get("Ratelimit") == "" {
			t.Errorf("POST %s = %s %v %s, want 200", test.path, a, a.header, a.body)
		}
		hidden := strings.Contains(test.body, `"stream":true`) && strings.HasSuffix(test.path, "completions") && !strings.Contains(test.body, "include_usage")
		if hidden == strings.Contains(a.body, "total_tokens") && !strings.HasSuffix(test.path, "messages") {
			t.Errorf("POST %s %s: %s, want the usage unless the gateway has asked for it", test.path, test.body, a.body)
		}
		if got := s.spent("ci", "key", ""); got != strconv.Itoa(want)+"+0" {
			t.Errorf("POST %s %s: spent %s, want %d", test.path, test.body, got, want)
		}
	}
	if got := s.spent("ci", "tenant_tier", "standard"); got != strconv.Itoa(want)+"+0" {
		t.Errorf("tier standard has spent %s, want %d", got, want)
	}
	for _, b := range s.budgets("ci", "/spend") {
		if b.Per == "model" && b.Account == "claude-1" && b.Spent != 10 {
			t.Errorf("claude-1 has spent %d, want 10", b.Spent)
		}
	}
	for range 200 {
		a := s.chat("ci", "small-1", `,"n":2`)
		if a.status == http.StatusOK {
			continue
		}
		if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); a.String() != "429 budget_exceeded rate_limit_error" || err != nil || seconds < 1 ||
			a.header.Get("Ratelimit-Policy") == "" || a.header.Get("Ratelimit") == "" || (seconds > 60) != (a.header.Get("X-Should-Retry") == "false") {
			t.Errorf("chat = %s %v, want 429 with Retry-After and RateLimit", a, a.header)
		}
		return
	}
	t.Error("the budget has no end")
}

// Each attempt has its own model, tier and hold. Fallbacks whose tier the caller does
// not have are passed over.
func TestFallbacks(t *testing.T) {
	t.Parallel()
	fake := &fake{words: 3}
	broken := "large-1"
	p := newProvider(t, nil)
	answer := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			text, _ := io.ReadAll(r.Body)
			if strings.Contains(string(text), broken) {
				http.Error(w, `{"error":{"message":"overloaded"}}`, status)
				return
			}
			r.Body = io.NopCloser(strings.NewReader(string(text)))
			fake.ServeHTTP(w, r)
		}
	}
	s := start(t, configure(t, p.URL, object{
		"fallbacks": object{"large-1": []string{"small-1"}, "small-1": []string{"large-1"}},
		"budgets":   []object{{"per": "tenant_tier", "window": "rolling_24h", "max_tokens": 100000}},
	}))
	p.answers(answer(http.StatusServiceUnavailable))
	if a := s.chat("boss", "large-1", `,"max_tokens":500`); a.status != http.StatusOK || !strings.Contains(a.body, `"model":"small-1"`) {
		t.Errorf("chat = %s %s, want an answer of the fallback", a, a.body)
	}
	if _, body := p.last(t); !strings.Contains(body, `"max_tokens":400`) {
		t.Errorf("upstream got %s, want the limit of the fallback", body)
	}
	if premium, standard := s.spent("boss", "tenant_tier", "premium"), s.spent("boss", "tenant_tier", "standard"); premium != "0+0" || standard != "5+0" {
		t.Errorf("premium has spent %s, standard %s, want only the tier of the fallback", premium, standard)
	}
	p.answers(answer(http.StatusTooManyRequests))
	if a := s.chat("boss", "large-1", ""); a.status != http.StatusTooManyRequests || p.calls() != 3 {
		t.Errorf("chat = %s after %d calls, want 429 of the upstream without a fallback", a, p.calls())
	}
	broken = "small-1"
	p.answers(answer(http.StatusInternalServerError))
	if a := s.chat("ci", "small-1", ""); a.String() != "502 upstream_unavailable server_error" || p.calls() != 4 {
		t.Errorf("chat = %s after %d calls, want 502 without a call of the other tier", a, p.calls())
	}
	if got := s.spent("ci", "tenant_tier", "standard"); got != "5+0" {
		t.Errorf("standard has spent %s, want nothing for failures", got)
	}
	dead := httptest.NewServer(nil)
	dead.Close()
	config := configure(t, p.URL, nil)
	config["upstreams"].([]object)[0]["models"] = []string{"small-1", "tuned-acme-1", "untiered-1"}
	config["upstreams"] = append(config["upstreams"].([]object), object{"name": "dead", "api": "openai", "base_url": dead.URL, "credential": "file:" + credential(t), "models": []string{"large-1"}})
	broken = "none"
	other := start(t, config)
	if a := other.chat("boss", "large-1", ""); a.status != http.StatusOK {
		t.Errorf("chat with a dead upstream = %s %s, want an answer of the fallback", a, a.body)
	}
}

// Errors of the upstream say nothing about it, and are not charged.
func TestUpstreamErrors(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil)
	address, _ := url.Parse(p.URL)
	s := start(t, configure(t, p.URL, object{"budgets": []object{{"per": "tenant", "window": "rolling_24h", "max_tokens": 100000}}}))
	leak := `"key ` + providerSecret + ` at ` + address.Host + `"`
	charged := 0
	for _, test := range []struct {
		status  int
		body    string
		want    string
		retry   string // X-Should-Retry
		charged int
	}{
		{301, "", "502 upstream_refused server_error", "false", 0},
		{400, `{"error":{"message":` + leak + `,"type":"x","code":"bad"}}`, "400 bad invalid_request_error", "", 0},
		{401, `{"error":{"message":` + leak + `}}`, "502 upstream_refused server_error", "false", 0},
		{403, leak, "502 upstream_refused server_error", "false", 0},
		{404, leak, "404 upstream_error invalid_request_error", "", 0},
		{422, `{"error":` + leak + `}`, "422 upstream_error invalid_request_error", "", 0},
		{429, `{}`, "429 upstream_error rate_limit_error", "false", 0},
		{500, leak, "502 upstream_unavailable server_error", "", 0},
		{503, "<html>", "502 upstream_unavailable server_error", "", 0},
		{500, `{"usage":{"prompt_tokens":7,"completion_tokens":0,"total_tokens":7}}`, "502 upstream_unavailable server_error", "false", 7},
	} {
		p.answers(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", p.URL+"/elsewhere")
			w.Header().Set("Set-Cookie", "a=b")
			w.Header().Set("X-Echo", providerSecret)
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(test.status)
			_, _ = io.WriteString(w, test.body)
		})
		a := s.chat("ci", "small-1", "")
		if a.String() != test.want || a.header.Get("X-Should-Retry") != test.retry {
			t.Errorf("%d %s: %s, X-Should-Retry %q, want %s and %q", test.status, test.body, a, a.header.Get("X-Should-Retry"), test.want, test.retry)
		}
		if text := fmt.Sprint(a.header, a.body); strings.Contains(text, providerSecret) || strings.Contains(text, address.Host) || strings.Contains(text, "a=b") {
			t.Errorf("%d: the answer %s has the credential or the address", test.status, text)
		}
		charged += test.charged
		if got := s.spent("ci", "tenant", ""); got != strconv.Itoa(charged)+"+0" {
			t.Errorf("%d %s: spent %s, want %d", test.status, test.body, got, charged)
		}
	}
	p.answers(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s.secrets = append(s.secrets, address.Host)
	a := s.post("ci", "/v1/messages", `{"model":"claude-1","messages":[]}`)
	if a.String() != "502 upstream_unavailable api_error" {
		t.Errorf("cut connection: %s, want 502", a)
	}
	p.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		send(w, "", object{"choices": []object{}})
		panic(http.ErrAbortHandler)
	})
	if a := s.chat("ci", "small-1", `,"stream":true`); a.status != http.StatusOK || a.err == nil && !strings.Contains(a.body, "event: error") {
		t.Errorf("cut stream: %s %s, want one that does not look complete", a, a.body)
	}
	charged += 5 + 16 + 400
	if got := s.spent("ci", "tenant", ""); got != strconv.Itoa(charged)+"+0" {
		t.Errorf("cut stream: spent %s, want %d: the whole hold", got, charged)
	}
	p.answers(func(w http.ResponseWriter, _ *http.Request) { // the upstream repeats its credential
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"echo":"`+providerSecret+`","usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`)
	})
	if a := s.chat("ci", "small-1", ""); a.status != http.StatusOK || strings.Contains(a.body, providerSecret) {
		t.Errorf("chat = %s %s, want 200 without the credential", a, a.body)
	}
}

// An upstream that answers compressed has served the call: it is paid, and no fallback is
// called.
func TestCompressedAnswer(t *testing.T) {
	t.Parallel()
	p := newProvider(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "\x1f\x8b")
	})
	s := start(t, configure(t, p.URL, object{"budgets": []object{{"per": "tenant", "window": "rolling_24h", "max_tokens": 100000}}}))
	if a := s.chat("boss", "large-1", ""); a.String() != "502 upstream_unavailable server_error" || p.calls() != 1 {
		t.Errorf("chat = %s after %d calls, want 502 after one", a, p.calls())
	}
	p.answers(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusNotFound)
	})
	if a := s.chat("boss", "large-1", ""); a.String() != "404 upstream_error invalid_request_error" || p.calls() != 2 {
		t.Errorf("chat = %s after %d calls, want 404 without a fallback", a, p.calls())
	}
	if got, want := s.spent("boss", "tenant", ""), strconv.Itoa(5+16+800)+"+0"; got != want {
		t.Errorf("spent %s, want %s: the whole hold of the first call", got, want)
	}
}

// An upstream that stalls is cut.
func TestStall(t *testing.T) {
	inNetwork(t, func(t *testing.T, network pipes) {
		var calls atomic.Int64
		network.serve(t, "127.0.0.1:9000", newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			_, _ = io.Copy(io.Discard, r.Body)
			if strings.HasSuffix(r.URL.Path, "messages") {
				w.Header().Set("Content-Type", "text/event-stream")
				send(w, "message_start", object{"type": "message_start", "message": object{"usage": object{"input_tokens": 3, "output_tokens": 1}}})
			}
			<-r.Context().Done()
		})))
		s := network.start(t, configure(t, "http://127.0.0.1:9000", object{"budgets": []object{{"per": "tenant", "window": "day", "max_tokens": 100000}}}))
		if a := s.chat("boss", "large-1", ""); a.String() != "504 upstream_unavailable server_error" {
			t.Errorf("chat = %s %s, want 504", a, a.body)
		}
		if got := calls.Load(); got != 1 {
			t.Errorf("the upstreams got %d calls, want no fallback after a stall", got)
		}
		if a := s.post("ci", "/v1/messages", `{"model":"claude-1","messages":[],"stream":true}`); a.err == nil && !strings.Contains(a.body, "event: error") {
			t.Errorf("stream = %s %s, want one that is cut", a, a.body)
		}
		// The whole hold of the first call, and the reported input and the output limit of
		// the second.
		if got, want := s.spent("ci", "tenant", ""), strconv.Itoa(5+16+800+3+500)+"+0"; got != want {
			t.Errorf("spent %s, want %s", got, want)
		}
	})
}

// While the ledger or the store of the keys is down, calls get 503, and no upstream is called.
func TestLedgerDown(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil)
	down := object{"driver": "redis", "dsn": "redis://127.0.0.1:1"}
	s, withoutKeys := start(t, configure(t, p.URL, object{"ledger": down})), start(t, configure(t, p.URL, object{"api_keys": down}))
	for _, a := range []answer{s.chat("ci", "small-1", ""), withoutKeys.chat(s.keys["ci"], "small-1", "")} {
		if a.String() != "503 temporarily_unavailable server_error" || p.calls() != 0 {
			t.Errorf("chat = %s after %d calls, want 503 before any", a, p.calls())
		}
	}
	if a := s.do("ci", http.MethodGet, "/spend", ""); a.String() != "503 temporarily_unavailable" {
		t.Errorf("GET /spend = %s, want 503", a)
	}
	if a := s.do("", http.MethodGet, "/readyz", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("GET /readyz = %s, want 503", a)
	}
	if a := s.do("", http.MethodGet, "/healthz", ""); a.status != http.StatusOK {
		t.Errorf("GET /healthz = %s, want 200", a)
	}
}

// The page and its data are those of the caller's tenant.
func TestSpendIsOfOneTenant(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil)
	s := start(t, configure(t, p.URL, object{"budgets": []object{{"per": "tenant", "window": "rolling_24h", "max_tokens": 5000}}}))
	for _, who := range []string{"ci", "other"} {
		if a := s.chat(who, "small-1", ""); a.status != http.StatusOK {
			t.Fatalf("chat = %s %s", a, a.body)
		}
	}
	for who, tenants := range map[string][2]string{"ci": {"acme", "globex"}, "other": {"globex", "acme"}} {
		for _, accept := range []string{"application/json", "text/html"} {
			a := s.do(who, http.MethodGet, "/spend", "", "Accept", accept)
			if a.status != http.StatusOK || !strings.Contains(a.body, tenants[0]) || strings.Contains(a.body, tenants[1]) ||
				!strings.HasPrefix(a.header.Get("Content-Type"), accept) || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("GET /spend by %s as %s = %s %v %s, want the budgets of %s only", who, accept, a, a.header, a.body, tenants[0])
			}
			if page := accept == "text/html"; page != (a.header.Get("Content-Security-Policy") != "") {
				t.Errorf("GET /spend as %s: Content-Security-Policy = %q", accept, a.header.Get("Content-Security-Policy"))
			}
		}
	}
	for path, kind := range map[string]string{"/spend.js": "text/javascript", "/spend.css": "text/css"} {
		if a := s.do("", http.MethodGet, path, ""); a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), kind) {
			t.Errorf("GET %s = %s %v, want %s", path, a, a.header, kind)
		}
	}
}

// A body that the client does not finish is no hold.
func TestSlowBody(t *testing.T) {
	t.Parallel()
	p := newProvider(t, nil)
	s := start(t, configure(t, p.URL, nil))
	r := s.request(t.Context(), "ci", http.MethodPost, chatRoute, "")
	r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(`{"model":`), iotest.ErrReader(errors.New("the client gives up")))), -1
	if response, err := http.DefaultTransport.RoundTrip(r); err == nil {
		_ = response.Body.Close()
	}
	if n := p.calls(); n != 0 {
		t.Errorf("the upstream got %d calls, want none", n)
	}
}
