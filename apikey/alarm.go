// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Thresholds are what to watch for in the use of keys. The zero value watches
// for nothing.
//
// What is seen is kept in memory: it is that of one process, it begins anew
// when the process does, and it is bounded. Beyond 16,384 keys and as many
// addresses some are forgotten.
type Thresholds struct {
	// NewNetworks asks for [EventNewNetwork]: a key is used from a /24 of IPv4
	// or a /48 of IPv6 that is not among the last 16 that it was used from. The
	// first network that a process sees a key in is taken as known.
	NewNetworks bool

	// Burst asks for [EventBurst], once a minute: a key is used in one minute
	// this many times as often as in its average minute of late, and more than
	// BurstFloor times. 0 for never, otherwise at least 2.
	Burst int
	// BurstFloor is the number of requests in a minute that is always fine.
	// Required with Burst.
	BurstFloor int

	// UsesAfterRevocation asks for [EventUsedAfterRevocation], at most once a
	// minute for each key.
	UsesAfterRevocation bool

	// Failures asks for [EventFailures], once a minute: this many keys that
	// came from one address (a /64 of IPv6) were refused in one minute. 0 for
	// never.
	Failures int

	// Suspend names events at which the key is suspended, and the request that
	// gave rise to it refused: EventNewNetwork and EventBurst.
	Suspend []EventType
}

const (
	knownNetworks = 16
	// averageWeight makes the average one of about the last 16 minutes.
	averageWeight = 16
)

// alarm watches the use of keys. A nil alarm watches nothing.
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

// history is what is remembered of one key.
type history struct {
	first    time.Duration // when it was first seen; its minutes begin then
	uses     tally
	average  int            // uses in a minute, times averageWeight
	networks []netip.Prefix // the newest last
	revoked  tally
}

// tally counts within one minute.
type tally struct {
	minute int64
	count  int
	told   bool
}

// add counts one more and reports whether the count has passed limit for the
// first time in this minute.
func (t *tally) add(minute int64, limit int) bool {
	if t.minute != minute {
		*t = tally{minute: minute}
	}
	t.count++
	if t.told || t.count <= limit {
		return false
	}
	t.told = true
	return true
}

