// SPDX-License-Identifier: Apache-2.0

package gateotel

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Of two sets of one issuer the worse one counts, and one that was never fetched does
// not.
func TestMerge(t *testing.T) {
	early, late := time.Unix(1000, 0), time.Unix(2000, 0)
	for name, test := range map[string]struct{ a, b, want jwtauth.KeySetStats }{
		"first":   {jwtauth.KeySetStats{}, jwtauth.KeySetStats{Issuer: "i", Fetched: late, Keys: 2, Fetches: 3, Failed: 1}, jwtauth.KeySetStats{Issuer: "i", Fetched: late, Keys: 2, Fetches: 3, Failed: 1}},
		"older":   {jwtauth.KeySetStats{Issuer: "i", Fetched: early, Keys: 3, Fetches: 4, Failed: 2}, jwtauth.KeySetStats{Issuer: "i", Fetched: late, Keys: 2, Fetches: 3, Failed: 1}, jwtauth.KeySetStats{Issuer: "i", Fetched: early, Keys: 2, Fetches: 7, Failed: 3}},
		"newer":   {jwtauth.KeySetStats{Issuer: "i", Fetched: late, Keys: 1}, jwtauth.KeySetStats{Issuer: "i", Fetched: early, Keys: 2}, jwtauth.KeySetStats{Issuer: "i", Fetched: early, Keys: 1}},
		"missing": {jwtauth.KeySetStats{Issuer: "i", Fetched: late, Keys: 2}, jwtauth.KeySetStats{Issuer: "i", Fetches: 1, Failed: 1}, jwtauth.KeySetStats{Issuer: "i", Fetched: late, Keys: 2, Fetches: 1, Failed: 1}},
	} {
		if diff := cmp.Diff(test.want, merge(test.a, test.b)); diff != "" {
			t.Errorf("%s: merge (-want +got):\n%s", name, diff)
		}
	}
}
