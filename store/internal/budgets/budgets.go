// SPDX-License-Identifier: Apache-2.0

// Package budgets has the size of the batches in which the engines execute calls of a
// budget store.
package budgets

import "github.com/gatehouse-go/gatehouse/agent/budget"

const (
	// Batch is the number of counters that the calls of one batch read, some milliseconds
	// of the engine, which makes no other change meanwhile.
	Batch = 256
	// rolling is the number of counters of an entry with a rolling window.
	rolling = 26
)

// Counters returns how many counters Reserve or Extend reads.
func Counters(r budget.Reservation) int {
	n := len(r.Entries)
	for i := range r.Entries {
		if !r.Entries[i].Since.Equal(r.Entries[i].Start) {
			n += rolling - 1
		}
	}
	return n
}
