// SPDX-License-Identifier: Apache-2.0

// Package authtest is for tests of services that take access tokens, whatever
// library they verify them with.
//
//   - [NewIssuer] starts an authorization server on a loopback address:
//     [Issuer.Token] mints tokens, good and bad, [Issuer.Rotate] changes keys
//     and [Issuer.Break] breaks the key set.
//   - [Attack] throws a catalogue of forged, confused, stale, oversized and
//     ambiguous credentials at a handler that accepts the tokens of such an
//     issuer, and reports what got through. [Attacks] yields them one by one,
//     for reports of another form.
//   - [Principal] and [Request] put a caller into a request, so that a handler
//     behind [gatehouse.Require] can be tested without any token.
//
// # The catalogue
//
// Every attempt differs from a good request in one thing, and where that thing
// is something the token says, the issuer's own key has really signed it: an
// attempt gets through if, and only if, the one check is missing that it is
// about. Requests that look odd and are good, such as a scheme in lower case,
// are among them, so that strictness for its own sake shows too.
//
// What is wanted follows RFC 6750 section 3.1: 401 with invalid_token for
// whatever comes as a Bearer token and is not a good one, 400 for several or
// malformed credentials, 401 without an error code where there are none. In
// every refusal the kit also looks for parts of the credential, for challenges
// that cannot be parsed and for a missing Cache-Control: no-store.
//
// It is calibrated for a verifier that asks for RFC 9068 tokens, allows at most
// five minutes of skew, a lifetime of at most a day, tokens of at most 8 KiB,
// and reads them from the Authorization header only. Who has decided otherwise
// on purpose can pass over single attempts by name:
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
// A handler without findings has passed the kit, and that is all. The kit does
// not know what a principal may do, nor what stands in front of the handler.
//
// Nothing here is for production: the issuer gives a token to whoever asks, and
// speaks plain HTTP.
package authtest
