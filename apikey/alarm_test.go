// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// from is a request with a key from an address.
func from(text, addr string) *http.Request {
	r := get(text)
	r.RemoteAddr = addr
	return r
}

// Without thresholds there is nothing to be told but changes.
func TestNoThresholds(t *testing.T) {
	b := setUp(t, nil)
	key, text := b.issue(t, order())
	for i := range 300 {
		b.send(t, from(text, fmt.Sprintf("10.0.%d.1:1", i%256)))
		b.send(t, from("acme_junk", "10.0.0.1:1"))
	}
	if _, err := b.Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	b.want(t, text, apikey.ReasonRevoked)
	b.wantEvents(t, apikey.EventCreated, apikey.EventRevoked)
}

func TestNewNetwork(t *testing.T) {
	b := setUp(t, func(c *apikey.Config) { c.Thresholds.NewNetworks = true })
	key, text := b.issue(t, order())
	_, other := b.issue(t, order())
	b.events.take()
	for _, step := range []struct {
		addr, network string // "" for no event
	}{
		{"192.0.2.1:1", ""}, // the first one is taken as known
		{"192.0.2.200:1", ""},
		{"192.0.3.1:1", "192.0.3.0/24"},
		{"192.0.2.1:1", ""},
		{"192.0.3.9:1", ""},
		{"[::ffff:192.0.3.9]:1", ""},
		{"[2001:db8:1::1]:1", "2001:db8:1::/48"},
		{"[2001:db8:1:ffff::1]:1", ""},
		{"[2001:db8:2::1]:1", "2001:db8:2::/48"},
		{"[2001:db8:2::1%eth0]:1", ""},
		{"@", ""}, // not to be told
	} {
		if d := b.send(t, from(text, step.addr)); d.Code != 200 {
			t.Errorf("%s: status %d", step.addr, d.Code)
		}
		if step.network == "" {
			b.wantEvents(t)
			continue
		}
		if e := b.events.last(); e.Type != apikey.EventNewNetwork || attr(e, apikey.AttrNetwork) != step.network || e.Credential != key.ID {
			t.Errorf("%s: event %+v", step.addr, e)
		}
		b.events.take()
	}
	// A secret that is refused has been nowhere.
	b.send(t, from(withSecret(t, text, other), "203.0.113.1:1"))
	b.wantEvents(t)
	b.send(t, from(text, "203.0.113.1:1"))
	b.wantEvents(t, apikey.EventNewNetwork)

	// The last 16 are known, the one used longest ago goes first.
	for i := range 16 {
		b.send(t, from(text, fmt.Sprintf("10.0.%d.1:1", i)))
	}
	b.events.take()
	b.send(t, from(text, "10.0.0.1:1"))
	b.wantEvents(t)
	b.send(t, from(text, "10.1.0.1:1")) // pushes 10.0.1.0/24 out
	b.events.take()
	b.send(t, from(text, "10.0.0.1:1"))
	b.wantEvents(t)
	b.send(t, from(text, "10.0.1.1:1"))
	b.wantEvents(t, apikey.EventNewNetwork)

	// Another key has its own.
	b.send(t, from(other, "198.51.100.1:1"))
	b.wantEvents(t)
}

func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, func(c *apikey.Config) { c.Thresholds.Burst, c.Thresholds.BurstFloor = 3, 10 })
		key, text := b.issue(t, order())
		_, other := b.issue(t, order())
		b.events.take()
		minute := func(n int, event bool) {
			t.Helper()
			for range n {
				pass(time.Minute / time.Duration(n+1))
				b.want(t, text, "")
			}
			pass(time.Minute - time.Duration(n)*(time.Minute/time.Duration(n+1)))
			if !event {
				b.wantEvents(t)
				return
			}
			if got := b.events.take(); !slices.Equal(got, []gatehouse.EventType{apikey.EventBurst}) {
				t.Errorf("%d in a minute: events %q", n, got)
			}
		}
		// The first minute is all the history that there is: no burst in it.
		b.want(t, text, "")
		minute(99, false)
		for range 5 {
			minute(100, false)
		}
		minute(295, false)
		minute(400, true) // beyond three times about 110
		for range 100 {
			minute(20, false)
		}
		minute(60, false)
		minute(80, true)
		// A quiet key that wakes up, and one that never did much.
		pass(5 * time.Hour)
		minute(10, false)
		pass(5 * time.Hour)
		b.want(t, other, "")
		minute(11, true)

		pass(5 * time.Hour)
		for range 10 {
			b.want(t, text, "")
		}
		b.wantEvents(t)
		b.want(t, text, "")
		if e := b.events.last(); e.Type != apikey.EventBurst || attr(e, apikey.AttrCount) != "11" || e.Credential != key.ID || attr(e, apikey.AttrNetwork) != "192.0.2.0/24" {
			t.Errorf("event %+v", e)
		}
		b.events.take()
		for range 100 {
			b.want(t, text, "")
		}
		b.wantEvents(t) // once a minute
		pass(time.Minute)
		for range 400 {
			b.want(t, text, "")
		}
		b.wantEvents(t, apikey.EventBurst)
	})
}

func TestUsedAfterRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, func(c *apikey.Config) { c.Thresholds.UsesAfterRevocation = true })
		key, text := b.issue(t, order())
		_, newer := b.rotate(t, key.ID, day)
		_, other := b.issue(t, order())
		if _, err := b.Revoke(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		b.events.take()
		b.want(t, withSecret(t, text, other), apikey.ReasonSecret)
		b.wantEvents(t)
		for range 10 {
			b.send(t, from(text, "203.0.113.9:1"))
			b.send(t, from(newer, "203.0.113.9:1"))
		}
		if e := b.events.last(); e.Credential != key.ID || attr(e, apikey.AttrNetwork) != "203.0.113.0/24" {
			t.Errorf("event %+v", e)
		}
		b.wantEvents(t, apikey.EventUsedAfterRevocation)
		pass(time.Minute)
		b.want(t, newer, apikey.ReasonRevoked)
		b.wantEvents(t, apikey.EventUsedAfterRevocation)

		// An application that does not take the event gets 503, not 403.
		pass(time.Minute)
		b.events.fail(errors.New("audit is full"))
		if d := b.send(t, get(text)); d.Code != 503 || d.event.Reason != gatehouse.ReasonObserverFailed {
			t.Errorf("%d, event %+v", d.Code, d.event)
		}
	})
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, func(c *apikey.Config) { c.Thresholds.Failures = 5 })
		_, text := b.issue(t, order())
		_, other := b.issue(t, order())
		b.events.take()
		bad := []string{"acme_junk", golden, withSecret(t, text, other), text[:9]}
		fail := func(addr string, n int) {
			t.Helper()
			for i := range n {
				if d := b.send(t, from(bad[i%len(bad)], addr)); d.Code != 403 {
					t.Errorf("status %d", d.Code)
				}
			}
		}
		fail("203.0.113.1:1", 4)
		for range 20 {
			b.send(t, from(text, "203.0.113.1:1"))
		}
		fail("203.0.113.2:1", 4)
		b.wantEvents(t)
		fail("203.0.113.1:2", 1)
		if e := b.events.last(); e.Type != apikey.EventFailures || attr(e, apikey.AttrNetwork) != "203.0.113.1/32" || attr(e, apikey.AttrCount) != "5" || e.Credential != "" {
			t.Errorf("event %+v", e)
		}
		b.events.take()
		fail("203.0.113.1:3", 20)
		b.wantEvents(t) // once a minute
		pass(time.Minute)
		fail("203.0.113.1:3", 4)
		b.wantEvents(t)
		fail("203.0.113.1:3", 1)
		b.wantEvents(t, apikey.EventFailures)

		// Who has a /64 has one address.
		for i := range 5 {
			fail(fmt.Sprintf("[2001:db8::%d]:1", i), 1)
		}
		if e := b.events.last(); attr(e, apikey.AttrNetwork) != "2001:db8::/64" {
			t.Errorf("event %+v", e)
		}
		b.events.take()
		for i := range 5 {
			fail(fmt.Sprintf("[2001:db8:0:%d::1]:1", i+1), 1)
		}
		b.wantEvents(t)
		fail("@", 5)
		if e := b.events.last(); attr(e, apikey.AttrNetwork) != "" {
			t.Errorf("event %+v", e)
		}
		b.events.fail(errors.New("audit is full"))
		pass(time.Minute)
		fail("203.0.113.9:1", 4)
		if d := b.send(t, from("acme_junk", "203.0.113.9:1")); d.Code != 503 || d.event.Reason != gatehouse.ReasonObserverFailed {
			t.Errorf("%d, event %+v", d.Code, d.event)
		}
	})
}

