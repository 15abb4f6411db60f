// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

var errFull = errors.New("audit log is full")

// withThresholds returns a change of the configuration.
func withThresholds(t apikey.Thresholds) func(*apikey.Config) {
	return func(c *apikey.Config) { c.Thresholds = t }
}

// wantNetwork checks that the events since the last call are one of this type and
// network.
func (f fixture) wantNetwork(t *testing.T, want gatehouse.EventType, id, network string) {
	t.Helper()
	if e := f.wantEvents(t, want)[0]; e.Credential != id || attr(e, apikey.AttrNetwork) != network || e.Issuer != issuer || (attr(e, apikey.AttrCount) == "") == (want == apikey.EventFailures) {
		t.Errorf("event %+v, want %s of key %q and network %q", e, want, id, network)
	}
}

// What has no threshold is neither reported nor kept in memory.
func TestThresholdsReportOnlyWhatIsSet(t *testing.T) {
	for name, thresholds := range map[string]apikey.Thresholds{
		"none": {}, "burst only": {Burst: 2, BurstFloor: 1}, "failures only": {Failures: 1000},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newKeys(t, withThresholds(thresholds))
			advance(time.Hour) // the first minute of a key begins with its first use
			key, text := f.create(t, request())
			for i := range 300 {
				send(t, from(text, fmt.Sprintf("10.0.%d.1:1", i%256)), f.Keys)
				send(t, from("acme_junk", "10.0.0.1:1"), f.Keys)
			}
			must(f.Revoke(t.Context(), key.ID))(t)
			f.wantReason(t, text, apikey.ReasonRevoked)
			f.wantEvents(t, apikey.EventCreated, apikey.EventRevoked)
			if _, watched, _ := f.Remembered(); watched > 0 && thresholds.Burst == 0 {
				t.Errorf("%s: %d keys have a history, want 0", name, watched)
			}
		})
	}
}

func TestNewNetwork(t *testing.T) {
	f := newKeys(t, withThresholds(apikey.Thresholds{NewNetworks: true}))
	key, text := f.create(t, request())
	_, other := f.create(t, request())
	f.events.take()
	use := func(addr, network string) {
		t.Helper()
		f.wantReasonOf(t, from(text, addr), "")
		if network == "" {
			f.wantEvents(t)
		} else {
			f.wantNetwork(t, apikey.EventNewNetwork, key.ID, network)
		}
	}
	use("192.0.2.1:1", "") // the first network is not reported
	use("192.0.2.200:1", "")
	use("192.0.3.1:1", "192.0.3.0/24")
	use("192.0.2.1:1", "")
	use("192.0.3.9:1", "")
	use("[::ffff:192.0.3.9]:1", "")
	use("[2001:db8:1::1]:1", "2001:db8:1::/48")
	use("[2001:db8:1:ffff::1]:1", "")
	use("[2001:db8:2::1]:1", "2001:db8:2::/48")
	use("[2001:db8:2::1%eth0]:1", "")
	use("@", "") // unknown address

	// A rejected secret is not a use.
	f.wantReasonOf(t, from(withSecret(text, other), "203.0.113.1:1"), apikey.ReasonSecret)
	f.wantEvents(t)
	use("203.0.113.1:1", "203.0.113.0/24")

	// The last 16 networks are known; the least recently used one is forgotten.
	for i := range 16 {
		use(fmt.Sprintf("10.0.%d.1:1", i), fmt.Sprintf("10.0.%d.0/24", i))
	}
	use("10.0.0.1:1", "")
	use("10.1.0.1:1", "10.1.0.0/24") // replaces 10.0.1.0/24
	use("10.0.0.1:1", "")
	use("10.0.1.1:1", "10.0.1.0/24")

	f.wantReasonOf(t, from(other, "198.51.100.1:1"), "") // each key has its own networks
	r := request()
	r.Networks = prefixes("192.0.2.0/24")
	_, limited := f.create(t, r)
	f.events.take()
	f.wantReasonOf(t, from(limited, "192.0.2.1:1"), "")
	f.wantReasonOf(t, from(limited, "203.0.113.1:1"), apikey.ReasonNetwork) // no use either
	f.wantEvents(t)
}

