// SPDX-License-Identifier: Apache-2.0

// Package sessiontest tests implementations of [session.Store] against its
// contract:
//
//	func TestContract(t *testing.T) {
//		sessiontest.TestStore(t, func(t *testing.T) session.Store { return newStore(t) })
//	}
//
// The tests run in real time against the real engine; the longest waits are some
// hundred milliseconds. Each failure names the rule of the contract.
//
// The implementation must also test durability (a change survives the end of the process
// and of the engine), several processes, and the removal of expired sessions.
package sessiontest
