// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/alloctest"
)

// discard is a ResponseWriter that allocates nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// speedSetup returns a gate on a memory store with keys, and a request that it
// allows.
func speedSetup(t *testing.T, keys int, alter func(*apikey.Config)) (http.Handler, *http.Request) {
	t.Helper()
	f := newKeys(t, func(c *apikey.Config) {
		c.Store, c.Observer = apikey.NewMemory(keys), nil
		if alter != nil {
			alter(c)
		}
	})
	var text string
	for range keys {
		_, text = f.create(t, request())
	}
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{f.Keys}, Realm: "acme"}))(t)
	r := httptest.NewRequest("GET", "/reports?page=2", nil)
	for name, value := range map[string]string{
		"X-API-Key": text, "Accept": "application/json", "Accept-Encoding": "gzip", "User-Agent": "test", "X-Request-Id": "1",
	} {
		r.Header.Set(name, value)
	}
	handler := gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, ok := gatehouse.FromContext(r.Context()); !ok || p.Subject != "ci" {
			w.WriteHeader(500)
		}
	}))
	w := httptest.NewRecorder()
	if handler.ServeHTTP(w, r); w.Code != 200 {
		t.Fatalf("status %d", w.Code)
	}
	return handler, r
}

// The gate allocates four times, Keys at most twice.
func TestAllocations(t *testing.T) {
	for name, alter := range map[string]func(*apikey.Config){
		"plain":  nil,
		"pepper": func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(1, 'a')} },
		"cache":  withCache(5 * time.Second),
	} {
		handler, r := speedSetup(t, 10, alter)
		w := discard{http.Header{}}
		t.Run(name, func(t *testing.T) { alloctest.AtMost(t, 6, func() { handler.ServeHTTP(w, r) }) })
	}
}

// Rejecting a megabyte allocates no more than rejecting a key.
func TestRejectionAllocations(t *testing.T) {
	handler, r := speedSetup(t, 1, nil)
	w := discard{http.Header{}}
	r.Header.Del("X-API-Key")
	for _, header := range []string{"X-Api-Key", "Authorization"} {
		for _, start := range []string{"acme_", "Bearer acme_", "ApiKey acme_", "acme_live_", strings.Repeat("_", 1<<10)} {
			q := r.Clone(t.Context())
			q.Header.Set(header, start+strings.Repeat("a", 1<<20))
			t.Run(header+" "+start[:5], func(t *testing.T) { alloctest.AtMost(t, 20, func() { handler.ServeHTTP(w, q) }) })
		}
	}
}
