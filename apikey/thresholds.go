// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Thresholds configure the events about the use of keys. The zero value reports none.
//
// Each process keeps its own counts in memory and loses them when it exits. It keeps the
// counts of at most 131,072 existing keys and 16,384 addresses, and evicts entries at
// random. After an eviction the counts of the key begin again: its next network is not
// reported, and neither is a burst in the first minute.
//
// An event counts as reported, and a network as known, when the Observer has accepted the
// event and, for an event of Suspend, the key is suspended. Until then each request
// reports the event again. If the report or the suspension fails, the response is 503.
// Concurrent requests may report the same event several times.
type Thresholds struct {
	// NewNetworks reports [EventNewNetwork]: a key is used from a /24 of IPv4 or a /48 of
	// IPv6 that is not among its last 16 networks. The first network of a key in each
	// process is not reported.
	NewNetworks bool

	// Burst reports [EventBurst], once a minute: the requests of a key in one
	// minute exceed Burst times its recent average, and BurstFloor. 0 for off,
	// otherwise at least 2.
	Burst int
	// BurstFloor is the number of requests in a minute up to which no burst is reported.
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
