// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"context"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Fault is the name of the fault of a store, "" for none. Most faults are those of
// one method, and named "method does this".
type Fault string

// Is reports whether the fault is the one whose name has these parts.
func (f Fault) Is(parts ...string) bool {
	rest := string(f)
	for n, part := range parts {
		if n > 0 && !cut(&rest, " ") || !cut(&rest, part) {
			return false
		}
	}
	return rest == ""
}

// cut removes a prefix and reports whether there was one. It must not allocate, because
// Is is called for each operation of a store.
func cut(s *string, prefix string) (ok bool) {
	*s, ok = strings.CutPrefix(*s, prefix)
	return ok
}

// ClockFaults are the faults of [Fault.Now].
func ClockFaults() []string {
	return []string{"clock is local", "clock has nanoseconds", "clock stands still", "clock runs back"}
}

// Now returns the time of a store: in UTC, to the microsecond.
func (f Fault) Now() time.Time {
	now := time.Now().UTC().Truncate(time.Microsecond)
	epoch := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	switch f {
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

// slow is the fault of a store whose calls take slowness. It breaks no rule, because
// the rules must not depend on the speed of a machine.
const (
	slow     = "slow"
	slowness = 200 * time.Millisecond
)

// Err returns the error of a context that is canceled before a method begins.
func (f Fault) Err(ctx context.Context, method string) error {
	if f == slow {
		timer := time.NewTimer(slowness)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if f.Is(method, "ignores the context") {
		return nil
	}
	return ctx.Err()
}

// Yield releases a lock for a moment, between a read and a write of a store, so that
// other goroutines can run in between.
func Yield(mu *sync.Mutex) {
	mu.Unlock()
	defer mu.Lock()
	for range 20 {
		runtime.Gosched()
	}
}

// Yield is the function [Yield] if the fault is that method reads, then writes.
func (f Fault) Yield(method string, mu *sync.Mutex) {
	if f.Is(method, "reads then writes") {
		Yield(mu)
	}
}

// Field is a field of a filter: its name, and its values in the filter and in a
// record.
type Field struct{ Name, Filter, Record string }

// Matches reports whether a record has the fields of a filter that are set, of
// which there must be at least one.
func (f Fault) Matches(method string, fields ...Field) bool {
	set, matches, any := false, true, false
	for _, x := range fields {
		if x.Filter == "" {
			continue
		}
		set = true
		same := x.Filter == x.Record || f.Is(method, "ignores", x.Name) ||
			f.Is(method, "folds case") && strings.EqualFold(x.Filter, x.Record) ||
			f.Is(method, "takes prefixes") && strings.HasPrefix(x.Record, x.Filter)
		matches, any = matches && same, any || same
	}
	return set && (matches || any && f.Is(method, "takes any field")) || !set && f.Is(method, "takes an empty filter")
}

// MatchFaults are the faults of [Fault.Matches].
func MatchFaults(method string, fields ...string) []string {
	faults := named(method, "folds case", "takes prefixes", "takes any field", "takes an empty filter")
	for _, field := range fields {
		faults = append(faults, method+" ignores "+field)
	}
	return faults
}

// FieldFaults are faults of a method that leaves a wrong value in one field of the
// record R that it changes, see [Fault.Corrupt], except the fields that are named.
func FieldFaults[R any](method string, except ...string) []string {
	var faults []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[R]()) {
		if !f.Anonymous && f.IsExported() && !slices.Contains(except, f.Name) {
			faults = append(faults, method+" corrupts "+f.Name)
		}
	}
	return faults
}

// Corrupt changes the field of a record, to which r points, that the fault of a
// method corrupts.
func (f Fault) Corrupt(method string, r any) {
	name, ok := strings.CutPrefix(string(f), method+" corrupts ")
	if !ok {
		return
	}
	field := reflect.ValueOf(r).Elem().FieldByName(name)
	switch v := field.Addr().Interface().(type) {
	case *string:
		*v += "x"
	case *time.Time:
		*v = v.Add(time.Millisecond).UTC()
		if v.Year() <= 1 { // was zero
			*v = time.UnixMicro(1).UTC()
		}
	case *time.Duration:
		*v += time.Millisecond
	case *[]byte:
		*v = append(slices.Clone(*v), 'x')
	default:
		corrupt(field)
	}
}

// corrupt changes a value of another type. It sets a value that it cannot change to zero.
func corrupt(v reflect.Value) {
	switch {
	case v.CanInt():
		v.SetInt(v.Int() + 1)
	case v.CanUint():
		v.SetUint(v.Uint() + 1)
	case v.Kind() == reflect.String:
		v.SetString(v.String() + "x")
	case v.Kind() == reflect.Array && v.Len() > 0:
		corrupt(v.Index(v.Len() / 2))
	case v.Kind() == reflect.Struct && v.NumField() > 0 && v.Field(0).CanSet():
		corrupt(v.Field(0))
	default:
		v.SetZero()
	}
}

func named(method string, faults ...string) []string {
	for i := range faults {
		faults[i] = method + " " + faults[i]
	}
	return faults
}
