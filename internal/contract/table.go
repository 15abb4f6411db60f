// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Table implements the records R of a store with a [Fault], and the faults that every
// store can have. A store embeds it and adds the faults of its own methods.
type Table[R any] struct {
	Fault

	// NotFound is the error for a missing record, and Exists that for a second one
	// with the same ID. Exists may be nil for an error of its own.
	NotFound, Exists error
	// Clone returns a copy that shares no memory. Optional.
	Clone func(R) R
	// AsOf returns the field of the time at which a record is read.
	AsOf func(*R) *time.Time

	sync.Mutex                // protects Records
	Records    map[string]*R  // by ID; a record is replaced and never changed
	late       sync.WaitGroup // changes that are made after a method has returned
	calls      atomic.Int64   // of Now
}

// Now is [Fault.Now], and later with each call, by 1 µs: the clock of package
// synctest stands still while goroutines run.
func (t *Table[R]) Now() time.Time {
	now, step := t.Fault.Now(), time.Microsecond
	switch t.Fault {
	case "clock stands still":
		step = 0
	case "clock runs back":
		step = -step
	}
	return now.Add(time.Duration(t.calls.Add(1)) * step)
}

// Wait waits for changes that are made after a method has returned.
func (t *Table[R]) Wait() { t.late.Wait() }

// Out returns a copy of a record as method returns it at the time now.
func (t *Table[R]) Out(method string, r *R, now time.Time) R {
	c := *r
	if t.Clone != nil && !t.Is(method, "shares memory") {
		c = t.Clone(c)
	}
	if !t.Is("clock of the record is missing") {
		*t.AsOf(&c) = now
	}
	return c
}

// CreateFaults are the faults of [Table.Create].
func CreateFaults(method string) []string {
	return named(method, "ignores the context", "overwrites", "reads then writes", "reports another error as missing")
}

// Create adds the record that f returns at the time now, unless the ID exists.
// replace, if set, reports whether an existing record is replaced.
func (t *Table[R]) Create(ctx context.Context, method, id string, replace func(old *R, now time.Time) bool, f func(now time.Time) R) (R, error) {
	var zero R
	if err := t.Err(ctx, method); err != nil {
		return zero, t.createError(method, err)
	}
	t.Lock()
	defer t.Unlock()
	now := t.Now()
	old := t.Records[id]
	exists := old != nil && (replace == nil || !replace(old, now))
	t.Yield(method, &t.Mutex)
	if exists && !t.Is(method, "overwrites") {
		if t.Exists == nil {
			return zero, t.createError(method, errors.New("exists"))
		}
		return zero, t.createError(method, t.Exists)
	}
	r := f(now)
	t.Corrupt(method, &r)
	if t.Records == nil {
		t.Records = make(map[string]*R)
	}
	t.Records[id] = &r
	return t.Out(method, &r, now), nil
}

func (t *Table[R]) createError(method string, err error) error {
	if t.Is(method, "reports another error as missing") {
		return t.NotFound
	}
	return err
}

// FindFaults are the faults of [Table.Find].
func FindFaults(method string) []string {
	return named(method, "ignores the context", "ignores case", "trims", "invents a record", "shares memory")
}

// Find returns a record.
func (t *Table[R]) Find(ctx context.Context, method, id string) (R, error) {
	var zero R
	if err := t.Err(ctx, method); err != nil {
		return zero, err
	}
	t.Lock()
	defer t.Unlock()
	if t.Is(method, "trims") {
		id = strings.TrimSpace(id)
	}
	r := t.Records[id]
	for other := range t.Records {
		if t.Is(method, "ignores case") && strings.EqualFold(other, id) {
			r = t.Records[other]
		}
	}
	switch {
	case r != nil:
		return t.Out(method, r, t.Now()), nil
	case t.Is(method, "invents a record"):
		return zero, nil
	}
	return zero, t.NotFound
}