func TestAutomaticSuspension(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		b := setUp(t, func(c *apikey.Config) {
			c.CacheTTL = 5 * time.Second
			c.Thresholds = apikey.Thresholds{NewNetworks: true, Burst: 2, BurstFloor: 1, Suspend: []gatehouse.EventType{apikey.EventNewNetwork}}
			if quiet {
				c.Observer = nil
			}
		})
		key, text := b.issue(t, order())
		b.send(t, from(text, "192.0.2.1:1"))
		b.events.take()
		// The request that gives rise to it is refused too.
		d := b.send(t, from(text, "203.0.113.1:1"))
		if d.Code != 403 || d.event.Reason != apikey.ReasonSuspended {
			t.Errorf("%d, event %+v", d.Code, d.event)
		}
		if !quiet {
			b.wantEvents(t, apikey.EventNewNetwork, apikey.EventSuspended)
		}
		b.send(t, from(text, "192.0.2.1:1"))
		if d := b.send(t, from(text, "192.0.2.1:1")); d.Code != 403 || d.event.Reason != apikey.ReasonSuspended {
			t.Errorf("%d, event %+v", d.Code, d.event)
		}
		if _, err := b.Resume(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		if d := b.send(t, from(text, "203.0.113.1:1")); d.Code != 200 {
			t.Errorf("status %d", d.Code)
		}
	}

	// Where it cannot be suspended, it does not get in.
	b := setUp(t, func(c *apikey.Config) {
		c.Thresholds = apikey.Thresholds{NewNetworks: true, Suspend: []gatehouse.EventType{apikey.EventNewNetwork}}
	})
	_, text := b.issue(t, order())
	b.send(t, from(text, "192.0.2.1:1"))
	b.store.broken["suspend"] = errors.New("read only")
	if d := b.send(t, from(text, "203.0.113.1:1")); d.Code != 503 || d.event.Reason != apikey.ReasonStoreUnavailable {
		t.Errorf("%d, event %+v", d.Code, d.event)
	}
	b.store.broken["suspend"] = nil
	b.events.fail(errors.New("audit is full"))
	if d := b.send(t, from(text, "203.0.114.1:1")); d.Code != 503 || d.event.Reason != gatehouse.ReasonObserverFailed {
		t.Errorf("%d, event %+v", d.Code, d.event)
	}
}

// What is not asked for is neither told nor remembered.
func TestOnlyWhatIsAskedFor(t *testing.T) {
	both := func(b bench) {
		t.Helper()
		_, text := b.issue(t, order())
		b.events.take()
		for i := range 20 {
			b.send(t, from(text, fmt.Sprintf("10.0.%d.1:1", i)))
		}
	}
	b := setUp(t, func(c *apikey.Config) { c.Thresholds = apikey.Thresholds{Burst: 2, BurstFloor: 1} })
	both(b)
	b.wantEvents(t)
	b = setUp(t, func(c *apikey.Config) { c.Thresholds = apikey.Thresholds{Failures: 100} })
	both(b)
	key, text := b.issue(t, order())
	if _, err := b.Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	b.events.take()
	b.want(t, text, apikey.ReasonRevoked)
	b.wantEvents(t)
	if _, watched, _ := b.Remembered(); watched > 0 {
		t.Errorf("%d keys are watched for nothing", watched)
	}
}

// Whichever of two events asks for it, the key is suspended; and an event that
// is not taken keeps the request out.
func TestSuspensionAmongOtherEvents(t *testing.T) {
	for _, suspend := range [][]gatehouse.EventType{nil, {apikey.EventNewNetwork}, {apikey.EventBurst}} {
		for _, refused := range []gatehouse.EventType{"", apikey.EventNewNetwork, apikey.EventBurst, apikey.EventSuspended} {
			synctest.Test(t, func(t *testing.T) {
				b := setUp(t, func(c *apikey.Config) {
					c.Thresholds = apikey.Thresholds{NewNetworks: true, Burst: 2, BurstFloor: 1, Suspend: suspend}
					c.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
						if e.Type == refused {
							return errors.New("audit is full")
						}
						return nil
					})
				})
				_, text := b.issue(t, order())
				b.want(t, text, "")
				pass(time.Minute)
				b.want(t, text, "")
				b.want(t, text, "")
				d := b.send(t, from(text, "203.0.113.1:1")) // both at once
				want := gatehouse.Reason("")
				switch {
				case refused == apikey.EventSuspended && suspend == nil:
				case refused != "":
					want = gatehouse.ReasonObserverFailed
				case suspend != nil:
					want = apikey.ReasonSuspended
				}
				if d.event.Reason != want || (d.Code == 200) != (want == "") {
					t.Errorf("suspend %q, refused %q: %d %s, want %s", suspend, refused, d.Code, d.event.Reason, want)
				}
			})
		}
	}
}

func TestSuspensionForBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setUp(t, func(c *apikey.Config) {
			c.Thresholds = apikey.Thresholds{Burst: 2, BurstFloor: 5, Suspend: []gatehouse.EventType{apikey.EventBurst}}
		})
		_, text := b.issue(t, order())
		b.want(t, text, "")
		pass(time.Minute)
		for range 5 {
			b.want(t, text, "")
		}
		b.want(t, text, apikey.ReasonSuspended)
		b.want(t, text, apikey.ReasonSuspended)
		b.wantEvents(t, apikey.EventCreated, apikey.EventBurst, apikey.EventSuspended)
	})
}
