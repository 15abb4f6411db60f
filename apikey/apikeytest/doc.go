// SPDX-License-Identifier: Apache-2.0

// Package apikeytest has the contracts of [apikey.Store] and [apikey.Watcher] as
// tests. An implementation runs them in a test of its own:
//
//	func TestContract(t *testing.T) {
//		apikeytest.TestStore(t, func(t *testing.T) apikey.Store { return newStore(t) })
//	}
//
// The tests use the real database and real time; the longest waits are some
// hundred milliseconds. A failure quotes the sentence of the contract.
//
// An implementation must also test what these tests cannot observe: that a change
// is durable when the process and the database crash, and that several processes
// agree.
package apikeytest
