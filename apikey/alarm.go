// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
)

// Thresholds set what [Keys] reports about the use of keys. The zero value
// reports nothing.
//
// Each process keeps its own counts in memory and loses them when it exits. The
// counts are bounded: above 16,384 keys or addresses, entries are evicted at
// random.
type Thresholds struct {
	// NewNetworks reports [EventNewNetwork]: a key is used from a /24 of IPv4 or a
	// /48 of IPv6 that is not among the last 16 that it was used from. The first
	// network in which a process sees a key is not reported. Concurrent requests
	// from a new network may each report it.
	NewNetworks bool

	// Burst reports [EventBurst], once a minute: the requests of a key in one
	// minute exceed Burst times its recent average, and BurstFloor. 0 for off,
	// otherwise at least 2.
	Burst int
	// BurstFloor is the number of requests in a minute that is never reported.
	// Required with Burst.
	BurstFloor int

	// UsesAfterRevocation reports [EventUsedAfterRevocation], at most once a
	// minute for each key.
	UsesAfterRevocation bool

	// Failures reports [EventFailures], once a minute: Failures keys from one
	// IPv4 address, or one /64 of IPv6, were rejected in one minute. 0 for off.
	Failures int

	// Suspend are the events that suspend the key and reject the request:
	// EventNewNetwork and EventBurst.
	Suspend []gatehouse.EventType
}

const (
	knownNetworks = 16
	// averageWeight makes the average cover about the last 16 minutes.
	averageWeight = 16
)

// alarm counts the uses of keys and reports what exceeds its thresholds.
type alarm struct {
	Thresholds
	start  time.Time
	shards [shardCount]alarmShard
}

type alarmShard struct {
	sync.Mutex
	keys      map[string]*history
	addresses map[netip.Prefix]*tally
}

// history is the recent use of one key.
type history struct {
	first    time.Duration // the start of its first minute
	uses     tally
	average  int            // uses in a minute, times averageWeight
	networks []netip.Prefix // the last one is the most recent
	revoked  tally
}

// tally counts within one minute.
type tally struct {
	minute   int64
	count    int
	reported bool
}

// add increments the count and reports whether it exceeds limit for the first
// time in this minute.
func (t *tally) add(minute int64, limit int) bool {
	if t.minute != minute {
		*t = tally{minute: minute}
	}
	t.count++
	if t.reported || t.count <= limit {
		return false
	}
	t.reported = true
	return true
}

// newAlarm returns nil if no threshold is set.
func newAlarm(t Thresholds) (*alarm, error) {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("apikey: Config.Thresholds."+format, args...))
		}
	}
	check(t.Burst == 0 || t.Burst >= 2, "Burst: got %d, must be 0 or at least 2", t.Burst)
	check(t.BurstFloor >= 0 && (t.Burst > 0) == (t.BurstFloor > 0), "BurstFloor: got %d, must be greater than 0 if Burst is set, otherwise 0", t.BurstFloor)
	check(t.Failures >= 0, "Failures: got %d, must not be negative", t.Failures)
	for _, event := range t.Suspend {
		check(event == EventNewNetwork && t.NewNetworks || event == EventBurst && t.Burst > 0, "Suspend: %q: its threshold is not set", event)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if !t.NewNetworks && t.Burst == 0 && !t.UsesAfterRevocation && t.Failures == 0 {
		return nil, nil
	}
	t.Suspend = slices.Clone(t.Suspend)
	a := &alarm{Thresholds: t, start: time.Now()}
	for i := range a.shards {
		a.shards[i].keys = make(map[string]*history)
		a.shards[i].addresses = make(map[netip.Prefix]*tally)
	}
	return a, nil
}

// checkThresholds passes a decision to the alarm and reports what it finds. If
// [Thresholds].Suspend says so, it suspends the key of an accepted request and
// changes the decision. It returns an error to reject the request with. Events
// do not end with the request, so that a client cannot avoid them by hanging up.
func (k *Keys) checkThresholds(ctx context.Context, d *decision) error {
	if k.alarm == nil {
		return nil
	}
	if events := k.alarm.use(d); len(events) > 0 {
		ctx, cancel := detached(ctx)
		defer cancel()
		suspend, newNetwork := false, false
		for _, event := range events {
			if err := k.report(ctx, d.id, event); err != nil {
				return err
			}
			suspend = suspend || slices.Contains(k.alarm.Suspend, event.event)
			newNetwork = newNetwork || event.event == EventNewNetwork
		}
		if suspend {
			_, err := k.store.Suspend(ctx, d.id, true)
			k.Invalidate(d.id)
			if err != nil {
				return k.unavailable(d.id, err)
			}
			if err := k.emit(ctx, EventSuspended, d.id); err != nil {
				return err
			}
			d.reason = ReasonSuspended
		}
		if newNetwork {
			k.alarm.learn(d) // not before, so that a failure above repeats the event
		}
	}
	if event, ok := k.alarm.failure(d); ok {
		ctx, cancel := detached(ctx)
		defer cancel()
		return k.report(ctx, d.id, event)
	}
	return nil
}

