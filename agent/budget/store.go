// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"time"
)

// Store keeps counters and holds. [Memory] is an implementation for one process; the
// store module has others. The tests in package budgettest are the contract that
// every implementation must pass.
//
// A counter is what an account has spent and holds in one window. It is identified by
// tenant, account, window and start. A hold is identified by tenant and ID and has
// amounts in several counters of the tenant. What a counter has spent is kept within 0 and
// [MaxAmount]: no store refuses a settlement because of a large sum. Its Max and End are
// those of the last Reserve or Extend that was neither refused nor a replay.
//
// Every method is atomic and linearizable, and its clock is that of the store, in
// microseconds. A hold whose deadline has passed expires: its amounts are no longer
// held, and its floors are spent. No method counts a hold as held after its deadline.
// Every error means that the store is unavailable: the change may have been made then.
// If the context is already done, a method changes nothing and returns an error.
// Implementations limit the duration of a call.
type Store interface {
	// Reserve records a hold with a deadline after r.TTL if every entry fits; otherwise
	// it changes nothing. An entry fits if Amount is 0, or if the spent and the held
	// amounts of its counters, plus Amount, are at most Limit. Its counters are its own
	// one and, if Since is before Start, all counters of the account and window from
	// Since on.
	//
	// The outcome is Held if the hold was recorded; Moved if the time of the store is
	// not between Start and Next of every entry; Exceeded, with the index of the first
	// entry that does not fit and its count. If the tenant has a hold with this ID,
	// Replayed is true, and the outcome is the state of that hold, or Differs if it has
	// other entries: another account, window, start or amount.
	Reserve(ctx context.Context, r Reservation) (Result, error)

	// Extend sets the amounts and floors of a hold to those of r, and its deadline to
	// r.TTL from now. An entry whose amount grows must fit like in Reserve. The entries
	// are those of Reserve with other values of Limit, Amount and Floor.
	//
	// The outcome is Held if that was done, Exceeded like in Reserve, Settled or
	// Expired if the hold has ended, Absent if there is no such hold, and Differs if it
	// has other counters.
	Extend(ctx context.Context, r Reservation) (Result, error)

	// Settle ends a hold: its amounts are no longer held, and the given ones, in the
	// order of its entries, are spent, also if they exceed the hold. An expired hold
	// is settled too: the counters get the difference to the floor.
	//
	// The outcome is Settled; with Replayed, and without a change, if the hold was
	// settled before, with what was charged then. Absent if there is no such hold, and
	// Differs if the number of amounts is not that of its entries.
	Settle(ctx context.Context, tenant, id string, amounts []int64) (Result, error)

	// Read returns the counters of a tenant, an account and a window that begin at
	// since or later, in the order of their start, and the time of the store.
	Read(ctx context.Context, tenant, account, window string, since time.Time) ([]Counter, time.Time, error)

	// List returns up to limit counters of a tenant whose End has not passed, in the
	// order of account, window and start, and the time of the store.
	List(ctx context.Context, tenant string, limit int) ([]Counter, time.Time, error)

	// Sweep makes up to limit holds expire whose deadline has passed, and removes holds
	// [Retention] after they ended and counters [CounterRetention] after their End. It
	// returns the number of holds that expired.
	Sweep(ctx context.Context, limit int) (int, error)
}

// Retention is the shortest time for which a store keeps a hold that has ended.
// CounterRetention is the time for which it keeps a counter after its End.
const (
	Retention        = time.Hour
	CounterRetention = 48 * time.Hour
)

// Reservation is a hold that is to be recorded or extended.
type Reservation struct {
	Tenant, ID string
	TTL        time.Duration
	Entries    []Entry // in the order of account, window and start, without duplicates
}

// Entry is the part of a hold in one counter.
type Entry struct {
	Account, Window string
	Start           time.Time // of the counter
	Next            time.Time // from when on another counter is to be used
	End             time.Time // until when the counter counts
	Since           time.Time // if it is before Start, all counters of the account and window from Since on count
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

	// Counts are, for each entry, what was spent and held after the call, in all
	// counters that count. After Exceeded they are only that of Entry. After Settle
	// they are those of the counters of the hold alone. Nil after other outcomes, and
	// after a replay.
	Counts []Count

	// Charged is what the hold was charged, for each entry, if it has ended.
	Charged []int64
}

// Count is what is spent and held.
type Count struct{ Spent, Held int64 }

// Counter is a counter of a tenant.
type Counter struct {
	Account, Window string
	Start, End      time.Time
	Max             int64
	Count
}
