// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
)

const (
	knownNetworks = 16
	// averageWeight makes the average cover about the last 16 minutes.
	averageWeight = 16
)

// alarm counts the uses of keys and reports the events of its thresholds.
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

// add increments the count and reports whether it exceeds limit and its event is
// due: not reported in this minute.
func (t *tally) add(minute int64, limit int) bool {
	if t.minute != minute {
		*t = tally{minute: minute}
	}
	t.count++
	return !t.reported && t.count > limit
}

// settle records that the event of a minute is reported.
func (t *tally) settle(minute int64) { t.reported = t.reported || t.minute == minute }

// checkThresholds passes a decision to the alarm and reports the resulting events. For an
// event of [Thresholds].Suspend it suspends the key of an accepted request and changes
// the decision. It returns the error with which to reject the request. It continues after
// the client disconnects, so that a client cannot avoid the events. It settles the events
// last, so that the next request repeats them after a failure here.
func (k *Keys) checkThresholds(ctx context.Context, d *decision) error {
	if k.alarm == nil {
		return nil
	}
	if events := k.alarm.use(d); len(events) > 0 {
		ctx, cancel := detached(ctx)
		defer cancel()
		suspend := false
		for _, event := range events {
			if err := k.report(ctx, d.id, event); err != nil {
				return err
			}
			suspend = suspend || slices.Contains(k.alarm.Suspend, event.event)
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
		k.alarm.settle(d.id, events)
	}
	if event, ok := k.alarm.failure(d); ok {
		ctx, cancel := detached(ctx)
		defer cancel()
		if err := k.report(ctx, d.id, event); err != nil {
			return err
		}
		k.alarm.settleFailure(event)
	}
	return nil
}

// use counts the use of a valid secret and returns its events.
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
		if minute := int64(elapsed / time.Minute); h.revoked.add(minute, 0) {
			events = append(events, signal{EventUsedAfterRevocation, network, 0, minute})
		}
		return events
	}
	if a.NewNetworks && network.IsValid() && !h.knows(network) {
		events = append(events, signal{event: EventNewNetwork, network: network})
	}
	if minute := int64((elapsed - h.first) / time.Minute); a.Burst > 0 && h.burst(minute, a.Burst, a.BurstFloor) {
		events = append(events, signal{EventBurst, network, h.uses.count, minute})
	}
	return events
}

// settle records that the events of a key are reported and that their network is known.
func (a *alarm) settle(id string, events []signal) {
	s := &a.shards[shardOf(id, shardCount)]
	s.Lock()
	defer s.Unlock()
	h := s.history(id, time.Since(a.start))
	for _, e := range events {
		switch e.event {
		case EventNewNetwork:
			h.learn(e.network)
		case EventBurst:
			h.uses.settle(e.minute)
		case EventUsedAfterRevocation:
			h.revoked.settle(e.minute)
		default: // the other events are not counted
		}
	}
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

// learn adds a network to the recent ones.
func (h *history) learn(network netip.Prefix) {
	if h.knows(network) { // added by a concurrent request
		return
	}
	if len(h.networks) >= knownNetworks {
		h.networks = slices.Delete(h.networks, 0, 1)
	}
	h.networks = append(h.networks, network)
}

// failure counts a rejected key and returns its event. All clients without a known
// address count together.
func (a *alarm) failure(d *decision) (signal, bool) {
	if d.reason == "" || a.Failures == 0 {
		return signal{}, false
	}
	network := clientaddr.Network(d.address, 32, 64)
	s := a.shardOf(network)
	s.Lock()
	defer s.Unlock()
	t := s.address(network)
	minute := int64(time.Since(a.start) / time.Minute)
	exceeded := t.add(minute, a.Failures-1)
	return signal{EventFailures, network, t.count, minute}, exceeded
}

// settleFailure records that an event of failure is reported.
func (a *alarm) settleFailure(e signal) {
	s := a.shardOf(e.network)
	s.Lock()
	defer s.Unlock()
	s.address(e.network).settle(e.minute)
}

// shardOf returns the shard of a network: an IPv4 address is in the last four bytes,
// a /64 in the first eight.
func (a *alarm) shardOf(network netip.Prefix) *alarmShard {
	bytes := network.Addr().As16()
	return &a.shards[int(bytes[7]^bytes[15])%shardCount]
}

func (s *alarmShard) address(network netip.Prefix) *tally {
	return entry(s.addresses, maxEntries, network, func() *tally { return new(tally) })
}

func (s *alarmShard) history(id string, now time.Duration) *history {
	return entry(s.keys, maxKeys, id, func() *history { return &history{first: now} })
}

// entry returns the value of a key in a map with a limit. It adds one if there is none.
func entry[K comparable, V any](entries map[K]*V, limit int, key K, newValue func() *V) *V {
	if value := entries[key]; value != nil {
		return value
	}
	evict(entries, limit)
	value := newValue()
	entries[key] = value
	return value
}

// keyNetwork is the network of an address in [EventNewNetwork].
func keyNetwork(addr netip.Addr) netip.Prefix { return clientaddr.Network(addr, 24, 48) }
