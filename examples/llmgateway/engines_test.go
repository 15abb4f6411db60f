// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// Two gateways share the budgets on every engine. Many calls at once never exceed the
// budget, are charged what the upstream has counted, and leave no hold.
func TestGatewaysShareBudgets(t *testing.T) {
	t.Parallel()
	for _, engine := range []struct {
		driver string
		dsn    func(t *testing.T) string
	}{
		{"sqlite", func(t *testing.T) string { t.Helper(); return t.TempDir() + "/gateway.db" }},
		{"postgres", func(t *testing.T) string {
			t.Helper()
			enginetest.Slow(t)
			return enginetest.StartPostgres(t).Database(t)
		}},
		{"redis", func(t *testing.T) string { t.Helper(); enginetest.Slow(t); return enginetest.StartRedis(t).URL() }},
	} {
		t.Run(engine.driver, func(t *testing.T) {
			t.Parallel()
			counting := &fake{words: 3}
			p := newProvider(t, counting.ServeHTTP)
			const limit = 5 * 12
			config := configure(t, p.URL, object{
				"ledger":            object{"driver": engine.driver, "dsn": engine.dsn(t)},
				"max_output_tokens": object{"small-1": 4, "large-1": 4, "tuned-acme-1": 4, "untiered-1": 4, "claude-1": 4},
				"budgets":           []object{{"per": "tenant", "window": "rolling_24h", "max_tokens": limit}},
			})
			gateways := []*server{start(t, config), start(t, config)}
			var work sync.WaitGroup
			var mu sync.Mutex
			served, refused, worst := 0, 0, int64(0)
			for n := range 8 { // few connections to log in at a time, which takes a slow machine long
				work.Go(func() {
					s := gateways[n%2]
					for range 6 {
						path, body := "/v1/embeddings", `{"model":"small-1","input":[1,2,3]}`
						if n%4 < 2 {
							path, body = "/v1/messages", `{"model":"claude-1","max_tokens":3,"stream":true,"messages":[{"role":"user","content":""}]}`
						}
						a := s.post("ci", path, body)
						now := s.budgets("ci", "/usage")[0]
						mu.Lock()
						switch a.status {
						case http.StatusOK:
							served++
						case http.StatusTooManyRequests:
							refused++
						default:
							t.Errorf("call = %s %s, want 200 or 429", a, a.body)
						}
						worst = max(worst, now.Spent+now.Held)
						mu.Unlock()
					}
				})
			}
			work.Wait()
			counting.mu.Lock()
			counted := 0
			for _, tokens := range counting.spent {
				counted += tokens
			}
			counting.mu.Unlock()
			if got := gateways[1].spent("ci", "tenant", ""); got != strconv.Itoa(counted)+"+0" {
				t.Errorf("spent %s, the upstream has counted %d", got, counted)
			}
			if worst > limit || served == 0 || refused == 0 {
				t.Errorf("worst %d of %d, %d served, %d refused, want both and at most the limit", worst, limit, served, refused)
			}
		})
	}
}

// A gateway does not start on a database that loses acknowledged changes, and uses none
// that comes up later.
func TestUnsuitableStore(t *testing.T) {
	enginetest.Slow(t)
	t.Parallel()
	engine := enginetest.StartPostgres(t, "fsync=off")
	dsn := engine.Database(t)
	p := newProvider(t, nil)
	for _, field := range []string{"ledger", "api_keys"} {
		if got := refuse(t, configure(t, p.URL, object{field: object{"driver": "postgres", "dsn": dsn}})); !strings.HasPrefix(got, field+".dsn: ") || !strings.Contains(got, "fsync is off") {
			t.Errorf("run = %s, want %s.dsn and the setting", got, field)
		}
	}
	everysec := enginetest.StartRedis(t, "appendfsync everysec").URL()
	if got := refuse(t, configure(t, p.URL, object{"ledger": object{"driver": "redis", "dsn": everysec}})); !strings.Contains(got, "appendfsync") {
		t.Errorf("run = %s, want the setting", got)
	}

	proxy := enginetest.StartProxy(t, engine.Addr())
	proxy.Cut()
	s := start(t, configure(t, p.URL, object{"ledger": object{"driver": "postgres", "dsn": enginetest.Via(t, dsn, proxy)}}))
	proxy.Restore()
	enginetest.Eventually(t, time.Minute, "the log has the setting", func() bool { return strings.Contains(s.log.String(), "fsync is off") })
	if a := s.chat("ci", "small-1", ""); a.String() != "503 temporarily_unavailable server_error" || p.calls() != 0 {
		t.Errorf("chat = %s after %d calls, want 503 before any", a, p.calls())
	}
	if a := s.do("ci", http.MethodGet, "/spend", ""); a.String() != "503 temporarily_unavailable" {
		t.Errorf("GET /spend = %s, want 503", a)
	}
	if a := s.do("", http.MethodGet, "/readyz", ""); a.status != http.StatusServiceUnavailable {
		t.Errorf("GET /readyz = %s, want 503", a)
	}
}
