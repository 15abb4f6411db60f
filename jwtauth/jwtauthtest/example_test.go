// SPDX-License-Identifier: Apache-2.0

package jwtauthtest_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/jwtauth/jwtauthtest"
)

// How stores are tested: in a test of their own package, with an engine that the
// test has started.
func Example() {
	_ = func(t *testing.T) {
		jwtauthtest.TestFamilies(t, func(*testing.T) jwtauth.FamilyStore {
			return jwtauth.NewMemoryFamilies(0) // yours, and empty
		})
		jwtauthtest.TestRevocations(t, func(*testing.T) jwtauth.RevocationStore {
			return jwtauth.NewMemoryRevocations(0)
		})
	}
	// Output:
}
