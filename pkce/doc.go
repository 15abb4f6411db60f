// SPDX-License-Identifier: Apache-2.0

// Package pkce is Proof Key for Code Exchange, RFC 7636: what ties an
// authorization code to the client that asked for it.
//
// A client calls [NewVerifier] for every authorization request, sends
// [Verifier.Challenge] with it, keeps the verifier where nobody else can read
// it, and sends [Verifier.Reveal] when it redeems the code:
//
//	verifier := pkce.NewVerifier()
//	query.Set("code_challenge", verifier.Challenge().String())
//	query.Set("code_challenge_method", pkce.Method)
//	…
//	form.Set("code_verifier", verifier.Reveal())
//
// A verifier and a challenge are two types, so that the secret cannot go where
// the public value belongs: a [Verifier] prints as "[redacted]", and only a
// [Challenge] prints as itself.
//
// An authorization server calls [ParseChallenge] at the authorization endpoint,
// keeps the challenge with the code, and calls [ParseVerifier] and
// [Challenge.Verify] at the token endpoint.
//
// The method is S256. The method "plain" does not exist here, and neither does
// leaving the method out, which means the same.
//
// The application still has to use a verifier for one request only, to keep it
// in the browser or the process in which the request began, and, if it is a
// server, to demand a challenge in every authorization request.
//
// The package needs the standard library only and knows nothing of HTTP.
package pkce
