// SPDX-License-Identifier: Apache-2.0

// Package kinds holds one or two places for each kind of change that removes no
// check. The tests beside it see some of them and are blind to others.
package kinds

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Order has a guard before another, and calls whose order the tests do not see.
func Order(s string, log func(string)) error {
	if is(s, "first") {
		return errors.New("first")
	}
	if is(s, "second") {
		return errors.New("second")
	}
	log("a")
	log("b")
	return nil
}

func is(s, prefix string) bool { return s == "both" || s == prefix }

// Clock returns the time.
func Clock() time.Time { return time.Now() }

// Expired uses the time of the caller.
func Expired(now, expires time.Time) bool { return expires.Before(now) }

// Variable has arguments of one type, and of two.
func Variable(a, b string, n int) bool {
	_ = is(b, a)
	_ = pair(a, n)
	return is(a, b)
}

func pair(string, int) int { return 0 }

// Drop returns the error of a call.
func Drop(save func() error) (int, error) {
	return 0, wrap(save())
}

func wrap(err error) error { return err }

// Boundary has a limit.
func Boundary(n int) bool { return n <= 8 }

// Slice returns copies.
func Slice(s []int) []int { return slices.Clone(s) }

// Map returns copies that the tests do not change.
func Map(m map[string]int) map[string]int { return maps.Clone(m) }

// Statement resets what it returns, and what the tests do not look at.
func Statement(n, all *int) int {
	old := *n
	*n = 0
	*all += old
	return old
}

// Span has two fields of one type.
type Span struct{ From, To int }

// Field is tested with a field that the other one cannot replace.
func Field(s Span) bool { return s.From == 1 }

// OtherField is tested with two fields that are equal.
func OtherField(s Span) bool { return s.To == 1 }

// Sum leaves out what is negative, which the tests have last.
func Sum(list []int) (sum int) {
	for _, n := range list {
		if n < 0 {
			continue
		}
		sum += n
	}
	return sum
}

// Near compares texts, and reads a header field. The order of those that it sets is not
// changed.
func Near(a, b string, h http.Header) bool {
	h.Set("A", a)
	h.Set("B", b)
	return a == b && strings.EqualFold(a, b) && !strings.HasPrefix(a, "x") && len(h.Values("X")) != 2
}

// Wait returns one error in place of another.
func Wait(ctx context.Context, wait func(context.Context) error) error {
	err := wait(context.WithoutCancel(ctx))
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