// ChangeFaults are the faults of [Table.Change].
func ChangeFaults(method string) []string {
	return named(method, "ignores the context", "invents a record", "reads then writes", "does nothing", "answers early",
		"answers with the old record", "deletes the record")
}

// Change replaces a record with the result of f at the time now, unless f fails.
func (t *Table[R]) Change(ctx context.Context, method, id string, f func(r *R, now time.Time) error) (R, error) {
	var zero R
	if err := t.Err(ctx, method); err != nil {
		return zero, err
	}
	t.Lock()
	defer t.Unlock()
	old := t.Records[id]
	switch {
	case old != nil:
	case t.Is(method, "invents a record"):
		return zero, nil
	default:
		return zero, t.NotFound
	}
	next, now := *old, t.Now()
	t.Yield(method, &t.Mutex)
	if err := f(&next, now); err != nil {
		return zero, err
	}
	t.Corrupt(method, &next)
	t.set(method, id, &next)
	if t.Is(method, "answers with the old record") {
		return t.Out(method, old, now), nil
	}
	return t.Out(method, &next, now), nil
}

// set stores a changed record.
func (t *Table[R]) set(method, id string, next *R) {
	switch {
	case t.Is(method, "does nothing"):
	case t.Is(method, "deletes the record"):
		delete(t.Records, id)
	case t.Is(method, "answers early"):
		t.late.Go(func() {
			timer := time.NewTimer(5 * time.Millisecond)
			<-timer.C
			t.Lock()
			defer t.Unlock()
			t.Records[id] = next
		})
	default:
		t.Records[id] = next
	}
}

// ChangeAllFaults are the faults of [Table.ChangeAll].
func ChangeAllFaults(method string) []string {
	return named(method, "ignores the context", "reads then writes", "does nothing", "ignores the limit", "stops short")
}

// ChangeAll changes at most limit records for which match is true, and returns
// them.
func (t *Table[R]) ChangeAll(ctx context.Context, method string, limit int, match func(*R, time.Time) bool, f func(*R, time.Time)) ([]R, error) {
	if err := t.Err(ctx, method); err != nil {
		return nil, err
	}
	t.Lock()
	defer t.Unlock()
	now := t.Now()
	if t.Is(method, "stops short") {
		limit = min(limit, 2)
	}
	old := make(map[string]*R)
	for id, r := range t.Records {
		if (len(old) < limit || t.Is(method, "ignores the limit")) && match(r, now) {
			old[id] = r
		}
	}
	t.Yield(method, &t.Mutex)
	var changed []R
	for id, r := range old {
		next := *r
		f(&next, now)
		t.Corrupt(method, &next)
		t.set(method, id, &next)
		changed = append(changed, t.Out(method, &next, now))
	}
	return changed, nil
}

// ListFaults are the faults of [Table.List].
func ListFaults(method string) []string {
	return named(method, "ignores the context", "ignores the limit", "takes the limit 0 for none", "is unordered", "is reversed", "shares memory")
}

// List returns at most limit records for which match is true, in the order of
// compare.
func (t *Table[R]) List(ctx context.Context, method string, limit int, match func(*R, time.Time) bool, compare func(a, b *R) int) ([]R, error) {
	if err := t.Err(ctx, method); err != nil {
		return nil, err
	}
	t.Lock()
	defer t.Unlock()
	now := t.Now()
	var found []*R
	for _, r := range t.Records {
		if match(r, now) {
			found = append(found, r)
		}
	}
	if !t.Is(method, "is unordered") {
		slices.SortFunc(found, compare)
	}
	if t.Is(method, "is reversed") {
		slices.Reverse(found)
	}
	if !t.Is(method, "ignores the limit") && (limit != 0 || !t.Is(method, "takes the limit 0 for none")) {
		found = found[:min(len(found), limit)]
	}
	records := make([]R, len(found))
	for i, r := range found {
		records[i] = t.Out(method, r, now)
	}
	return records, nil
}
