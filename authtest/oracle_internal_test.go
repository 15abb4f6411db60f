// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A status, a body and a header that only one of two answers has are differences, and the
// date is none.
func TestOracleComparesAnswers(t *testing.T) {
	answer := func(code int, body string, names ...string) *recording {
		r := &recording{ResponseRecorder: httptest.NewRecorder()}
		for _, name := range names {
			r.Header().Add(name, body)
		}
		r.WriteHeader(code)
		_, _ = r.WriteString(body)
		return r
	}
	for _, test := range []struct {
		got, want *recording
		names     []string
	}{
		{answer(401, "a", "X-A"), answer(401, "a", "X-A"), nil},
		{answer(401, "b"), answer(401, "a"), []string{""}},
		{answer(400, "a"), answer(401, "a"), []string{status}},
		{answer(401, "b", "X-A"), answer(401, "a", "X-A"), []string{"", "X-A"}},
		{answer(401, "a", "X-A"), answer(401, "a"), []string{"X-A"}},
		{answer(401, "a"), answer(401, "a", "X-A"), []string{"X-A"}},
		{answer(401, "a", "X-A", "X-A"), answer(401, "a", "X-A"), []string{"X-A"}},
	} {
		found := differences(test.got, test.want)
		if diff := cmp.Diff(test.names, slices.Sorted(maps.Keys(found))); diff != "" || slices.Contains(slices.Collect(maps.Values(found)), "") {
			t.Errorf("differences = %q (-want +got):\n%s", found, diff)
		}
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Date", "1") })
	attempt := Attempt{Name: "a", alike: "group", Request: httptest.NewRequest(http.MethodGet, "/", http.NoBody)}
	oracles := make(oracle)
	oracles.compare(attempt, answer(200, "", "Date"), handler)
	if found := oracles.compare(attempt, answer(200, ""), handler); len(found) != 0 {
		t.Errorf("compare of answers with another Date = %v, want no finding", found)
	}
}

// Eight characters of a credential are a leak, and seven are none. Both ends of a long
// credential are searched for.
func TestShares(t *testing.T) {
	var long strings.Builder
	for i := range 8000 {
		fmt.Fprintf(&long, "%08d", i)
	}
	credential := long.String()
	for _, test := range []struct {
		text, credential string
		want             bool
	}{
		{"an answer with abcdefgh in it", "12abcdefgh34", true},
		{"an answer with abcdefg in it", "12abcdefgh34", false},
		{"invalid token " + credential[:40], credential, true},
		{"invalid token " + credential[len(credential)-40:], credential, true},
		{"invalid token", credential, false},
		{credential[:leakLength-1] + "x", credential, false},
	} {
		if got := shares(test.text, test.credential); got != test.want {
			t.Errorf("shares(%q, %.16q) = %t, want %t", test.text, test.credential, got, test.want)
		}
	}
}
