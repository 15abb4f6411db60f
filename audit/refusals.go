// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// defaultAnonymous is the default of [Config.MaxAnonymous].
const defaultAnonymous = 50

// refusals limits the records of refused unknown callers.
type refusals struct {
	most int // in a second

	mu       sync.Mutex
	second   int64 // Unix time of the counted second
	recorded int   // in this second
	counted  int64 // without a record, since the last one with their number
}

// isAnonymousRefusal reports whether the event is the refusal of a caller whose
// credentials are missing or invalid, or cannot be checked now, or another event that
// the request of an unknown caller causes.
func isAnonymousRefusal(e gatehouse.Event) bool {
	return e.Principal.IsZero() && e.Decision != gatehouse.Allowed && (e.Decision != "" || e.Method != "")
}

// admit reports whether a refusal gets a record of its own. Otherwise it is counted.
func (r *refusals) admit(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if second := now.Unix(); second != r.second {
		r.second, r.recorded = second, 0
	}
	if r.recorded >= r.most {
		r.counted++
		return false
	}
	r.recorded++
	return true
}

// take returns the number of refusals without a record, and starts the count again.
func (r *refusals) take() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.counted
	r.counted = 0
	return n
}

func (r *refusals) add(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counted += n
}
