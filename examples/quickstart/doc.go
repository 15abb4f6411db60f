// SPDX-License-Identifier: Apache-2.0

// Quickstart shows what Gatehouse does, with nothing installed and nothing
// configured:
//
//	go run ./examples/quickstart
//
// It starts an issuer and an API behind a gate, sends one request after the
// other, and prints who is let in, who is refused with which answer, and what
// the operator's log says about it. Then it keeps serving, with curl lines to
// paste. With -once it ends after the walk, with exit status 0 only if every
// answer was the one that it had announced.
//
// The API is in api.go, and is what to look at. The rest is the play around it.
package main