// An event is repeated until it is accepted and the key is suspended, so that
// neither a failure nor a client that hangs up loses the event or the suspension.
func TestEventIsRepeatedUntilSettled(t *testing.T) {
	for _, test := range []struct {
		event      gatehouse.EventType
		suspend    bool
		thresholds apikey.Thresholds
	}{
		{apikey.EventNewNetwork, true, apikey.Thresholds{NewNetworks: true, Suspend: []gatehouse.EventType{apikey.EventNewNetwork}}},
		{apikey.EventBurst, true, apikey.Thresholds{Burst: 2, BurstFloor: 1, Suspend: []gatehouse.EventType{apikey.EventBurst}}},
		{apikey.EventBurst, false, apikey.Thresholds{Burst: 2, BurstFloor: 1}},
		{apikey.EventUsedAfterRevocation, false, apikey.Thresholds{UsesAfterRevocation: true}},
		{apikey.EventFailures, false, apikey.Thresholds{Failures: 1}},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newKeys(t, withThresholds(test.thresholds))
			key, text := f.create(t, request())
			f.wantReason(t, text, "")
			advance(time.Minute)
			after := gatehouse.Reason("") // of a request whose event is accepted
			switch test.event {
			case apikey.EventBurst:
				f.wantReason(t, text, "")
				f.wantReason(t, text, "")
			case apikey.EventUsedAfterRevocation:
				must(f.Revoke(t.Context(), key.ID))(t)
				after = apikey.ReasonRevoked
			case apikey.EventFailures:
				text, after = golden, apikey.ReasonUnknown
			}
			if test.suspend {
				after = apikey.ReasonSuspended
			}
			f.events.take()
			stolen := from(text, "203.0.113.1:1")
			for range 2 {
				f.events.err = errFull
				f.wantReasonOf(t, stolen, gatehouse.ReasonObserverFailed)
				f.wantEvents(t, test.event)
				f.events.err = nil
				if test.suspend {
					f.store.fail(errors.New("read only"), "Suspend")
					f.wantReasonOf(t, stolen, apikey.ReasonStoreUnavailable)
					f.wantEvents(t, test.event)
					f.store.fail(nil)
				}
			}
			ctx, hangUp := context.WithCancel(t.Context())
			f.store.found = func(context.Context, *apikey.Record) { hangUp() }
			f.wantReasonOf(t, stolen.WithContext(ctx), after)
			f.store.found = nil
			if !test.suspend {
				f.wantEvents(t, test.event)
				f.wantReasonOf(t, stolen, after)
				f.wantEvents(t)
				return
			}
			f.wantEvents(t, test.event, apikey.EventSuspended)
			f.wantReasonOf(t, stolen, apikey.ReasonSuspended)
			must(f.Resume(t.Context(), key.ID))(t)
			f.wantReasonOf(t, stolen, "")
			f.wantEvents(t, apikey.EventResumed)
		})
	}
}

func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, withThresholds(apikey.Thresholds{Burst: 3, BurstFloor: 10}))
		key, text := f.create(t, request())
		_, other := f.create(t, request())
		f.events.take()
		// minute sends n requests in one minute and checks for a burst.
		minute := func(n int, burst bool) {
			t.Helper()
			for range n {
				advance(time.Minute / time.Duration(n+1))
				f.wantReason(t, text, "")
			}
			advance(time.Minute - time.Duration(n)*(time.Minute/time.Duration(n+1)))
			if burst {
				f.wantEvents(t, apikey.EventBurst)
			} else {
				f.wantEvents(t)
			}
		}
		f.wantReason(t, text, "")
		minute(99, false) // the first minute is the average
		for range 5 {
			minute(100, false)
		}
		minute(295, false)
		minute(400, true) // above 3 times about 110
		for range 100 {
			minute(20, false)
		}
		minute(60, false)
		minute(80, true)
		// A key that was idle, and one that was hardly used.
		advance(5 * time.Hour)
		minute(10, false)
		advance(5 * time.Hour)
		f.wantReason(t, other, "")
		minute(11, true)

		strict := newKeys(t, withThresholds(apikey.Thresholds{Burst: 20, BurstFloor: 1}))
		_, once := strict.create(t, request())
		strict.wantReason(t, once, "")
		advance(5 * time.Hour)
		strict.wantReason(t, once, "")
		strict.wantEvents(t, apikey.EventCreated)
		strict.wantReason(t, once, "")
		strict.wantEvents(t, apikey.EventBurst)

		advance(5 * time.Hour)
		for range 10 {
			f.wantReason(t, text, "")
		}
		f.wantEvents(t)
		f.wantReason(t, text, "")
		e := f.wantEvents(t, apikey.EventBurst)[0]
		if e.Credential != key.ID || attr(e, apikey.AttrCount) != "11" || attr(e, apikey.AttrNetwork) != "192.0.2.0/24" {
			t.Errorf("event %+v, want 11 requests of key %s from 192.0.2.0/24", e, key.ID)
		}
		for range 100 {
			f.wantReason(t, text, "")
		}
		f.wantEvents(t) // once a minute
		advance(time.Minute)
		for range 400 {
			f.wantReason(t, text, "")
		}
		f.wantEvents(t, apikey.EventBurst)
	})
}

func TestUsedAfterRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, withThresholds(apikey.Thresholds{UsesAfterRevocation: true}))
		key, text := f.create(t, request())
		_, newer := f.rotate(t, key.ID, day)
		suspended, other := f.create(t, request())
		must(f.Revoke(t.Context(), key.ID))(t)
		must(f.Suspend(t.Context(), suspended.ID))(t)
		f.events.take()
		f.wantReason(t, withSecret(text, other), apikey.ReasonSecret)
		f.wantReason(t, other, apikey.ReasonSuspended)
		f.wantEvents(t)
		for range 10 { // reported once a minute
			send(t, from(text, "203.0.113.9:1"), f.Keys)
			send(t, from(newer, "203.0.113.9:1"), f.Keys)
		}
		f.wantNetwork(t, apikey.EventUsedAfterRevocation, key.ID, "203.0.113.0/24")
		advance(time.Minute)
		f.wantReason(t, newer, apikey.ReasonRevoked)
		f.wantEvents(t, apikey.EventUsedAfterRevocation)
		advance(time.Minute)
		f.events.err = errFull
		f.wantReason(t, text, gatehouse.ReasonObserverFailed)
	})
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, withThresholds(apikey.Thresholds{Failures: 5}))
		_, text := f.create(t, request())
		_, other := f.create(t, request())
		f.events.take()
		invalid := []string{golden, "acme_junk", withSecret(text, other), text[:9]}
		fail := func(addr string, n int) {
			t.Helper()
			for i := range n {
				if got := send(t, from(invalid[i%len(invalid)], addr), f.Keys); got.Code != 403 {
					t.Errorf("status %d, want 403", got.Code)
				}
			}
		}
		fail("203.0.113.1:1", 4)
		for range 20 {
			f.wantReasonOf(t, from(text, "203.0.113.1:1"), "")
		}
		fail("203.0.113.2:1", 4)
		f.wantEvents(t)
		fail("203.0.113.1:2", 1)
		e := f.wantEvents(t, apikey.EventFailures)[0]
		if e.Credential != "" || attr(e, apikey.AttrCount) != "5" || attr(e, apikey.AttrNetwork) != "203.0.113.1/32" {
			t.Errorf("event %+v, want 5 failures from 203.0.113.1/32 without a key", e)
		}
		fail("203.0.113.1:3", 20)
		f.wantEvents(t) // once a minute
		advance(time.Minute)
		fail("203.0.113.1:3", 4)
		f.wantEvents(t)
		hungUp, cancel := context.WithCancel(t.Context())
		cancel()
		f.wantReasonOf(t, from("acme_junk", "203.0.113.1:3").WithContext(hungUp), apikey.ReasonMalformed)
		f.wantEvents(t, apikey.EventFailures)

		for i := range 5 { // a /64 counts as one address
			fail(fmt.Sprintf("[2001:db8::%d]:1", i), 1)
		}
		f.wantNetwork(t, apikey.EventFailures, "", "2001:db8::/64")
		for i := range 5 {
			fail(fmt.Sprintf("[2001:db8:0:%d::1]:1", i+1), 1)
		}
		f.wantEvents(t)
		fail("@", 5)
		f.wantNetwork(t, apikey.EventFailures, "", "")
		f.events.err = errFull
		advance(time.Minute)
		fail("203.0.113.9:1", 4)
		f.wantReasonOf(t, from("acme_junk", "203.0.113.9:1"), gatehouse.ReasonObserverFailed)
	})
}

// An event that the observer accepts in a later minute is none of that minute.
func TestLateEventSettlesItsOwnMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f fixture
		events := 0
		fail := func() { f.wantReason(t, "acme_junk", apikey.ReasonMalformed) }
		f = newKeys(t, func(c *apikey.Config) {
			c.Thresholds = apikey.Thresholds{Failures: 2}
			c.Observer = gatehouse.ObserverFunc(func(context.Context, gatehouse.Event) error {
				events++
				switch events {
				case 1: // settled after a failure of the next minute
					advance(time.Minute)
					fail()
				case 2: // settled after the event of the next minute
					advance(time.Minute)
					fail()
					fail()
				}
				return nil
			})
		})
		for range 4 {
			fail()
		}
		if events != 3 {
			t.Errorf("%d events, want one for two failures in each of three minutes", events)
		}
	})
}

