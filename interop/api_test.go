// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// recorder is an observer that keeps the reasons of events.
type recorder struct {
	mu   sync.Mutex
	last gatehouse.Reason
	all  map[gatehouse.Reason]int
}

func (r *recorder) Observe(_ context.Context, e gatehouse.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e.Reason != "" {
		r.last = e.Reason
	}
	if r.all == nil {
		r.all = make(map[gatehouse.Reason]int)
	}
	r.all[e.Reason]++
	return nil
}

// why returns the last reason since the previous call, "" if there is none.
func (r *recorder) why() (last gatehouse.Reason) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, r.last = r.last, ""
	return last
}

// api is a server behind a gate. GET / needs a valid token, GET /reports also the
// scope reports:read.
type api struct {
	recorder
	url      string
	client   *http.Client
	tokens   *jwtauth.Authenticator
	rejected atomic.Int64 // hostile tokens
}

func newAPI(t *testing.T, c jwtauth.Config) *api {
	t.Helper()
	a := &api{tokens: must(jwtauth.New(c))}
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{a.tokens}, Realm: "interop", Observer: &a.recorder}))
	whoami := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, ok := gatehouse.FromContext(r.Context())
		if !ok || r.Header.Get("Authorization") != "" {
			t.Error("the handler has no principal, or has the credential")
		}
		_ = json.NewEncoder(w).Encode(accepted{
			caller{p.Kind, p.Subject, p.Issuer, p.Client, p.Scopes.String()}, p.Credential, json.RawMessage(p.Claims.String()), p.Expires,
		})
	})
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", whoami)
	mux.Handle("GET /reports", gatehouse.Require(scopes.All("reports:read"))(whoami))
	server := httptest.NewServer(gate.Handler(mux))
	t.Cleanup(func() {
		server.Close()
		if err := a.tokens.Close(); err != nil {
			t.Error(err)
		}
	})
	a.url, a.client = server.URL, server.Client()
	a.client.Timeout = time.Minute
	return a
}

// caller is the party that a token names.
type caller struct {
	Kind                            gatehouse.Kind
	Subject, Issuer, Client, Scopes string
}

// accepted is the response of the handlers.
type accepted struct {
	caller
	Credential string
	Claims     json.RawMessage
	Expires    time.Time
}

// answer is a response of the API.
type answer struct {
	status    int
	code      string // error code in the body
	challenge string
	body      string
}

func (a *api) get(t *testing.T, path, token string) answer {
	t.Helper()
	response, body := send(t, a.client, a.url+path, http.Header{"Authorization": {"Bearer " + token}})
	got := answer{status: response.StatusCode, challenge: response.Header.Get("WWW-Authenticate"), body: body}
	if got.status >= 400 {
		got.code, _ = object(t, body)["error"].(string)
		checkNoLeak(t, token, response.Header, got.body)
	}
	return got
}

// send sends a GET request and reads the response.
func send(t *testing.T, client *http.Client, address string, header http.Header) (*http.Response, string) {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody))
	r.Header = header
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

// accept checks that a token is accepted, for the caller if one is given.
func (a *api) accept(t *testing.T, path, token string, want ...caller) (who accepted) {
	t.Helper()
	got := a.get(t, path, token)
	if got.status != http.StatusOK {
		t.Fatalf("GET %s with a valid token: %+v, want 200; reason %s", path, got, a.why())
	}
	if err := json.Unmarshal([]byte(got.body), &who); err != nil {
		t.Fatal(err)
	}
	if len(want) > 0 && who.caller != want[0] {
		t.Errorf("the caller is %+v, want %+v", who.caller, want[0])
	}
	return who
}

// reject checks that a hostile token is rejected, and counts it.
func (a *api) reject(t *testing.T, what, token string) {
	t.Helper()
	a.checkRejected(t, what, token, a.get(t, "/", token))
}

func (a *api) checkRejected(t *testing.T, what, token string, got answer) {
	t.Helper()
	if got.status != http.StatusUnauthorized || got.code != "invalid_token" || !strings.Contains(got.challenge, `error="invalid_token"`) {
		t.Errorf("%s: %+v, want 401 invalid_token; token: %s", what, got, token)
		return
	}
	a.rejected.Add(1)
}

// rejectKey is like reject for a token whose key the issuer does not publish: within
// KeySets.MinInterval of a fetch the answer is 503, because the key may be a new one.
func (a *api) rejectKey(t *testing.T, what, token string) {
	t.Helper()
	got := a.get(t, "/", token)
	if got.status == http.StatusServiceUnavailable && got.code == "temporarily_unavailable" {
		a.rejected.Add(1)
		return
	}
	a.checkRejected(t, what, token, got)
}

// checkNoLeak checks that the response contains no eight characters of the token.
func checkNoLeak(t *testing.T, token string, header http.Header, body string) {
	t.Helper()
	var all strings.Builder
	_ = header.Write(&all)
	all.WriteString(body)
	for i := range len(token) - 7 {
		if strings.Contains(all.String(), token[i:i+8]) {
			t.Errorf("the response contains %q of the token", token[i:i+8])
			return
		}
	}
}
