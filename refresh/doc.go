// SPDX-License-Identifier: Apache-2.0

// Package refresh issues refresh tokens for an authorization server: opaque
// tokens with rotation, reuse detection and a grace period (RFC 6749 section 6,
// RFC 9700 section 4.14).
//
// Call [New] with a [Store], then [Tokens.Begin] once for each login,
// [Tokens.Rotate] at the token endpoint and [Tokens.Revoke] at the revocation
// endpoint. The refresh tokens that descend from one login are a token family,
// which has an absolute timeout of at most 7 days. If a token that was rotated
// before is presented again after the grace period, it was probably stolen, and
// the whole family is revoked.
//
// [Issued.AccessToken] describes the access token for package jwtauth to sign. Its
// sid claim is the family ID, so that with Config.Revocations the access tokens
// are revoked together with the family; see package revocation.
//
// The application authenticates users before Begin and confidential clients at
// the endpoints. [Memory] serves one process; the store module has stores for
// several. Package refreshtest tests implementations of [Store].
package refresh
