// SPDX-License-Identifier: Apache-2.0

// Package revocation revokes JWT access tokens before they expire: one token by
// its jti, all tokens of a subject, all tokens of a client, or the tokens that
// were issued with the refresh tokens of a token family.
//
// Call [New] with a [Store] and set the [List] as jwtauth.Config.Revocations of
// every verifier, and as refresh.Config.Revocations of the authorization server.
// A verifier whose store is unavailable rejects requests with 503 (fail closed).
//
// [Memory] serves one process; the store module has stores for several. Package
// revocationtest tests implementations of [Store].
package revocation
