// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"runtime"
	"sync"
	"time"
)

// Now is the clock of a store: in UTC, to the microsecond, unless the fault is
// "clock is local", "clock has nanoseconds", "clock stands still" or "clock runs
// back".
func Now(fault string) time.Time {
	now := time.Now().UTC().Truncate(time.Microsecond)
	epoch := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	switch fault {
	case "clock is local":
		return now.In(time.FixedZone("", 3600))
	case "clock has nanoseconds":
		return now.Add(7)
	case "clock stands still":
		return epoch
	case "clock runs back":
		return epoch.Add(epoch.Sub(now))
	}
	return now
}

// Yield lets others in where they have no business: between what a store reads
// and what it writes.
func Yield(mu *sync.Mutex) {
	mu.Unlock()
	defer mu.Lock()
	for range 20 {
		runtime.Gosched()
	}
}
