// SPDX-License-Identifier: Apache-2.0

// Package jwtauthtest holds the contracts of [jwtauth.FamilyStore] and
// [jwtauth.RevocationStore] as tests. Whoever implements one calls them first:
//
//	func TestContract(t *testing.T) {
//		jwtauthtest.TestFamilies(t, func(t *testing.T) jwtauth.FamilyStore { return newStore(t) })
//		jwtauthtest.TestRevocations(t, func(t *testing.T) jwtauth.RevocationStore { return newOther(t) })
//	}
//
// The tests run against the real engine, in real time; the longest waits are
// some hundred milliseconds. Each one names the rule that it stands for.
//
// What they cannot see, the implementation must show by itself: that a change
// survives the end of the process and of the engine, that several processes
// agree, and that what is over is removed in the end.
package jwtauthtest
