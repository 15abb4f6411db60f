// SPDX-License-Identifier: Apache-2.0

package jwtauth

import "testing"

// What is remembered of one header is never taken for another.
func TestHeaders(t *testing.T) {
	var known headers
	remember := func(segment, kid string) {
		known.remember(&token{compact: compact{header: segment}, head: header{kid: kid}})
	}
	if known.find("") != nil || known.find("abc") != nil {
		t.Error("something is known from the beginning")
	}
	remember("abc", "1")
	if h := known.find("abc"); h == nil || h.kid != "1" {
		t.Errorf("found %v", h)
	}
	// The same slot, in the middle and at the end.
	for _, other := range []string{"xbc", "abbc", "ab", "abcd", "ABC"} {
		if h := known.find(other); h != nil {
			t.Errorf("%s: found %v", other, h)
		}
	}
	first := known.find("abc")
	remember("abc", "2")
	if known.find("abc") != first {
		t.Error("what is known is remembered anew")
	}
	remember("xbc", "3")
	if h := known.find("xbc"); h == nil || h.kid != "3" || known.find("abc") != nil {
		t.Error("a slot has room for one")
	}
	if (*headers)(nil).find("abc") != nil {
		t.Error("none knows one")
	}
}