func newAlarm(t Thresholds) (*alarm, error) {
	var errs []error
	if t.Burst < 0 || t.Burst == 1 {
		errs = append(errs, errors.New("apikey: Config.Thresholds.Burst: must be 0 or at least 2"))
	}
	if t.BurstFloor < 0 || (t.Burst > 0) != (t.BurstFloor > 0) {
		errs = append(errs, errors.New("apikey: Config.Thresholds.BurstFloor: required with Burst, and of use only there"))
	}
	if t.Failures < 0 {
		errs = append(errs, errors.New("apikey: Config.Thresholds.Failures: is negative"))
	}
	for _, event := range t.Suspend {
		if asked := event == EventNewNetwork && t.NewNetworks || event == EventBurst && t.Burst > 0; !asked {
			errs = append(errs, fmt.Errorf("apikey: Config.Thresholds.Suspend: %q is not watched for", event))
		}
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

func (a *alarm) elapsed() time.Duration { return time.Since(a.start) }

// used looks at one good use of a key. It reports whether the key was
// suspended for it; an error is one to refuse the request with.
func (a *alarm) used(k *Keys, r *http.Request, record *Record) (bool, error) {
	if a == nil || !a.NewNetworks && a.Burst == 0 {
		return false, nil
	}
	network := networkOf(k.clientAddr(r), 24, 48)
	burst, count, newNetwork := a.look(record.ID, network)
	var events []Event
	if newNetwork {
		events = append(events, Event{Type: EventNewNetwork, Key: record.Key, Network: network})
	}
	if burst {
		events = append(events, Event{Type: EventBurst, Key: record.Key, Network: network, Count: count})
	}
	suspend := false
	for _, event := range events {
		suspend = suspend || slices.Contains(a.Suspend, event.Type)
		if err := k.emit(r.Context(), event); err != nil {
			return false, unrecorded(record.ID, err)
		}
	}
	if !suspend {
		return false, nil
	}
	ctx, cancel := detached(r.Context())
	defer cancel()
	suspended, err := k.store.Suspend(ctx, record.ID, true)
	k.Invalidate(record.ID)
	if err != nil {
		return false, k.unavailable(record.ID, err)
	}
	if err := k.emit(ctx, Event{Type: EventSuspended, Key: suspended.Key}); err != nil {
		return false, unrecorded(record.ID, err)
	}
	return true, nil
}

// look counts one use and says what is remarkable about it.
func (a *alarm) look(id string, network netip.Prefix) (burst bool, count int, newNetwork bool) {
	s := &a.shards[shardOf(id, shardCount)]
	s.Lock()
	defer s.Unlock()
	elapsed := a.elapsed()
	h := s.history(id, elapsed)
	if a.Burst > 0 {
		minute := int64((elapsed - h.first) / time.Minute)
		h.roll(minute)
		limit := max(a.BurstFloor, a.Burst*h.average/averageWeight)
		if minute == 0 {
			limit = math.MaxInt // there is nothing yet to compare with
		}
		burst = h.uses.add(minute, limit)
		count = h.uses.count
	}
	if a.NewNetworks && network.IsValid() {
		newNetwork = h.visit(network)
	}
	return burst, count, newNetwork
}

// roll takes the minutes that have passed into the average. The first one is
// the average; each later one puts a sixteenth of its count in place of a
// sixteenth of the average.
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

// visit reports whether a network is new, and remembers it.
func (h *history) visit(network netip.Prefix) bool {
	known := len(h.networks)
	if i := slices.Index(h.networks, network); i >= 0 {
		if i < known-1 {
			h.networks = append(slices.Delete(h.networks, i, i+1), network)
		}
		return false
	}
	if known >= knownNetworks {
		h.networks = slices.Delete(h.networks, 0, 1)
	}
	h.networks = append(h.networks, network)
	return known > 0
}

func (a *alarm) usedAfterRevocation(k *Keys, r *http.Request, record *Record) error {
	if a == nil || !a.UsesAfterRevocation {
		return nil
	}
	s := &a.shards[shardOf(record.ID, shardCount)]
	s.Lock()
	elapsed := a.elapsed()
	first := s.history(record.ID, elapsed).revoked.add(int64(elapsed/time.Minute), 0)
	s.Unlock()
	if !first {
		return nil
	}
	return k.emit(r.Context(), Event{
		Type: EventUsedAfterRevocation, Key: record.Key, Network: networkOf(k.clientAddr(r), 24, 48),
	})
}

// failed counts one refused key. Those whose address cannot be told count
// together.
func (a *alarm) failed(k *Keys, r *http.Request) error {
	if a == nil || a.Failures == 0 {
		return nil
	}
	network := networkOf(k.clientAddr(r), 32, 64)
	bytes := network.Addr().As16() // an IPv4 address is in the last four, a /64 in the first eight
	s := &a.shards[int(bytes[7]^bytes[15])%shardCount]
	s.Lock()
	t := entry(s.addresses, network, func() *tally { return new(tally) })
	told := t.add(int64(a.elapsed()/time.Minute), a.Failures-1)
	count := t.count
	s.Unlock()
	if !told {
		return nil
	}
	return k.emit(r.Context(), Event{Type: EventFailures, Network: network, Count: count})
}

func (s *alarmShard) history(id string, now time.Duration) *history {
	return entry(s.keys, id, func() *history { return &history{first: now} })
}

// entry returns the value of a key in a map that never grows beyond its bound.
func entry[K comparable, V any](entries map[K]*V, key K, makeOne func() *V) *V {
	if value := entries[key]; value != nil {
		return value
	}
	makeRoom(entries)
	value := makeOne()
	entries[key] = value
	return value
}
