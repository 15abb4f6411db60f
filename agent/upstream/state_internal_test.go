// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"testing"
	"time"
)

// The hold of a process ends in the instant of its expiry, for both who ask.
func TestHoldEnds(t *testing.T) {
	end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for before, want := range map[time.Duration]bool{1: true, 0: false, -1: false} {
		s := &state{Nodes: map[string]node{"n": {Uses: []string{"a"}, Expires: end}}}
		if got := s.inUse("a", end.Add(-before)); got != want || s.inUse("b", end.Add(-before)) {
			t.Errorf("inUse %v before the expiry = %v, want %v, and false for another credential", before, got, want)
		}
		if s.forget(end.Add(-before)); (len(s.Nodes) == 1) != want {
			t.Errorf("forget %v before the expiry leaves %d holds", before, len(s.Nodes))
		}
	}
}
