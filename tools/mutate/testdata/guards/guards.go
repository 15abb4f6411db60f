// SPDX-License-Identifier: Apache-2.0

// Package guards holds one check of each sort that mutate removes. The tests
// beside it see some of them and are blind to others.
package guards

import "errors"

var (
	errEmpty = errors.New("empty")
	errLong  = errors.New("long")
	errKind  = errors.New("kind")
)

// Check has a guard that is tested, one that is not, and one half of whose
// condition is.
func Check(s string) error {
	if s == "" {
		return errEmpty
	}
	if len(s) > 10 {
		return errLong
	}
	if s == "x" || s == "y" {
		return errKind
	}
	return nil
}

// Accept has a guard that lets through.
func Accept(s string) error {
	if s == "good" {
		return nil
	}
	return errKind
}

// Kind has cases.
func Kind(s string) error {
	switch s {
	case "none", "null":
		return errKind
	case "empty":
		return errEmpty
	default:
		return errLong
	case "fine":
	}
	return nil
}

// Bare has cases that are conditions.
func Bare(n int) error {
	switch {
	case n < 0:
		return errKind
	case n > 9 && n != 12:
		return errLong
	}
	return nil
}

// Is is a predicate.
func Is(s string) bool { return s == "is" }

// Both is a predicate of two halves.
func Both(a, b bool) bool { return a && b }

// Skip is a guard inside a loop, whose condition is not one.
func Skip(list []string) int {
	n := 0
	for i := 0; i < len(list) && n >= 0; i++ {
		if list[i] == "" {
			continue
		}
		n++
	}
	return n
}

// Else refuses in its other half.
func Else(ok bool) error {
	n := 0
	if ok {
		n++
	} else {
		return errKind
	}
	return nil
}

// Gather records errors, and has a case that does not compile once it is gone.
func Gather(s string, v any) error {
	var errs []error
	if s == "" {
		errs = append(errs, errEmpty)
	}
	switch v := v.(type) {
	case string:
		return errors.New(v)
	}
	return errors.Join(errs...)
}

// Spin never ends without its guard.
func Spin() int {
	n := 0
	for {
		n++
		if n > 3 {
			break
		}
	}
	return n
}

// Pick has a literal whose results are its own.
func Pick() (int, error) {
	is := func(n int) bool {
		if n == 2 {
			return true
		}
		return false
	}
	if !is(2) {
		return 0, errKind
	}
	return 2, nil
}
