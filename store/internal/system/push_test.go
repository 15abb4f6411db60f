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

// acceptedFor uses a key until it is rejected. It returns the time from its change until
// the last request that was accepted was sent, and the number of those requests.
func acceptedFor(t *testing.T, n *node, text string) (last time.Duration, accepted int) {
	t.Helper()
	changed := time.Now()
	enginetest.Eventually(t, time.Minute, "a revoked key is rejected", func() bool {
		sent := time.Since(changed)
		got := n.use(text).status
		if got == http.StatusNoContent {
			last, accepted = sent, accepted+1
		} else if got != http.StatusForbidden {
			t.Fatalf("use: status %d, want 204 or 403\n%s", got, n.log)
		}
		return got == http.StatusForbidden
	})
	return last, accepted
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

// checkPush revokes, rotates and suspends keys in one process that another one has cached.
// Without messages the other process accepts each for cacheTTL. It must reject most of them
// in half of this time: on a busy machine a message can take long.
func checkPush(t *testing.T, changer, cacher *node) {
	t.Helper()
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
		changer.ok(t, "change", change)
		last, _ := acceptedFor(t, cacher, key.Text)
		delays = append(delays, last)
	}
	slices.Sort(delays)
	if median := delays[len(delays)/2]; median > cacheTTL/2 {
		t.Errorf("the other process accepted keys for %v, want a median of at most %v", delays, cacheTTL/2)
	}
}

func TestChangesArePushed(t *testing.T) {
	eachEngine(t, servers, func(t *testing.T, e *engine) {
		changer, cacher := caching(t, e, e.store)
		checkPush(t, changer, cacher)
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
		enginetest.Eventually(t, time.Minute, "a revoked key is accepted from the cache", func() bool {
			last, accepted := acceptedFor(t, cacher, revoked())
			if last > cacheTTL {
				t.Errorf("frozen connection: accepted for %v, want at most %v", last, cacheTTL)
			}
			return accepted > 0
		})

		// The connection breaks, a message is lost, and the process reconnects.
		proxy.Cut()
		proxy.Thaw()
		before := cacher.subscriptions()
		text := revoked()
		proxy.Restore()
		enginetest.Eventually(t, time.Minute, "the caching process subscribes again", func() bool { return cacher.subscriptions() > before })
		if got := cacher.use(text).status; got != http.StatusForbidden {
			t.Errorf("use of a key revoked before the reconnect: status %d, want 403", got)
		}
		checkPush(t, changer, cacher)
	})
}
