// SPDX-License-Identifier: Apache-2.0

// Package apikeytest holds the contracts of [apikey.Store] and
// [apikey.Watcher] as tests. Whoever implements one calls them first:
//
//	func TestContract(t *testing.T) {
//		apikeytest.TestStore(t, func(t *testing.T) apikey.Store { return newStore(t) })
//	}
//
// The tests run against the real engine, in real time; the longest waits are
// some hundred milliseconds. Each one names the rule that it stands for.
//
// What they cannot see, the implementation must show by itself: that a change
// survives the end of the process and of the engine, and that several
// processes agree.
package apikeytest
