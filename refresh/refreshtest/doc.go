// SPDX-License-Identifier: Apache-2.0

// Package jwtauthtest holds the contracts of [refresh.Store] and
// [revocation.Store] as tests. Whoever implements one calls them first:
//
//	func TestContract(t *testing.T) {
//		refreshtest.TestStore(t, func(t *testing.T) refresh.Store { return newStore(t) })
//		revocationtest.TestStore(t, func(t *testing.T) revocation.Store { return newOther(t) })
//	}
//
// The tests run against the real engine, in real time; the longest waits are
// some hundred milliseconds. Each one names the rule that it stands for.
//
// What they cannot see, the implementation must show by itself: that a change
// survives the end of the process and of the engine, that several processes
// agree, and that what is over is removed in the end.
package refreshtest
