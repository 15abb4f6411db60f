// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"crypto/rand"
	"testing"
	"time"
)

func TestRecordIsBounded(t *testing.T) {
	s := &state{Nodes: make(map[string]node)}
	for _, test := range []struct {
		nodes int
		fits  bool
	}{{2000, true}, {5000, false}} {
		for len(s.Nodes) < test.nodes {
			s.Nodes[rand.Text()] = node{Uses: []string{rand.Text()}}
		}
		if data, err := s.encode("main", nil); (err == nil) != test.fits {
			t.Errorf("encode of %d nodes in %d bytes: error = %v, want none: %v", test.nodes, len(data), err, test.fits)
		}
	}
}

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
