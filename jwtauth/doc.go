// SPDX-License-Identifier: Apache-2.0

// Package jwtauth accepts the JWT access tokens of configured authorization
// servers, and issues access tokens and refresh tokens for services that are
// one themselves.
//
// To accept tokens, call [New] with at least one [Issuer]: its URL, the audience that its tokens
// for you carry, its algorithms and where its keys are. Give the
// [Authenticator] to gatehouse.New, call [Authenticator.Ready] at start or in a
// readiness probe, and [Authenticator.Close] at the end.
//
// A token is read strictly before anything is believed: three segments of
// canonical base64url, two JSON objects that can be read in one way only, no
// header parameter that changes the meaning or brings a key along. Its issuer
// is looked up by the exact iss, its key is chosen from that issuer's keys by
// kid, type, curve, use and algorithm together, and only then is the signature
// checked. What is not explicitly an access token for this audience, in its
// time and not for longer than the issuer may make it, is refused; so is a
// token that is bound to a key (cnf), unless something configured here can
// check the binding.
//
// Whatever is wrong, the caller is told invalid_token; the observer of the gate
// is told which issuer and which check. A key set that cannot be had is 503,
// not 401.
//
// To issue tokens, make a [KeyRing] and call [NewSigner] for access tokens, which
// live for 15 minutes at most. Package refresh issues refresh tokens, and package
// revocation revokes access tokens.
//
// The application must still decide, per route, which scopes are needed, settle
// who a person is before it begins a family, and authenticate the clients that
// can be at its token endpoint. Stores for one process are in this package; those
// for several are in the modules under store.
package jwtauth
