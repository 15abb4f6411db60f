// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/examples/internal/webtest"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// deadline bounds the wait for something that usually takes milliseconds.
const deadline = time.Minute

// appBinary is the environment variable with which this binary is the app.
const appBinary = "LLMGATEWAY_TEST_APP"

func TestMain(m *testing.M) {
	if os.Getenv(appBinary) != "" {
		main()
		return
	}
	time.Local = time.FixedZone("Tokyo", 9*60*60) // responses are in UTC all the same
	os.Exit(m.Run())
}

// with returns base with changes. A nil value removes a member.
func with(base, changes object) object {
	config := maps.Clone(base)
	maps.Copy(config, changes)
	maps.DeleteFunc(config, func(_ string, value any) bool { return value == nil })
	return config
}

const providerSecret = "provider-secret-of-the-gateway"

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// credential writes the credential of an upstream, and returns its path.
func credential(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "credential")
	write(t, path, providerSecret)
	return path
}

// configure returns a valid configuration in front of one server, with changes.
func configure(t *testing.T, upstream string, changes object) object {
	t.Helper()
	ref := "file:" + credential(t)
	return with(object{
		"addr": "127.0.0.1:0",
		"api_keys": object{"driver": "memory", "mint": []object{
			{"name": "ci", "tenant": "acme", "scopes": []string{"model:standard", "spend:read"}, "roles": []string{"developer"}},
			{"name": "capped", "tenant": "acme", "scopes": []string{"model:standard"}, "max_tokens_per_request": 100, "max_tokens_per_day": 250},
			{"name": "boss", "tenant": "acme", "scopes": []string{"model:standard", "model:premium"}},
			{"name": "other", "tenant": "globex", "scopes": []string{"model:standard", "model:premium", "spend:read"}},
		}},
		"ledger": object{"driver": "memory"},
		"upstreams": []object{
			{"name": "main", "api": "openai", "base_url": upstream, "credential": ref, "models": []string{"small-1", "large-1", "tuned-acme-1", "untiered-1"}},
			{"name": "claude", "api": "anthropic", "base_url": upstream + "/claude/", "credential": ref, "models": []string{"claude-1"}},
		},
		"tiers":             object{"standard": []string{"small-1", "tuned-acme-1", "claude-1"}, "premium": []string{"large-1"}},
		"aliases":           object{"fast": "small-1", "none": "untiered-1"},
		"fallbacks":         object{"large-1": []string{"small-1"}},
		"max_output_tokens": object{"small-1": 400, "large-1": 800, "tuned-acme-1": 10, "untiered-1": 10, "claude-1": 500},
		"model_tenants":     object{"tuned-acme-1": "acme"},
		"hold":              "60s",
	}, changes)
}

func writeConfig(t *testing.T, config any) string {
	t.Helper()
	text, ok := config.(string)
	if !ok {
		text = string(must(json.Marshal(config)))
	}
	path := filepath.Join(t.TempDir(), "config.json")
	write(t, path, text)
	return path
}

// server is a running app.
type server struct {
	t           *testing.T
	URL         string
	keys        map[string]string // the minted keys by name
	stdout, log webtest.Log
	secrets     []string // must not be in the log
}

// start starts the app. When the test ends, the app must shut down, and its log may
// contain neither a credential nor the address of the upstream.
func start(t *testing.T, config object) *server {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s := &server{t: t, keys: make(map[string]string), secrets: []string{providerSecret, "SECRET-PROMPT"}}
	path, ended := writeConfig(t, config), make(chan error, 1)
	go func() { ended <- run(ctx, path, &s.stdout, &s.log) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("run = %v, want nil after a shutdown", err)
		}
		for _, secret := range s.secrets {
			if strings.Contains(s.log.String(), secret) {
				t.Errorf("the log contains %q", secret)
			}
		}
		if t.Failed() {
			t.Logf("log:\n%s", &s.log)
		}
	})
	enginetest.Eventually(t, deadline, "the app listens", func() bool {
		select {
		case err := <-ended:
			ended <- nil
			t.Fatalf("run = %v", err)
		default:
		}
		return s.listens()
	})
	for _, secret := range s.keys {
		s.secrets = append(s.secrets, secret)
	}
	return s
}

