// SPDX-License-Identifier: Apache-2.0

// Package alloctest tests ceilings of allocations.
package alloctest

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/racetest"
)

// AtMost checks how many allocations one run of f makes. With the race detector,
// which makes allocations of its own, it only runs f.
func AtMost(t *testing.T, ceiling float64, f func()) {
	t.Helper()
	if got := testing.AllocsPerRun(1000, f); got > ceiling && !racetest.Enabled {
		t.Errorf("%v allocations, at most %v are allowed", got, ceiling)
	}
}
