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
// Each attempt differs from a valid request in one property. If that property is part of
// the token, the issuer has signed it: a handler accepts the attempt only if it lacks the
// one check for this property. Unusual but valid requests, such as one with the scheme in
// lower case, are in the catalogue too.
//
// The expected responses follow RFC 6750 section 3.1: 401 with invalid_token for an
// invalid Bearer token, 400 for several or malformed credentials, 401 without an error
// code for a request without credentials. In every rejection the package also looks for
// parts of the credential, for malformed challenges and for a missing Cache-Control:
// no-store, and it compares responses that must not differ (an oracle). It ignores
// headers that differ in each response, such as a request ID.
//
// If the handler behind the gate runs although the request is refused, that is reported
// like an accepted request. If this handler may write nothing that the attack can detect,
// wrap it in a [Witness].
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
// A handler without findings may still authorize wrongly: the package does not know the
// permissions of a caller, or the middleware in front of the handler.
//
// Do not use this package in production: the issuer gives a token to every caller,
// over plain HTTP.
package authtest
