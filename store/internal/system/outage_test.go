// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// TestOutage takes the engine away. Nobody is let in and nobody is told that a
// key is bad; when the engine is back, so is everything else.
func TestOutage(t *testing.T) {
	for _, name := range []string{"postgres", "redis"} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, name)
			proxy := enginetest.StartProxy(t, e.server.Addr())
			n := startNode(t, nodeConfig{Engine: name, Store: enginetest.Via(t, e.store, proxy), Timeout: 2 * time.Second})
			good, revoked := n.create1(t), n.create1(t)
			if status := n.revoke(revoked.ID); status != http.StatusOK {
				t.Fatalf("not revoked: %d", status)
			}
			unknown := newEngineKey(t)
			texts := map[string]string{
				"a good key": good.Text, "a revoked key": revoked.Text, "an unknown key": unknown,
			}
			up := func() {
				t.Helper()
				enginetest.Eventually(t, time.Minute, "the node recovers", func() bool {
					return n.use(good.Text).status == http.StatusNoContent
				})
				for _, text := range []string{revoked.Text, unknown} {
					if got := n.use(text).status; got != http.StatusForbidden {
						t.Errorf("answer %d to a bad key", got)
					}
				}
			}
			up()
			for _, trouble := range []struct {
				name       string
				begin, end func()
			}{
				{"killed", func() { e.server.Kill(t) }, func() { e.server.Start(t) }},
				{"frozen", proxy.Freeze, proxy.Thaw},
			} {
				trouble.begin()
				var users sync.WaitGroup
				for what, text := range texts {
					for range 5 {
						users.Go(func() { checkUnavailable(t, trouble.name+", "+what, n.use(text)) })
						users.Go(func() {
							checkUnavailable(t, trouble.name+", "+what+" as Bearer",
								n.request("/use/", http.Header{"Authorization": {"Bearer " + text}}))
						})
					}
				}
				users.Wait()
				if _, status := n.create(); status == http.StatusOK {
					t.Errorf("%s: a key was made", trouble.name)
				}
				if status := n.revoke(good.ID); status == http.StatusOK {
					t.Errorf("%s: a revocation was acknowledged", trouble.name)
				}
				trouble.end()
				if trouble.name == "frozen" {
					// What was asked of a frozen engine it may do later.
					enginetest.Eventually(t, time.Minute, "keys are made again", func() bool {
						key, status := n.create()
						good = key
						return status == http.StatusOK
					})
				}
				up()
			}
		})
	}
}

func checkUnavailable(t *testing.T, what string, got answer) {
	t.Helper()
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" ||
		!strings.Contains(got.body, "temporarily_unavailable") {
		t.Errorf("%s: answer %d, Retry-After %q, %s", what, got.status, got.header.Get("Retry-After"), got.body)
	}
}

// newEngineKey returns a well-formed key that is in no store that is used here.
func newEngineKey(t *testing.T) string {
	t.Helper()
	e := newEngine(t, "sqlite")
	n := startNode(t, nodeConfig{Engine: "sqlite", Store: e.store})
	defer n.kill()
	return n.create1(t).Text
}

// TestOutageSQLite takes away the place where the file is to be.
func TestOutageSQLite(t *testing.T) {
	unknown := newEngineKey(t)
	dir := filepath.Join(t.TempDir(), "mounted late")
	config := nodeConfig{Engine: "sqlite", Store: sqlstore.SQLiteDSN(filepath.Join(dir, "keys.db"))}
	n := startNode(t, config)
	for range 3 {
		checkUnavailable(t, "no file", n.use(unknown))
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	checkUnavailable(t, "no tables", n.use(unknown))
	startNode(t, config) // makes the tables
	if got := n.use(unknown).status; got != http.StatusForbidden {
		t.Errorf("answer %d to an unknown key", got)
	}
	if got := n.use(n.create1(t).Text).status; got != http.StatusNoContent {
		t.Errorf("answer %d to a good key", got)
	}
}
