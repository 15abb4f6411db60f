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

const cacheTTL = 5 * time.Second // the maximum of apikey

// subscriptions counts how often the node has subscribed to changes.
func (n *node) subscriptions() int { return strings.Count(n.log.String(), `"id":"<>"`) }

// rejectedAfter uses a key until it is rejected. It returns the time from start
// until then and how often the key was accepted.
func rejectedAfter(t *testing.T, n *node, text string, start time.Time) (took time.Duration, accepted int) {
	t.Helper()
	for {
		sent := time.Now()
		switch got := n.use(text).status; got {
		case http.StatusForbidden:
			return sent.Sub(start), accepted
		case http.StatusNoContent:
			accepted++
		default:
			t.Fatalf("use: status %d, want 204 or 403\n%s", got, n.log)
		}
		if time.Since(start) > time.Minute {
			t.Fatal("a revoked key is accepted after a minute")
		}
	}
}

// caching starts a node without a cache and one with a cache that watches changes
// at the given URL.
func caching(t *testing.T, e *engine, watch string) (changer, cacher *node) {
	t.Helper()
	changer = e.node(t, nodeConfig{})
	cacher = e.node(t, nodeConfig{Watch: watch, CacheTTL: cacheTTL})
	enginetest.Eventually(t, time.Minute, "the caching process subscribes", func() bool { return cacher.subscriptions() > 0 })
	return changer, cacher
}

// TestChangesArePushed revokes, rotates and suspends keys in one process that
// another one has cached. The other process rejects them within a second.
func TestChangesArePushed(t *testing.T) {
	eachEngine(t, servers, func(t *testing.T, e *engine) {
		changer, cacher := caching(t, e, e.store)
		var delays []time.Duration
		for i := range 30 {
			key := changer.ok(t, "create", changer.create())
			if got := cacher.use(key.Text).status; got != http.StatusNoContent {
				t.Fatalf("use: status %d, want 204", got)
			}
			var change response
			switch i % 3 {
			case 0:
				change = changer.revoke(key.ID)
			case 1:
				change = changer.rotate(key.ID, "0s", 0)
			case 2:
				change = changer.post("/key/suspend", "id", key.ID)
			}
			acknowledged := time.Now()
			changer.ok(t, "change", change)
			took, _ := rejectedAfter(t, cacher, key.Text, acknowledged)
			if took > time.Second {
				t.Errorf("the other process accepted the key for %v, want at most 1s", took)
			}
			delays = append(delays, took)
		}
		slices.Sort(delays)
		t.Logf("rejected by the other process after %v in the median, %v at most", delays[len(delays)/2], delays[len(delays)-1])
	})
}

// TestLostPushIsBoundedByCacheTTL does the same while no message arrives. After a
// reconnect the cache is empty.
func TestLostPushIsBoundedByCacheTTL(t *testing.T) {
	eachEngine(t, servers, func(t *testing.T, e *engine) {
		proxy := enginetest.StartProxy(t, e.server.Addr())
		changer, cacher := caching(t, e, enginetest.Via(t, e.store, proxy))
		// revoked returns a key that cacher has cached before its revocation.
		revoked := func() string {
			t.Helper()
			key := changer.ok(t, "create", changer.create())
			cacher.use(key.Text)
			changer.ok(t, "revoke", changer.revoke(key.ID))
			return key.Text
		}

		// The connection hangs, and the process does not notice.
		proxy.Freeze()
		took, accepted := rejectedAfter(t, cacher, revoked(), time.Now())
		if took > cacheTTL || accepted == 0 {
			t.Errorf("frozen connection: accepted %d times for %v, want at least once for at most %v", accepted, took, cacheTTL)
		}

		// The connection breaks, a message is lost, and the process reconnects.
		proxy.Cut()
		proxy.Thaw()
		before := cacher.subscriptions()
		text := revoked()
		if got := cacher.use(text).status; got != http.StatusNoContent {
			t.Errorf("use of a cached key without a connection: status %d, want 204", got)
		}
		proxy.Restore()
		enginetest.Eventually(t, time.Minute, "the caching process subscribes again", func() bool { return cacher.subscriptions() > before })
		if got := cacher.use(text).status; got != http.StatusForbidden {
			t.Errorf("use of a key revoked before the reconnect: status %d, want 403", got)
		}
		if took, _ := rejectedAfter(t, cacher, revoked(), time.Now()); took > time.Second {
			t.Errorf("after the reconnect the other process accepted a key for %v, want at most 1s", took)
		}
	})
}
