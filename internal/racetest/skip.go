// SPDX-License-Identifier: Apache-2.0

package racetest

import "testing"

// Skip skips a test that has no concurrency if the race detector is on, which makes it
// many times slower. CI runs such tests without the detector too.
func Skip(tb testing.TB) {
	tb.Helper()
	if Enabled {
		tb.Skip("no concurrency: runs without the race detector")
	}
}
