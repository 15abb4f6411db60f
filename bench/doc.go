// SPDX-License-Identifier: Apache-2.0

// Bench measures Gatehouse side by side with other libraries, in one run, and
// prints the results as ratios to what cannot be left out: the bare signature
// check of the standard library, or the hash and the map look-up.
//
//	GOWORK=off go -C bench run . -passes 10
//	GOWORK=off go -C bench run . -passes 10 -redis URL -postgres URL -write
//
// With -bound it measures sender-constrained tokens only, and with -spend metered streams
// and the ledger only. With -cpu it counts the processor time of the process, which other
// processes hardly change.
//
// The passes of all contestants are interleaved, so that what else the machine
// does hits all of them alike, and the ratio is taken within each pass. With
// -write the tables in README.md and the chart in ../docs/ are replaced.
package main
