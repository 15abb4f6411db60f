// SPDX-License-Identifier: Apache-2.0

// Package jwtauth verifies the JWT access tokens of configured issuers, and signs
// access tokens for services that are an authorization server.
//
// To verify tokens, call [New] with at least one [Issuer]: its URL, the audience
// of its tokens, its algorithms and the source of its keys. Pass the
// [Authenticator] to gatehouse.New, call [Authenticator.Ready] at start or in a
// readiness probe, and [Authenticator.Close] at the end. A [Verifier] verifies
// other JWTs, such as ID tokens.
//
// A token is parsed strictly before any of it is used: three segments of canonical
// base64url, two JSON objects without ambiguity, no header parameter that changes
// the meaning of the token or carries a key. The exact iss selects the issuer;
// kid, type, curve, use and algorithm together select one of its keys; the
// signature is verified with that key and that algorithm. The token must be an
// access token for this audience, valid now, and not valid for longer than
// Issuer.MaxLifetime.
//
// A sender-constrained token (cnf claim, RFC 7800) is accepted only with a proof
// of possession that one of Config.Confirmers confirms, on every request.
//
// The caller gets invalid_token for every invalid token; the observer of the gate
// gets the issuer and the reason. An unavailable key set or revocation store is
// 503, not 401.
//
// To sign tokens, create a [KeyRing] and call [NewSigner]. Access tokens are valid
// for at most 15 minutes. The package refresh issues refresh tokens, and the
// package revocation revokes access tokens before they expire.
//
// The application must still require scopes per route, and authenticate users and
// clients before it signs tokens for them.
package jwtauth
