// SPDX-License-Identifier: Apache-2.0

// Package sessiontest holds the contract of [session.Store] as tests. Whoever
// implements one calls it first:
//
//	func TestContract(t *testing.T) {
//		sessiontest.TestStore(t, func(t *testing.T) session.Store { return newStore(t) })
//	}
//
// The tests run against the real engine, in real time; the longest waits are
// some hundred milliseconds. Each one names the rule that it stands for.
//
// What they cannot see, the implementation must show by itself: that a change
// survives the end of the process and of the engine, that several processes
// agree, and that sessions which are over are removed at some time.
package sessiontest
