// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// The first use is written at once, then one a minute, and no use is lost.
func TestLastUsed(t *testing.T) {
	for _, ttl := range []time.Duration{0, 5 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			b := setUp(t, func(c *apikey.Config) { c.CacheTTL = ttl })
			key, text := b.issue(t, order())
			_, other := b.issue(t, order())
			check := func(writes int, uses int64, used time.Time) {
				t.Helper()
				got, err := b.Describe(t.Context(), key.ID)
				if err != nil || b.store.count("touch") != writes || got.Uses != uses || !got.LastUsed.Equal(used) {
					t.Errorf("%d writes, %d uses, last %v, %v; want %d, %d, %v", b.store.count("touch"), got.Uses, got.LastUsed, err, writes, uses, used)
				}
			}
			check(0, 0, time.Time{})
			first := time.Now()
			b.want(t, text, "")
			check(1, 1, first)
			for range 59 {
				pass(time.Second)
				b.want(t, text, "")
			}
			check(1, 1, first)
			pass(time.Second)
			b.want(t, text, "")
			check(2, 61, first.Add(time.Minute))
			b.want(t, text, "")
			b.want(t, withSecret(t, text, other), apikey.ReasonSecret)
			check(2, 61, first.Add(time.Minute))
			pass(time.Hour)
			b.want(t, text, "")
			check(3, 63, first.Add(time.Minute+time.Hour))
			// A use that is refused is no use.
			pass(time.Hour)
			b.want(t, withSecret(t, text, other), apikey.ReasonSecret)
			if _, err := b.Suspend(t.Context(), key.ID); err != nil {
				t.Fatal(err)
			}
			b.want(t, text, apikey.ReasonSuspended)
			check(3, 63, first.Add(time.Minute+time.Hour))
		})
	}
}

// Several nodes together write once a minute, as far as they know of each
// other, and lose no use.
func TestLastUsedOnSeveralNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := setUp(t, nil)
		nodes := []bench{a}
		for range 3 {
			nodes = append(nodes, setUp(t, func(c *apikey.Config) { c.Store = a.store }))
		}
		key, text := a.issue(t, order())
		const minutes = 60
		for range minutes * 60 {
			for _, node := range nodes {
				node.want(t, text, "")
			}
			pass(time.Second)
		}
		if n := a.store.count("touch"); n > minutes+1 {
			t.Errorf("%d writes in %d minutes", n, minutes)
		}
		got, err := a.Describe(t.Context(), key.ID)
		if err != nil || time.Since(got.LastUsed) > time.Minute+time.Second {
			t.Errorf("%+v, %v", got, err)
		}
		if got.Uses > 4*60*minutes || got.Uses < 60*minutes/2 {
			t.Errorf("%d uses", got.Uses)
		}
	})
}

// What a node has counted while another one wrote is written later.
func TestUsesWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoNodes(t, 5*time.Second)
		key, text := a.issue(t, order())
		if _, err := b.Suspend(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Resume(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		b.want(t, withSecret(t, text, golden), apikey.ReasonSecret) // b remembers a key that was never used
		a.want(t, text, "")
		b.want(t, text, "")
		b.want(t, text, "")
		if got, err := a.Describe(t.Context(), key.ID); err != nil || got.Uses != 1 {
			t.Errorf("%d uses, %v", got.Uses, err)
		}
		pass(time.Minute)
		b.want(t, text, "")
		if got, err := a.Describe(t.Context(), key.ID); err != nil || got.Uses != 4 {
			t.Errorf("%d uses, %v", got.Uses, err)
		}
	})
}

// Whoever comes second to a key that is new here finds what the first one made.
func TestUsageIsMadeOnce(t *testing.T) {
	b := setUp(t, nil)
	if !b.UsageIsMadeOnce("0123456789abcdef") {
		t.Error("a count was made twice")
	}
}

