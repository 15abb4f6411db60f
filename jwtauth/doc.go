// SPDX-License-Identifier: Apache-2.0

// Package jwtauth verifies the JWT access tokens of configured issuers, and
// signs access tokens for services that act as an authorization server.
//
// To verify tokens, call [New] with at least one [Issuer]: its URL, the audience
// of its tokens, its algorithms and the source of its keys. Pass the
// [Authenticator] to gatehouse.New, call [Authenticator.Ready] at start or in a
// readiness probe, and [Authenticator.Close] at the end. A [Verifier] verifies
// other JWTs, such as ID tokens.
//
// A token is parsed strictly before its content is used: it has three segments
// of canonical base64url and two unambiguous JSON objects, and no header
// parameter that changes the meaning of the token or contains a key. The exact
// iss selects the issuer; kid, type, curve, use and algorithm together select
// one of its keys; the signature is verified with that key and that algorithm.
// The token must be an access token for this audience, be valid now, and have a
// lifetime of at most Issuer.MaxLifetime.
//
// The tokens of many providers differ from RFC 9068. Package providers has an Issuer
// for the well-known ones. For others set Profile to [Compatible], and the fields in
// which their tokens differ: Clients for tokens without aud; ScopeClaims, RolesClaims
// and TenantClaim for other claim names; Require and Refuse for conditions that only
// access tokens of the issuer satisfy; Header for tokens in another header. With
// several issuers, each needs Tenants or AnyTenant.
//
// A sender-constrained token (cnf claim, RFC 7800) is accepted only if one of
// Config.Confirmers confirms the proof of possession, on every request.
//
// The caller gets invalid_token for every invalid token; the observer of the gate
// gets the issuer and the reason. An unavailable key set or revocation store is
// 503, not 401.
//
// To sign tokens, create a [KeyRing] and call [NewSigner]. Access tokens are valid
// for at most 15 minutes. The package refresh issues refresh tokens, and the
// package revocation revokes access tokens before they expire.
//
// # Choices that the standards leave open
//
//   - Several spaces between scheme and token are accepted (1*SP in RFC 6750);
//     a tab is rejected.
//   - A NumericDate must be a decimal number. A fraction is truncated; an
//     exponent is rejected.
//   - The algorithm names Ed25519 (RFC 9864) and EdDSA are both supported. A token is
//     accepted only if [Issuer.Algorithms] has the name in its header.
//   - For an ECDSA signature (r, s), the signature (r, n-s) is also valid. Tokens are
//     therefore never identified by their signature: revocation uses issuer and jti,
//     and the cache compares the whole token.
//   - Up to four keys with one kid and one algorithm are tried. For a token
//     without a kid, there must be exactly one matching key.
//   - An aud array may contain other audiences, up to 32 in all.
//   - Identifiers (client_id, jti, sid, tenant, roles) have at most 255 bytes,
//     sub has at most 512, and no control characters, which prevents forged log
//     lines.
//   - Members whose name differs from a known name only in case are rejected,
//     because a case-insensitive parser would confuse the two.
//   - x5t and x5t#S256 are rejected by the RFC 9068 profile and ignored by the
//     compatible one: one large provider sends x5t and a kid with the same
//     value in every token. Keys are selected only by kid.
//
// # What the application must do
//
// The application must require scopes for each route, and authenticate users
// and clients before it signs tokens for them.
package jwtauth
