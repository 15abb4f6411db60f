// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

// discard is a response that costs nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// atMost checks how many allocations one run of f makes.
func atMost(t *testing.T, ceiling float64, f func()) {
	t.Helper()
	if raceDetector {
		t.Skip("the race detector makes allocations of its own")
	}
	if got := testing.AllocsPerRun(1000, f); got > ceiling {
		t.Errorf("%v allocations, at most %v are allowed", got, ceiling)
	}
}

// What a gate adds to an authenticator is a request, its context and a header
// map of its own (two allocations).
func TestGateAllocations(t *testing.T) {
	reached := 0
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, ok := gatehouse.FromContext(r.Context()); ok {
			reached++
		}
	})
	shared := &gatehouse.Proof{Principal: person(), Source: gatehouse.SourceHeader, Name: "Authorization"}
	authenticator := gatehouse.AuthenticatorFunc(func(r *http.Request) (gatehouse.Proof, error) {
		if token, err := gatehouse.Authorization(r, "Bearer"); err != nil || token != "good" {
			return gatehouse.Proof{}, gatehouse.ErrNoCredentials
		}
		return *shared, nil
	})
	watch := gatehouse.ObserverFunc(func(context.Context, gatehouse.Event) error { return nil })
	r := request("Authorization", "Bearer good", "Accept", "application/json", "User-Agent", "test", "Accept-Encoding", "gzip",
		"X-Request-Id", "1", "Cookie", "theme=dark")
	for name, config := range map[string]gatehouse.Config{
		"bare":         {Authenticators: []gatehouse.Authenticator{authenticator}},
		"observed":     {Authenticators: []gatehouse.Authenticator{authenticator}, Observer: watch},
		"second asked": {Authenticators: []gatehouse.Authenticator{refuse(gatehouse.ErrNoCredentials), authenticator}},
	} {
		t.Run(name, func(t *testing.T) {
			handler := newGate(t, config).Handler(next)
			w := discard{http.Header{}}
			reached = 0
			atMost(t, 4, func() { handler.ServeHTTP(w, r) })
			if reached != 1001 {
				t.Errorf("the handler was reached %d times", reached)
			}
		})
	}
}

func TestRequireAllocations(t *testing.T) {
	reached := 0
	handler := gatehouse.Require(allow, func(_ *http.Request, p gatehouse.Principal) error {
		if !p.Scopes.Has("reports:read") || !p.Roles.Has("editor") {
			return gatehouse.ErrNoCredentials
		}
		return nil
	})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	r := request().WithContext(gatehouse.NewContext(t.Context(), *person()))
	w := discard{http.Header{}}
	atMost(t, 0, func() { handler.ServeHTTP(w, r) })
	if reached != 1001 {
		t.Errorf("the handler was reached %d times", reached)
	}
}

// Sets are asked in every request.
func TestSetAllocations(t *testing.T) {
	scopes, some := scopeSet("a", "b", "c", "d"), scopeSet("b", "d")
	roles := roleSet("admin", "editor", "viewer")
	atMost(t, 0, func() {
		if !scopes.Has("d") || scopes.Has("e") || !scopes.HasAll(some) || scopes.Len() != 4 || !roles.Has("viewer") || roles.Has("owner") {
			t.Error("wrong")
		}
	})
	sorted := "a:read b:read c:read"
	atMost(t, 0, func() {
		if s, err := gatehouse.ParseScopes(sorted); err != nil || s.Len() != 3 {
			t.Error(err)
		}
	})
}

// A megabyte of anything costs no more than a refusal does.
func TestRefusalAllocations(t *testing.T) {
	handler := gateOf(t, bearer{}).Handler(http.NotFoundHandler())
	w := discard{http.Header{}}
	for _, size := range []int{1 << 4, 1 << 20} { // net/http takes no more
		junk := make([]byte, size)
		for i := range junk {
			junk[i] = 'a'
		}
		for _, authorization := range []string{"Bearer " + string(junk), "Bearer " + string(junk) + "!", string(junk), "Basic " + string(junk)} {
			r := request("Authorization", authorization)
			atMost(t, 20, func() { handler.ServeHTTP(w, r) })
		}
	}
}
