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

func checkUnavailable(t *testing.T, what string, got response) {
	t.Helper()
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || !strings.Contains(got.body, "temporarily_unavailable") {
		t.Errorf("%s: status %d, Retry-After %q, body %s, want 503 with temporarily_unavailable", what, got.status, got.header.Get("Retry-After"), got.body)
	}
}

// unknownKey returns a well-formed key that is in none of the engine's stores.
func unknownKey(t *testing.T) string {
	t.Helper()
	n := newEngine(t, "sqlite").node(t, nodeConfig{})
	defer n.kill()
	return n.ok(t, "create", n.create()).Text
}

// TestOutageIs503 kills and freezes the engine: every key, valid or not, is 503,
// and no change is acknowledged. The node recovers with the engine.
func TestOutageIs503(t *testing.T) {
	eachEngine(t, servers, func(t *testing.T, e *engine) {
		proxy := enginetest.StartProxy(t, e.server.Addr())
		n := e.node(t, nodeConfig{Store: enginetest.Via(t, e.store, proxy), Timeout: 2 * time.Second})
		valid, revoked := n.ok(t, "create", n.create()), n.ok(t, "create", n.create())
		n.ok(t, "revoke", n.revoke(revoked.ID))
		unknown := unknownKey(t)
		checkUp := func() {
			t.Helper()
			n.recovers(t, valid.Text, http.StatusNoContent)
			for what, text := range map[string]string{"revoked": revoked.Text, "unknown": unknown} {
				if got := n.use(text).status; got != http.StatusForbidden {
					t.Errorf("%s key: status %d, want 403", what, got)
				}
			}
		}
		checkUp()
		for _, outage := range []struct {
			name       string
			begin, end func()
		}{
			{"killed", func() { e.server.Kill(t) }, func() { e.server.Start(t) }},
			{"frozen", proxy.Freeze, proxy.Thaw},
		} {
			outage.begin()
			var users sync.WaitGroup
			for what, text := range map[string]string{"valid": valid.Text, "revoked": revoked.Text, "unknown": unknown} {
				for range 5 {
					users.Go(func() { checkUnavailable(t, outage.name+", "+what+" key", n.use(text)) })
					users.Go(func() {
						checkUnavailable(t, outage.name+", "+what+" key as Bearer",
							n.do(http.MethodGet, "/use/", http.Header{"Authorization": {"Bearer " + text}}, ""))
					})
				}
			}
			users.Wait()
			for what, got := range map[string]response{"create": n.create(), "revoke": n.revoke(valid.ID)} {
				if got.status == http.StatusOK {
					t.Errorf("%s: %s is acknowledged", outage.name, what)
				}
			}
			outage.end()
			if outage.name == "frozen" {
				// A frozen engine may execute the revocation later.
				enginetest.Eventually(t, time.Minute, "keys are created again", func() bool {
					valid = n.create()
					return valid.status == http.StatusOK
				})
			}
			checkUp()
		}
	})
}

// TestMissingSQLiteFileIs503 starts a node before the directory of its file
// exists.
func TestMissingSQLiteFileIs503(t *testing.T) {
	enginetest.Slow(t)
	unknown := unknownKey(t)
	dir := filepath.Join(t.TempDir(), "mounted late")
	e := &engine{name: "sqlite", store: sqlstore.SQLiteDSN(filepath.Join(dir, "keys.db"))}
	n := e.node(t, nodeConfig{})
	for range 3 {
		checkUnavailable(t, "no file", n.use(unknown))
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	checkUnavailable(t, "no tables", n.use(unknown))
	e.node(t, nodeConfig{}) // creates the tables
	if got := n.use(unknown).status; got != http.StatusForbidden {
		t.Errorf("unknown key: status %d, want 403", got)
	}
	if got := n.use(n.ok(t, "create", n.create()).Text).status; got != http.StatusNoContent {
		t.Errorf("valid key: status %d, want 204", got)
	}
}
