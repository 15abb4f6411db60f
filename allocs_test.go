// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/alloctest"
)

// discard is a response that allocates nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// What a gate adds to an authenticator is a request, its context and a header
// map (two allocations). A mux adds nothing to that, and policies add nothing.
func TestGateAllocations(t *testing.T) {
	called := 0
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, ok := gatehouse.FromContext(r.Context()); ok {
			called++
		}
	})
	proof := gatehouse.NewProof(user())
	good := authenticator{readsBearer, func(r *http.Request) (gatehouse.Proof, error) {
		if token, err := gatehouse.Authorization(r, "Bearer"); err != nil || token != "good" {
			return gatehouse.Proof{}, gatehouse.ErrNoCredentials
		}
		return proof, nil
	}}
	editor := gatehouse.PolicyFunc(func(_ *http.Request, p gatehouse.Principal) error {
		if !p.Scopes.Has("reports:read") || !p.Roles.Has("editor") {
			return gatehouse.ErrNoCredentials
		}
		return nil
	})
	watch := gatehouse.ObserverFunc(func(context.Context, gatehouse.Event) error { return nil })
	r := request("Authorization", "Bearer good", "Accept", "application/json", "User-Agent", "test", "Accept-Encoding", "gzip",
		"X-Request-Id", "1", "Cookie", "theme=dark")
	for name, config := range map[string]gatehouse.Config{
		"bare":         {Authenticators: list{good}},
		"observed":     {Authenticators: list{good}, Observer: watch},
		"second asked": {Authenticators: list{explicitly(rejects(gatehouse.ErrNoCredentials)), good}},
	} {
		gate := newGate(t, config)
		mux := gate.Mux()
		mux.Handle("GET /reports", next, allow, editor)
		for kind, handler := range map[string]http.Handler{
			"handler": gate.Handler(next), "optional": gate.Optional(next), "require": gate.Handler(gatehouse.Require(allow, editor)(next)), "mux": mux,
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				w := discard{http.Header{}}
				called = 0
				alloctest.AtMost(t, 4, func() { handler.ServeHTTP(w, r) })
				equal(t, "calls of the handler", called, 1001)
			})
		}
	}
}

// Sets are asked in every request.
func TestSetAllocations(t *testing.T) {
	scopes, some := scopeSet("a", "b", "c", "d"), scopeSet("b", "d")
	roles := roleSet("admin", "editor", "viewer")
	alloctest.AtMost(t, 0, func() {
		if !scopes.Has("d") || scopes.Has("e") || !scopes.HasAll(some) || scopes.Len() != 4 || !roles.Has("viewer") || roles.Has("owner") {
			t.Error("a set gives a wrong answer")
		}
	})
}

// A megabyte of junk costs no more than any other refusal.
func TestRefusalAllocations(t *testing.T) {
	handler := gateOf(t, goodToken()).Handler(http.NotFoundHandler())
	w := discard{http.Header{}}
	for _, size := range []int{1 << 4, 1 << 20} { // net/http takes no more
		junk := make([]byte, size)
		for i := range junk {
			junk[i] = 'a'
		}
		for _, authorization := range []string{"Bearer " + string(junk), "Bearer " + string(junk) + "!", string(junk), "Basic " + string(junk)} {
			r := request("Authorization", authorization)
			alloctest.AtMost(t, 8, func() { handler.ServeHTTP(w, r) })
		}
	}
}

// A scope string in ascending order is kept as it is, and another one is written anew.
func TestScopesAllocations(t *testing.T) {
	for text, ceiling := range map[string]float64{"profile reports:read reports:write": 0, "reports:read reports:write profile": 1} {
		alloctest.AtMost(t, ceiling, func() { _, _ = gatehouse.ParseScopes(text) })
	}
}
