// SPDX-License-Identifier: Apache-2.0

// Package authtest is for tests of services that take access tokens, whatever
// library they verify them with.
//
//   - [NewIssuer] starts an authorization server on a loopback address:
//     [Issuer.Token] mints tokens, good and bad, [Issuer.Rotate] changes keys
//     and [Issuer.Break] breaks the key set.
//   - [Attack] throws a catalogue of forged, confused, stale, oversized and
//     ambiguous credentials at a handler that accepts the tokens of such an
//     issuer, and reports what got through. [Attacks] yields them one by one.
//   - [Principal] and [Request] put a caller into a request, so that a handler
//     behind [gatehouse.Require] can be tested without any token.
//
// Nothing here is for production: the issuer gives a token to whoever asks, and
// speaks plain HTTP.
package authtest
