// SPDX-License-Identifier: Apache-2.0

package system_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// listens counts how often the node has begun to listen.
func (n *node) listens() int { return strings.Count(n.log.String(), `"id":"<>"`) }

func (n *node) create1(t *testing.T) keyView {
	t.Helper()
	key, status := n.create()
	if status != http.StatusOK {
		t.Fatalf("no key was made: %d\n%s", status, n.log)
	}
	return key
}

// refusedAfter uses a key until it is refused, and returns how long after
// start that took and how often it was accepted meanwhile.
func refusedAfter(t *testing.T, n *node, text string, start time.Time) (took time.Duration, accepted int) {
	t.Helper()
	for {
		asked := time.Now()
		switch got := n.use(text).status; got {
		case http.StatusForbidden:
			return asked.Sub(start), accepted
		case http.StatusNoContent:
			accepted++
		default:
			t.Fatalf("answer %d\n%s", got, n.log)
		}
		if time.Since(start) > time.Minute {
			t.Fatal("a revoked key is still accepted after a minute")
		}
	}
}

const cacheTTL = 5 * time.Second // the most that apikey allows

// TestPush revokes keys in one process that another one has in its cache. The
// other is told, and refuses them within a second.
func TestPush(t *testing.T) {
	for _, name := range []string{"postgres", "redis"} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, name)
			here := startNode(t, nodeConfig{Engine: name, Store: e.store})
			there := startNode(t, nodeConfig{Engine: name, Store: e.store, Watch: e.store, CacheTTL: cacheTTL})
			enginetest.Eventually(t, time.Minute, "the other process listens", func() bool { return there.listens() > 0 })
			var delays []time.Duration
			for i := range 30 {
				key := here.create1(t)
				if got := there.use(key.Text).status; got != http.StatusNoContent {
					t.Fatalf("answer %d", got)
				}
				var status int
				switch i % 3 {
				case 0:
					status = here.revoke(key.ID)
				case 1:
					_, status = here.rotate(key.ID, "0s", 0)
				case 2:
					_, status = here.post("/suspend/"+key.ID, nil)
				}
				acknowledged := time.Now()
				if status != http.StatusOK {
					t.Fatalf("the change failed: %d\n%s", status, here.log)
				}
				took, _ := refusedAfter(t, there, key.Text, acknowledged)
				if took > time.Second {
					t.Errorf("a key was accepted elsewhere for %v", took)
				}
				delays = append(delays, took)
			}
			slices.Sort(delays)
			t.Logf("refused elsewhere after %v in the median, %v at most", delays[len(delays)/2], delays[len(delays)-1])
		})
	}
}

// TestPushLost does the same while nothing gets through to the other process.
// The bound is then how long its cache keeps entries, and it holds. Once the
// process listens again, it trusts nothing that it knew before.
func TestPushLost(t *testing.T) {
	for _, name := range []string{"postgres", "redis"} {
		t.Run(name, func(t *testing.T) {
			e := newEngine(t, name)
			proxy := enginetest.StartProxy(t, e.server.Addr())
			here := startNode(t, nodeConfig{Engine: name, Store: e.store})
			there := startNode(t, nodeConfig{
				Engine: name, Store: e.store, Watch: enginetest.Via(t, e.store, proxy), CacheTTL: cacheTTL,
			})
			enginetest.Eventually(t, time.Minute, "the other process listens", func() bool { return there.listens() > 0 })

			// The message is lost and the other process knows of no break.
			proxy.Freeze()
			key := here.create1(t)
			there.use(key.Text)
			if status := here.revoke(key.ID); status != http.StatusOK {
				t.Fatalf("not revoked: %d", status)
			}
			acknowledged := time.Now()
			took, accepted := refusedAfter(t, there, key.Text, acknowledged)
			if took > cacheTTL {
				t.Errorf("a key was accepted elsewhere for %v, where the bound is %v", took, cacheTTL)
			}
			if accepted == 0 {
				t.Error("the message was not lost, so this shows nothing")
			}
			t.Logf("refused elsewhere after %v", took)

			// The connection breaks, a message is lost, and it comes back.
			proxy.Cut()
			proxy.Thaw()
			key = here.create1(t)
			before := there.listens()
			there.use(key.Text)
			if status := here.revoke(key.ID); status != http.StatusOK {
				t.Fatalf("not revoked: %d", status)
			}
			if got := there.use(key.Text).status; got != http.StatusNoContent {
				t.Errorf("answer %d: the message was not lost, so this shows nothing", got)
			}
			proxy.Restore()
			enginetest.Eventually(t, time.Minute, "the other process listens again", func() bool { return there.listens() > before })
			if got := there.use(key.Text).status; got != http.StatusForbidden {
				t.Errorf("answer %d to a key that was revoked before the process listened again", got)
			}
			// And what is told now arrives.
			key = here.create1(t)
			there.use(key.Text)
			if status := here.revoke(key.ID); status != http.StatusOK {
				t.Fatalf("not revoked: %d", status)
			}
			if took, _ := refusedAfter(t, there, key.Text, time.Now()); took > time.Second {
				t.Errorf("a key was accepted elsewhere for %v", took)
			}
		})
	}
}
