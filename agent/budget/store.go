// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"time"
)

// Store keeps counters and holds. [Memory] is an implementation for one process; module
// store has others. Every implementation must pass the tests of package budgettest.
//
// A counter records the amounts that an account has spent and holds in one window. It is
// identified by tenant, account, window and start. A hold is identified by tenant and ID,
// and has amounts in one or more counters of the tenant. A store keeps the spent amount of
// a counter from 0 to [MaxAmount]: it clamps a larger sum and does not refuse the
// settlement. Max and End of a counter are those of the last Reserve or Extend that was
// neither refused nor a replay.
//
// Every method is atomic and linearizable, and uses the clock of the store, in
// microseconds. A hold whose deadline has passed expires: its amounts are no longer held,
// and its floors are spent. No method counts a hold as held after its deadline. Every
// error means that the store is unavailable; the change may have been made. If the
// context is already done, a method changes nothing and returns an error. Implementations
// limit the duration of a call.
type Store interface {
	// Reserve records a hold with a deadline after r.TTL if every entry fits; otherwise
	// it changes nothing. An entry fits if Amount is 0, or if the spent and held amounts
	// of its counters, plus Amount, are at most Limit. Its counters are its own counter
	// and, if Since is before Start, all counters of the account and window from Since
	// on.
	//
	// The outcome is Held if the hold was recorded; Moved if the time of the store is not
	// between Start and Next of every entry; or Exceeded, with the index and the count of
	// the first entry that does not fit. If the tenant has a hold with this ID, Replayed
	// is true, and the outcome is the state of that hold, or Differs if it has other
	// entries: another account, window, start or amount.
	Reserve(ctx context.Context, r Reservation) (Result, error)

	// Extend sets the amounts and floors of a hold to those of r, and its deadline to
	// r.TTL from now. An entry whose amount grows must fit as in Reserve. The entries
	// must be those of Reserve; only Limit, Amount and Floor may differ.
	//
	// The outcome is Held if the hold was extended, Exceeded as in Reserve, Settled or
	// Expired if the hold has ended, Absent if there is no such hold, and Differs if the
	// hold has other counters.
	Extend(ctx context.Context, r Reservation) (Result, error)

	// Settle ends a hold: its amounts are no longer held, and the given amounts, in the
	// order of its entries, are spent, even if they exceed the hold. Settle also settles
	// an expired hold: it adds the difference to the floor.
	//
	// The outcome is Settled; Absent if there is no such hold; Differs if the number of
	// amounts is not that of its entries. If the hold was settled before, Settle changes
	// nothing and returns Settled with Replayed and the amounts that were charged then.
	Settle(ctx context.Context, tenant, id string, amounts []int64) (Result, error)

	// Read returns the counters of a tenant, an account and a window that begin at
	// since or later, in the order of their start, and the time of the store.
	Read(ctx context.Context, tenant, account, window string, since time.Time) ([]Counter, time.Time, error)

	// List returns up to limit counters of a tenant whose End has not passed, in the
	// order of account, window and start, and the time of the store.
	List(ctx context.Context, tenant string, limit int) ([]Counter, time.Time, error)

	// Sweep expires up to limit holds whose deadline has passed. It removes holds
	// [Retention] after their end and counters [CounterRetention] after their End. It
	// returns the number of holds that it expired.
	Sweep(ctx context.Context, limit int) (int, error)
}

// Retention is the shortest time for which a store keeps a hold that has ended.
// CounterRetention is the time for which it keeps a counter after its End.
const (
	Retention        = time.Hour
	CounterRetention = 48 * time.Hour
)

// Reservation is a hold to record or extend.
type Reservation struct {
	Tenant, ID string
	TTL        time.Duration
	Entries    []Entry // in the order of account, window and start, without duplicates
}

// Entry is the part of a hold in one counter.
type Entry struct {
	Account, Window string
	Start           time.Time // of the counter
	Next            time.Time // from when on calls use another counter
	End             time.Time // until when the counter counts
	Since           time.Time // if before Start, all counters of the account and window from Since on count
	Max             int64     // the limit that List returns
	Limit           int64     // the limit that must not be exceeded
	Amount, Floor   int64
}

// Outcome is the outcome of a call of a store.
type Outcome string

// The outcomes. The first three are the states of a hold.
const (
	Held     Outcome = "held"
	Settled  Outcome = "settled"
	Expired  Outcome = "expired"
	Exceeded Outcome = "exceeded"
	Moved    Outcome = "moved"
	Differs  Outcome = "differs"
	Absent   Outcome = "absent"
)

// Result is the result of Reserve, Extend and Settle.
type Result struct {
	Outcome  Outcome
	Replayed bool
	Entry    int       // the index of the entry that does not fit
	At       time.Time // the time of the store
	Deadline time.Time // of a hold that is held

	// Counts are the spent and held amounts after the call, for each entry, in all
	// counters that count for it. After Exceeded, Counts has only the count of Entry.
	// After Settle, it has the counters of the hold alone. It is nil after other outcomes
	// and after a replay.
	Counts []Count

	// Charged are the amounts that an ended hold was charged, for each entry.
	Charged []int64
}

// Count is the spent and held amounts of a counter.
type Count struct{ Spent, Held int64 }

// Counter is a counter of a tenant.
type Counter struct {
	Account, Window string
	Start, End      time.Time
	Max             int64
	Count
}
