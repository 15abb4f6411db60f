// SPDX-License-Identifier: Apache-2.0

package guards

import (
	"errors"
	"testing"
)

func TestGuards(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want error
	}{
		{"empty", Check(""), errEmpty},
		{"x", Check("x"), errKind},
		{"y is not tested", Check("z"), nil},
		{"accept", Accept("good"), nil},
		{"not accepted", Accept("bad"), errKind},
		{"none", Kind("none"), errKind},
		{"empty kind", Kind("empty"), errEmpty},
		{"other kind", Kind("other"), errLong},
		{"fine kind", Kind("fine"), nil},
		{"negative", Bare(-1), errKind},
		{"large", Bare(10), errLong},
		{"small", Bare(1), nil},
		{"else", Else(false), errKind},
		{"no else", Else(true), nil},
	} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	if Gather("", 1) == nil || Gather("a", "b") == nil || Gather("a", 1) != nil {
		t.Error("Gather")
	}
	if !Is("is") || Is("no") || !Both(true, true) || Both(false, true) {
		t.Error("predicates")
	}
	if Skip([]string{"a", "", "b"}) != 2 || Spin() != 4 {
		t.Error("loops")
	}
	if n, err := Pick(); n != 2 || err != nil {
		t.Error("Pick")
	}
}

// TestAgain and TestEnds find nothing that TestGuards misses.
func TestAgain(t *testing.T) {
	if Check("") == nil {
		t.Error("Check")
	}
}

func TestEnds(*testing.T) {
	if Gather("", 1) == nil {
		panic("the program ends, and the tests after this one run in another")
	}
}
