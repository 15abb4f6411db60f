// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// discard is a ResponseWriter that allocates nothing.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// skipUnderRace skips tests that count allocations: the race detector adds some.
func skipUnderRace(t *testing.T) {
	info, _ := debug.ReadBuildInfo()
	if slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector adds allocations")
	}
}

// speedSetup returns a gate on a memory store with keys, and a request that it
// allows.
func speedSetup(tb testing.TB, keys int, alter func(*apikey.Config)) (http.Handler, *http.Request) {
	tb.Helper()
	f := newKeys(tb, func(c *apikey.Config) {
		c.Store, c.Observer = apikey.NewMemory(keys), nil
		if alter != nil {
			alter(c)
		}
	})
	var text string
	for range keys {
		_, text = f.create(tb, request())
	}
	gate := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{f.Keys}, Realm: "acme"}))(tb)
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
		tb.Fatalf("status %d", w.Code)
	}
	return handler, r
}

var speedConfigs = map[string]func(*apikey.Config){
	"plain":  nil,
	"pepper": func(c *apikey.Config) { c.Peppers = []apikey.Pepper{pepper(1, 'a')} },
	"cache":  func(c *apikey.Config) { c.CacheTTL = 5 * time.Second },
}

// The gate allocates four times, Keys at most twice.
func TestAllocations(t *testing.T) {
	skipUnderRace(t)
	for name, alter := range speedConfigs {
		handler, r := speedSetup(t, 10, alter)
		w := discard{http.Header{}}
		if got := testing.AllocsPerRun(1000, func() { handler.ServeHTTP(w, r) }); got > 6 {
			t.Errorf("%s: %v allocations, want at most 6", name, got)
		}
	}
}

// Rejecting a megabyte allocates no more than rejecting a key.
func TestRejectionAllocations(t *testing.T) {
	skipUnderRace(t)
	handler, r := speedSetup(t, 1, nil)
	w := discard{http.Header{}}
	r.Header.Del("X-API-Key")
	for _, header := range []string{"X-Api-Key", "Authorization"} {
		for _, start := range []string{"acme_", "Bearer acme_", "ApiKey acme_", "acme_live_", strings.Repeat("_", 1<<10)} {
			q := r.Clone(t.Context())
			q.Header.Set(header, start+strings.Repeat("a", 1<<20))
			if got := testing.AllocsPerRun(10, func() { handler.ServeHTTP(w, q) }); got > 20 {
				t.Errorf("%s: %.5s…: %v allocations, want at most 20", header, start, got)
			}
		}
	}
}

// BenchmarkGate measures an accepted request. The module bench compares it with
// others.
func BenchmarkGate(b *testing.B) {
	for name, alter := range speedConfigs {
		b.Run(name, func(b *testing.B) { serve(b, alter, "") })
	}
}

// BenchmarkParallel measures scaling: run it with -cpu 1,2.
func BenchmarkParallel(b *testing.B) {
	handler, r := speedSetup(b, 1000, nil)
	b.RunParallel(func(pb *testing.PB) {
		w := discard{http.Header{}}
		for pb.Next() {
			handler.ServeHTTP(w, r)
		}
	})
}

// BenchmarkRejection measures the work that an attacker can cause.
func BenchmarkRejection(b *testing.B) {
	for name, text := range map[string]string{
		"a megabyte":     "acme_" + strings.Repeat("a", 1<<20),
		"wrong checksum": golden[:len(golden)-6] + "000000",
		"unknown":        golden,
	} {
		b.Run(name, func(b *testing.B) { serve(b, nil, text) })
	}
}

// serve measures requests with a key, a valid one if text is empty.
func serve(b *testing.B, alter func(*apikey.Config), text string) {
	handler, r := speedSetup(b, 1000, alter)
	if text != "" {
		r.Header.Set("X-API-Key", text)
	}
	w := discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		handler.ServeHTTP(w, r)
	}
}
