// SPDX-License-Identifier: Apache-2.0

// Package jwtauth verifies the JWT access tokens of configured issuers, and
// signs access tokens for services that act as an authorization server.
//
// To verify tokens, call [New] with at least one [Issuer]: its URL, the audience of its
// tokens, its algorithms and the source of its keys. Pass the [Authenticator] to
// gatehouse.New. Call [Authenticator.Ready] at start or in a readiness probe, and
// [Authenticator.Close] at the end. A [Verifier] verifies other JWTs, such as ID tokens.
//
// A token is parsed strictly before its content is used. It must have three segments of
// canonical base64url, two unambiguous JSON objects, and no header parameter that changes
// the meaning of the token or contains a key. The exact iss selects the issuer. kid,
// type, curve, use and algorithm together select one key of the issuer, which verifies
// the signature with that algorithm. The token must be an access token for this audience,
// be valid now, and have a lifetime of at most Issuer.MaxLifetime.
//
// The tokens of many providers differ from RFC 9068. Package providers has an Issuer for
// the well-known ones. For other providers set Profile to [Compatible], and the fields
// for what differs: Clients for tokens without aud; ScopeClaims, RolesClaims and
// TenantClaim for other claim names; Require and Refuse to tell access tokens from other
// tokens of the issuer; Header for tokens in another header. With several issuers, each
// needs Tenants or AnyTenant.
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
//     accepted only if [Issuer.Algorithms] contains the alg of its header.
//   - For an ECDSA signature (r, s), the signature (r, n-s) is also valid. Tokens are
//     therefore never identified by their signature: revocation uses issuer and jti,
//     and the cache compares the whole token.
//   - Up to four keys with one kid and one algorithm are tried. For a token
//     without a kid, there must be exactly one matching key.
//   - An aud array may contain other audiences, up to 32 in all.
//   - Identifiers (client_id, jti, sid, tenant, roles) have at most 255 bytes, and sub at
//     most 512. They have no control characters, which could forge log lines.
//   - Members whose name differs from a known name only in case are rejected,
//     because a case-insensitive parser would confuse the two.
//   - The profile RFC9068 rejects x5t and x5t#S256. The profile Compatible ignores them,
//     because one large provider sends x5t with the value of kid in every token. Only kid
//     selects keys.
//
// # What the application must do
//
// The application must require scopes for each route, and authenticate users
// and clients before it signs tokens for them.
package jwtauth
