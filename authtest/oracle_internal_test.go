// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A header that only one of two answers has is a difference, and the date is none.
func TestOracleComparesHeadersOfBoth(t *testing.T) {
	answer := func(names ...string) *recording {
		r := &recording{ResponseRecorder: httptest.NewRecorder()}
		for _, name := range names {
			r.Header().Set(name, "1")
		}
		return r
	}
	for _, pair := range [][2]*recording{{answer("X-One"), answer()}, {answer(), answer("X-One")}} {
		if diff := cmp.Diff([]string{"X-One"}, slices.Collect(maps.Keys(differences(pair[0], pair[1])))); diff != "" {
			t.Errorf("differences (-want +got):\n%s", diff)
		}
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", "1") })
	attempt := Attempt{Name: "a", alike: "group", Request: httptest.NewRequest(http.MethodGet, "/", http.NoBody)}
	oracles := make(oracle)
	oracles.compare(attempt, answer("Date"), handler)
	if found := oracles.compare(attempt, answer(), handler); len(found) != 0 {
		t.Errorf("compare of answers with another Date = %v, want no finding", found)
	}
}

// Eight characters of a credential are a leak, and seven are none.
func TestSharesEightCharacters(t *testing.T) {
	for text, want := range map[string]bool{"an answer with abcdefgh in it": true, "an answer with abcdefg in it": false} {
		if got := shares(text, "12abcdefgh34"); got != want {
			t.Errorf("shares(%q) = %t, want %t", text, got, want)
		}
	}
}
