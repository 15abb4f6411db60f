// SPDX-License-Identifier: Apache-2.0

// Package authtest is for tests of services that accept access tokens. The
// services may use any library to verify them.
//
//   - [NewIssuer] starts an authorization server on a loopback address.
//     [Issuer.Token] and its siblings make valid and invalid tokens,
//     [Issuer.Rotate] changes keys, [Issuer.Break] breaks the key set.
//   - [Attack] sends a catalogue of forged, confused, expired, oversized and
//     ambiguous credentials to a handler and reports those that it accepts.
//     [Attacks] yields them one by one. [AttackRoutes] attacks every route of a
//     [gatehouse.Mux].
//   - [Principal] and [Request] put a caller into a request, so that a handler
//     behind [gatehouse.Require] can be tested without a token.
//
// # The catalogue
//
// Each attempt differs from a valid request in one property. Where that property
// is part of the token, the issuer has signed it: a handler accepts the attempt if
// and only if it lacks the one check that the attempt is about. Unusual but valid
// requests, such as one with the scheme in lower case, are in the catalogue too.
//
// The expected answers follow RFC 6750 section 3.1: 401 with invalid_token for an
// invalid Bearer token, 400 for several or malformed credentials, 401 without an
// error code for a request without credentials. In every rejection the package
// also looks for parts of the credential, for malformed challenges and for a
// missing Cache-Control: no-store, and it compares answers that must not differ
// (an oracle), except for headers that differ in each answer, such as a request ID.
//
// A handler that runs behind a refusal is reported like one that accepts the
// request. If it may write nothing that the attack can see, wrap it in a [Witness].
//
// The catalogue is made for a verifier that accepts RFC 9068 tokens in the
// Authorization header only, with at most five minutes of skew, a lifetime of at
// most a day and a size of at most 8 KiB. A program with other limits skips single
// attempts:
//
//	for attempt := range authtest.Attacks(issuer) {
//		if attempt.Row == "token in a cookie" {
//			continue
//		}
//		for _, finding := range attempt.Try(handler) {
//			t.Error(finding)
//		}
//	}
//
// A handler without findings may still authorize wrongly: the package knows
// neither what a caller may do nor what stands in front of the handler.
//
// Do not use this package in production: the issuer gives a token to every caller,
// over plain HTTP.
package authtest