// A write that fails, or hangs, never fails the request, and is made good.
func TestTouchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, nil)
		key, text := b.issue(t, order())
		b.store.broken["touch"] = errors.New("read only")
		for range 50 {
			b.want(t, text, "")
		}
		if n := b.store.count("touch"); n != 1 {
			t.Errorf("%d writes were tried", n)
		}
		pass(time.Minute)
		b.want(t, text, "")
		b.store.broken["touch"] = nil
		pass(time.Minute)
		b.want(t, text, "")
		if got, err := b.Describe(t.Context(), key.ID); err != nil || got.Uses != 52 {
			t.Errorf("%d uses, %v", got.Uses, err)
		}

		hanging := setUp(t, func(c *apikey.Config) { c.Store = hangs{b.store} })
		pass(time.Minute)
		start := time.Now()
		hanging.want(t, text, "")
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("the request waited %v", waited)
		}
		hanging.want(t, text, "")
		if waited := time.Since(start); waited != time.Second {
			t.Errorf("the next one waited too: %v", waited)
		}
	})
}

// hangs is a store whose writes never end by themselves.
type hangs struct{ *counting }

func (h hangs) Touch(ctx context.Context, _ string, _ int64, _ time.Duration) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

// A caller who hangs up cannot keep a use from being written.
func TestTouchOutlivesTheCaller(t *testing.T) {
	b := setUp(t, nil)
	key, text := b.issue(t, order())
	ctx, cancel := context.WithCancel(t.Context())
	b.store.before = func(verb string) {
		if verb == "touch" {
			cancel()
		}
	}
	if d := b.send(t, get(text).WithContext(ctx)); d.Code != 200 {
		t.Errorf("status %d", d.Code)
	}
	if got, err := b.Describe(t.Context(), key.ID); err != nil || got.Uses != 1 {
		t.Errorf("%d uses, %v", got.Uses, err)
	}
}

func TestUsesAreCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, nil)
		key, text := b.issue(t, order())
		for range 5 {
			var wg sync.WaitGroup
			for range 50 {
				wg.Go(func() { b.want(t, text, "") })
			}
			wg.Wait()
			pass(time.Minute)
		}
		b.want(t, text, "")
		got, err := b.Describe(t.Context(), key.ID)
		if err != nil || got.Uses != 251 || b.store.count("touch") != 6 {
			t.Errorf("%d uses in %d writes, %v", got.Uses, b.store.count("touch"), err)
		}
	})
}

// What is remembered of keys and addresses has a bound.
func TestMemoryOfUseIsBounded(t *testing.T) {
	b := setUp(t, func(c *apikey.Config) {
		c.Thresholds = apikey.Thresholds{NewNetworks: true, Burst: 2, BurstFloor: 1, UsesAfterRevocation: true, Failures: 1000}
	})
	for i, id := range apikey.SameShard(3 * apikey.MaxEntries) {
		body := fmt.Sprintf("acme_live_%s_%043d", id, i)
		record := apikey.Record{
			Key:     apikey.Key{ID: id, Owner: "o", Environment: "live", Lifetime: day},
			Current: apikey.Hash{Sum: sha256.Sum256([]byte(body))},
		}
		if _, err := b.store.Create(t.Context(), record); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-API-Key", body+checksum(body))
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.7:1", i>>8&255, i&255)
		if _, err := b.Authenticate(r); err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-API-Key", "acme_junk")
		if _, err := b.Authenticate(r); err == nil {
			t.Fatal("accepted")
		}
	}
	// Addresses have shards of their own, and no bound that is met by chance.
	for i := range 20_000 {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-API-Key", "acme_junk")
		r.RemoteAddr = fmt.Sprintf("10.%d.%d.8:1", i>>8, i&255)
		if _, err := b.Authenticate(r); err == nil {
			t.Fatal("accepted")
		}
	}
	used, watched, addresses := b.Remembered()
	if used != apikey.MaxEntries || watched != apikey.MaxEntries || addresses != apikey.MaxEntries {
		t.Errorf("%d used, %d watched, %d addresses", used, watched, addresses)
	}
}
