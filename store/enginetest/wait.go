// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"testing"
	"time"
)

// Eventually waits until the condition holds, asking every few milliseconds,
// and fails the test if it does not within the limit.
func Eventually(tb testing.TB, limit time.Duration, what string, condition func() bool) {
	tb.Helper()
	start := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Since(start) > limit {
			tb.Fatalf("not within %v: %s", limit, what)
		}
		<-tick.C
	}
}

// Hears waits until it hears a word, whatever comes before it, and fails the test
// if it does not within a minute.
func Hears(tb testing.TB, words <-chan string, want, why string) {
	tb.Helper()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for {
		select {
		case got := <-words:
			if got == want {
				return
			}
		case <-timeout.C:
			tb.Fatalf("no word of %q: %s", want, why)
		}
	}
}