// A new network that two requests use at the same time is one network.
func TestNewNetworkOfTwoRequests(t *testing.T) {
	var f fixture
	text, events := "", 0
	use := func(n int) { f.wantReasonOf(t, from(text, fmt.Sprintf("10.0.%d.1:1", n)), "") }
	f = newKeys(t, func(c *apikey.Config) {
		c.Thresholds = apikey.Thresholds{NewNetworks: true}
		c.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			if e.Type == apikey.EventNewNetwork {
				if events++; events == 1 {
					use(1) // while the event of the first request is reported
				}
			}
			return nil
		})
	})
	_, text = f.create(t, request())
	for n := range 16 {
		use(n)
	}
	use(0)
	if events != 16 {
		t.Errorf("%d events, want 16: the second network twice, no event for the first one, which is still known", events)
	}
}

// A suspension by a threshold rejects the request too, with and without an
// observer and a cache, and counts as a failure.
func TestSuspendRejectsTheRequest(t *testing.T) {
	for _, observed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			f := newKeys(t, func(c *apikey.Config) {
				c.CacheTTL = 5 * time.Second
				c.Thresholds = apikey.Thresholds{
					NewNetworks: true, Burst: 2, BurstFloor: 1, Failures: 1, Suspend: []gatehouse.EventType{apikey.EventNewNetwork},
				}
				if !observed {
					c.Observer = nil
				}
			})
			key, text := f.create(t, request())
			f.wantReasonOf(t, from(text, "192.0.2.1:1"), "")
			f.store.fail(errors.New("connection reset"), "Suspend")
			for range 2 { // the first one may have suspended the key, so it is read again
				f.wantReasonOf(t, from(text, "203.0.113.1:1"), apikey.ReasonStoreUnavailable)
			}
			f.wantCalls(t, "Find", 2)
			f.store.fail(nil)
			f.events.take()
			got := f.wantReasonOf(t, from(text, "203.0.113.1:1"), apikey.ReasonSuspended)
			if got.Code != 403 {
				t.Errorf("status %d, want 403", got.Code)
			}
			if observed {
				f.wantEvents(t, apikey.EventNewNetwork, apikey.EventSuspended, apikey.EventFailures)
			}
			f.wantReasonOf(t, from(text, "192.0.2.1:1"), apikey.ReasonSuspended)
			must(f.Resume(t.Context(), key.ID))(t)
			f.wantReasonOf(t, from(text, "203.0.113.1:1"), "")
		})
	}
}

// Each of two events in one request can suspend the key, and an event that the
// observer does not accept rejects the request.
func TestSuspendWithSeveralEvents(t *testing.T) {
	for _, suspend := range [][]gatehouse.EventType{nil, {apikey.EventNewNetwork}, {apikey.EventBurst}} {
		for _, fails := range []gatehouse.EventType{"", apikey.EventNewNetwork, apikey.EventBurst, apikey.EventSuspended} {
			synctest.Test(t, func(t *testing.T) {
				events := 0
				f := newKeys(t, func(c *apikey.Config) {
					c.Thresholds = apikey.Thresholds{NewNetworks: true, Burst: 2, BurstFloor: 1, Suspend: suspend}
					c.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
						if events++; e.Type == fails {
							return errFull
						}
						return nil
					})
				})
				_, text := f.create(t, request())
				f.wantReason(t, text, "")
				advance(time.Minute)
				f.wantReason(t, text, "")
				f.wantReason(t, text, "")
				want := gatehouse.Reason("")
				switch {
				case fails == apikey.EventSuspended && suspend == nil:
				case fails != "":
					want = gatehouse.ReasonObserverFailed
				case suspend != nil:
					want = apikey.ReasonSuspended
				}
				got := send(t, from(text, "203.0.113.1:1"), f.Keys) // a new network and a burst
				if got.event.Reason != want || (got.Code == 200) != (want == "") {
					t.Errorf("Suspend %q, observer rejects %q: status %d, reason %q, want %q", suspend, fails, got.Code, got.event.Reason, want)
				}
				if reported := events; fails == "" {
					if f.wantReasonOf(t, from(text, "203.0.113.1:1"), want); events != reported {
						t.Errorf("Suspend %q: %d more events of the next request, want 0", suspend, events-reported)
					}
				}
			})
		}
	}
}
