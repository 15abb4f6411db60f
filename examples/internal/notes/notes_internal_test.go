// SPDX-License-Identifier: Apache-2.0

package notes

import "testing"

// TestNotesAreBounded holds that strangers cannot fill the memory.
func TestNotesAreBounded(t *testing.T) {
	n := New()
	for i := range maxNotes {
		if !n.put(person{"a", string(rune(i + 0x10000))}, "a") {
			t.Fatalf("no room for note %d", i)
		}
	}
	if n.put(person{"b", "a"}, "a") || n.of(person{"b", "a"}) != "" {
		t.Error("there was room for another one")
	}
	if first := (person{"a", "\U00010000"}); !n.put(first, "b") || n.of(first) != "b" {
		t.Error("a note cannot be changed any more")
	}
}
