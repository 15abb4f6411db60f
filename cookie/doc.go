// SPDX-License-Identifier: Apache-2.0

// Package cookie sets and reads cookies with strict attributes, seals their
// values, and protects requests that carry them against CSRF.
//
//   - [New] makes a [Cookie] of a [Config]. The zero value of Config is the strict
//     one: HttpOnly, Secure, SameSite=Lax, Path=/, with the prefix "__Host-Http-".
//     New returns an error for attributes that browsers reject silently.
//   - [NewKeyring] takes keys, and [NewSealed] makes a [Sealed] cookie with them:
//     its value is encrypted and authenticated, bound to the name of the cookie and
//     to a purpose, and expires. A large value is split over several cookies.
//   - [NewCrossSite] makes the CSRF check, [CrossSite.Check], that every reader of a
//     cookie has to run.
//   - [NewAccessToken] combines them for an API that serves its own pages: the
//     access token of a user in a cookie, and the [gatehouse.Authenticator] that
//     reads it.
//
// The package rejects two cookies of one name, values that this server never
// sets, sealed values that were changed, truncated, moved or recombined, and
// cross-site requests. An invalid cookie is never treated as missing.
//
// The application still has to serve TLS, to change nothing on GET, to say in a
// Content-Security-Policy which sites may frame its pages, to reject requests for
// other host names, and to put CORS outside of the gate. A sealed cookie can be
// replayed until it expires: what may be used once belongs into a store.
//
// RFC 6265bis is draft-ietf-httpbis-rfc6265bis-22; the prefixes "__Http-" and
// "__Host-Http-" are of its successor, draft-ietf-httpbis-layered-cookies.
package cookie
