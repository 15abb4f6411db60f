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
// # Where the standards leave a choice
//
//   - Several spaces between scheme and token are accepted (1*SP in RFC 6750), a
//     tab is not.
//   - Dates are plain decimals. Fractions are truncated; an exponent is rejected.
//   - The algorithm name Ed25519 (RFC 9864) is not supported; EdDSA is.
//   - An ECDSA signature (r, s) has a twin (r, n-s) that verifies too. No token is
//     identified by its signature: revocation uses issuer and jti, and the cache a
//     hash of the whole token.
//   - Up to four keys with one kid and one algorithm are tried. Without a kid there
//     must be exactly one key that fits.
//   - An aud array may contain other audiences, up to 32 in all.
//   - Identifiers (sub, client_id, jti, sid, tenant, roles) have at most 255 bytes
//     and no control characters, so that none can forge a log line.
//   - Members whose names differ from a known one only in case are rejected, because
//     a reader that ignores case would take the one for the other.
//   - x5t and x5t#S256 are rejected by the RFC 9068 profile and ignored by the
//     compatible one: one large provider sends x5t in every token beside a kid of
//     the same value. It names a key, and the key is selected by kid.
//
// # What the application must do
//
// The application must still require scopes per route, and authenticate users and
// clients before it signs tokens for them.
package jwtauth