// listens reports whether the app has printed its address, and reads it and the keys.
func (s *server) listens() bool {
	lines, after, ok := strings.Cut(s.stdout.String(), "listening ")
	s.URL = strings.TrimSuffix(after, "\n")
	for line := range strings.Lines(lines) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "api-key" {
			s.keys[fields[1]] = fields[2]
		}
	}
	return ok && after != s.URL
}

// answer is a response.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of a body that is cut
}

// code returns the error code in the shape of either API, with the type of the error.
func (a answer) code() string {
	var body struct {
		Type  string `json:"type"`
		Error any    `json:"error"`
	}
	_ = json.Unmarshal([]byte(a.body), &body)
	switch e := body.Error.(type) {
	case string:
		return e
	case map[string]any:
		if body.Type == "error" {
			code, _, _ := strings.Cut(fmt.Sprint(e["message"]), ":")
			return fmt.Sprint(code, " ", e["type"])
		}
		if _, ok := e["param"]; !ok {
			return "no param"
		}
		return fmt.Sprint(e["code"], " ", e["type"])
	}
	return ""
}

// String returns the status and the error code, such as "401 invalid_token".
func (a answer) String() string { return strings.TrimSpace(fmt.Sprint(a.status, " ", a.code())) }

// request returns a request of the holder of a minted key, or of a token, with headers as
// names and values in turn.
func (s *server) request(ctx context.Context, who, method, path, body string, header ...string) *http.Request {
	r := must(http.NewRequestWithContext(ctx, method, s.URL+path, strings.NewReader(body)))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if secret, ok := s.keys[who]; ok {
		who = secret
	}
	if who != "" {
		r.Header.Set("Authorization", "Bearer "+who)
	}
	for n := 0; n < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
	}
	return r
}

func (s *server) do(who, method, path, body string, header ...string) answer {
	s.t.Helper()
	response, err := http.DefaultTransport.RoundTrip(s.request(s.t.Context(), who, method, path, body, header...))
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text), err}
}

func (s *server) post(who, path, body string, header ...string) answer {
	s.t.Helper()
	return s.do(who, http.MethodPost, path, body, header...)
}

// chat sends a message to a model.
func (s *server) chat(who, model, more string) answer {
	s.t.Helper()
	return s.post(who, "/v1/chat/completions", `{"model":"`+model+`","messages":[{"role":"user","content":"hello"}]`+more+`}`)
}

// balance is a budget in /usage and in /spend.
type balance struct {
	Per, Account, Window string
	Start, End           time.Time
	Max, Spent, Held     int64
}

func (s *server) budgets(who, path string) []balance {
	s.t.Helper()
	a := s.do(who, http.MethodGet, path, "", "Accept", "application/json")
	var body struct{ Budgets []balance }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != http.StatusOK {
		s.t.Fatalf("GET %s = %s %s", path, a, a.body)
	}
	return body.Budgets
}

// spent returns what a budget of the caller has spent and holds.
func (s *server) spent(who, per, account string) string {
	s.t.Helper()
	for _, b := range s.budgets(who, "/usage") {
		if b.Per == per && (account == "" || b.Account == account) {
			return fmt.Sprint(b.Spent, "+", b.Held)
		}
	}
	return "none"
}

// provider is an upstream that records the requests and answers them as the test says.
type provider struct {
	*httptest.Server

	mu       sync.Mutex
	requests []*http.Request
	bodies   []string
	answer   http.HandlerFunc
}

// newProvider returns a provider. The fake of the app answers if answer is nil.
func newProvider(t *testing.T, answer http.HandlerFunc) *provider {
	t.Helper()
	fake := &fake{words: 3}
	p := &provider{answer: answer}
	if p.answer == nil {
		p.answer = fake.ServeHTTP
	}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		p.requests, p.bodies = append(p.requests, r), append(p.bodies, string(body))
		answer := p.answer
		p.mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		answer(w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

// last returns the last request and its body.
func (p *provider) last(t *testing.T) (*http.Request, string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.requests) == 0 {
		t.Fatal("the upstream got no request")
	}
	return p.requests[len(p.requests)-1], p.bodies[len(p.bodies)-1]
}

func (p *provider) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.requests)
}

func (p *provider) answers(answer http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// trust returns the configuration of an issuer.
func trust(i *authtest.Issuer) object {
	return object{"issuer": i.URL, "audience": i.Audience, "algorithms": i.Algorithms, "jwks_url": i.KeysURL}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