// use counts a valid secret and returns the events of it.
func (a *alarm) use(d *decision) (events []signal) {
	accepted := d.reason == "" && (a.NewNetworks || a.Burst > 0)
	revoked := d.reason == ReasonRevoked && a.UsesAfterRevocation
	if !accepted && !revoked {
		return nil
	}
	network := keyNetwork(d.address)
	s := &a.shards[shardOf(d.id, shardCount)]
	s.Lock()
	defer s.Unlock()
	elapsed := time.Since(a.start)
	h := s.history(d.id, elapsed)
	if revoked {
		if h.revoked.add(int64(elapsed/time.Minute), 0) {
			events = append(events, signal{EventUsedAfterRevocation, network, 0})
		}
		return events
	}
	if a.NewNetworks && network.IsValid() && !h.knows(network) {
		events = append(events, signal{EventNewNetwork, network, 0})
	}
	if a.Burst > 0 && h.burst(int64((elapsed-h.first)/time.Minute), a.Burst, a.BurstFloor) {
		events = append(events, signal{EventBurst, network, h.uses.count})
	}
	return events
}

// burst counts a use and reports whether it exceeds the threshold.
func (h *history) burst(minute int64, factor, floor int) bool {
	h.roll(minute) // in the first minute the average is its count, which is no burst
	return h.uses.add(minute, max(floor, factor*h.average/averageWeight))
}

// roll adds the minutes that have passed to the average. The first minute is the
// average; each later one replaces a sixteenth of it.
func (h *history) roll(minute int64) {
	n, m := h.uses.count, h.uses.minute
	if m == 0 {
		h.average = n * averageWeight
		n, m = 0, 1
	}
	for ; m < minute && n+h.average > 0; n, m = 0, m+1 {
		h.average += n - (h.average+averageWeight-1)/averageWeight
	}
}

// knows reports whether a network is among the recent ones. The first network is
// taken as known.
func (h *history) knows(network netip.Prefix) bool {
	if i := slices.Index(h.networks, network); i >= 0 {
		h.networks = append(slices.Delete(h.networks, i, i+1), network)
	} else if len(h.networks) > 0 {
		return false
	} else {
		h.networks = append(h.networks, network)
	}
	return true
}

// learn makes the network of a decision a known one.
func (a *alarm) learn(d *decision) {
	network := keyNetwork(d.address)
	s := &a.shards[shardOf(d.id, shardCount)]
	s.Lock()
	defer s.Unlock()
	if h := s.history(d.id, time.Since(a.start)); !h.knows(network) { // by a concurrent request
		if len(h.networks) >= knownNetworks {
			h.networks = slices.Delete(h.networks, 0, 1)
		}
		h.networks = append(h.networks, network)
	}
}

// failure counts a rejected key and returns the event of it. All clients without
// a known address count together.
func (a *alarm) failure(d *decision) (signal, bool) {
	if d.reason == "" || a.Failures == 0 {
		return signal{}, false
	}
	network := clientaddr.Network(d.address, 32, 64)
	bytes := network.Addr().As16() // an IPv4 address is in the last four, a /64 in the first eight
	s := &a.shards[int(bytes[7]^bytes[15])%shardCount]
	s.Lock()
	defer s.Unlock()
	t := entry(s.addresses, network, func() *tally { return new(tally) })
	exceeded := t.add(int64(time.Since(a.start)/time.Minute), a.Failures-1)
	return signal{EventFailures, network, t.count}, exceeded
}

func (s *alarmShard) history(id string, now time.Duration) *history {
	return entry(s.keys, id, func() *history { return &history{first: now} })
}

// entry returns the value of a key in a bounded map. It adds one if there is none.
func entry[K comparable, V any](entries map[K]*V, key K, newValue func() *V) *V {
	if value := entries[key]; value != nil {
		return value
	}
	evict(entries)
	value := newValue()
	entries[key] = value
	return value
}

// keyNetwork is the network of an address in [EventNewNetwork].
func keyNetwork(addr netip.Addr) netip.Prefix { return clientaddr.Network(addr, 24, 48) }
