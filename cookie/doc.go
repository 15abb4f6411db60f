// SPDX-License-Identifier: Apache-2.0

// Package cookie sets and reads cookies with strict attributes, seals their
// values, and protects requests that carry them against CSRF.
//
//   - [New] returns a [Cookie] for a [Config]. The defaults of Config are
//     strict: HttpOnly, Secure, SameSite=Lax, Path=/, with the prefix
//     "__Host-Http-". New returns an error for attributes that browsers reject
//     silently.
//   - [NewKeyring] returns a Keyring for a list of secrets, and [NewSealed] a
//     [Sealed] cookie: its value is encrypted and authenticated, bound to the
//     name of the cookie and to a purpose, and expires. A large value is split
//     over several cookies.
//   - [NewCrossSite] returns the CSRF check, [CrossSite.Check]. Call it for
//     every request whose cookie is used as a credential.
//   - [NewAccessToken] combines them for an API that serves its own pages: the
//     access token of a user in a cookie, and the [gatehouse.Authenticator] that
//     reads it.
//
// The package rejects duplicate cookies, values that Set never writes, sealed
// values that were changed, truncated, moved or recombined, and cross-site
// requests. An invalid cookie is never treated as missing.
//
// The application must serve TLS, not change state on GET, list the sites that
// may frame its pages in a Content-Security-Policy, reject requests for other
// host names, and put its CORS middleware in front of the gate. A sealed cookie
// can be replayed until it expires: keep single-use values in a store.
//
// RFC 6265bis is draft-ietf-httpbis-rfc6265bis-22; the prefixes "__Http-" and
// "__Host-Http-" are of its successor, draft-ietf-httpbis-layered-cookies.
package cookie
