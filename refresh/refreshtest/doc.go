// SPDX-License-Identifier: Apache-2.0

// Package refreshtest is the contract of [refresh.Store] as tests: [TestStore] runs
// them for an implementation.
//
// The tests run in real time, the longest for some hundred milliseconds, and each
// failure quotes the rule of the contract that it breaks. They do not cover what
// one process cannot see: that changes survive the end of the process and of the
// database, that several processes agree, and that expired records are removed.
package refreshtest
