// SPDX-License-Identifier: Apache-2.0

// Package apikeytest has the contracts of [apikey.Store] and [apikey.Watcher] as tests.
// An implementation calls them in its own tests:
//
//	func TestContract(t *testing.T) {
//		apikeytest.TestStore(t, func(t *testing.T) apikey.Store { return newStore(t) })
//	}
//
// The tests use the real database and real time; the longest waits are some
// hundred milliseconds. A failure quotes the sentence of the contract.
//
// An implementation must also test two properties that these tests cannot observe: a
// change survives a crash of the process and of the database, and several processes
// agree.
package apikeytest
