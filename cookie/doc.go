// SPDX-License-Identifier: Apache-2.0

// Package cookie sets cookies that browsers guard well, reads them back with
// suspicion, and tells whether a page of ours has caused the request that
// carries one.
//
//   - [New] makes a [Cookie] of a [Config], whose zero value is the strict one:
//     HttpOnly, Secure, SameSite=Lax, Path=/, with the prefix "__Host-Http-".
//     What browsers would silently refuse is an error of New.
//   - [NewRing] takes keys, and [NewSealed] makes a [Sealed] cookie of them: one
//     that nobody else can read, change, use under another name or for another
//     purpose, or use for longer than its Lifetime. A large value is split.
//   - [NewCrossSite] makes the check that every reader of a cookie has to run:
//     [CrossSite.Check].
//   - [NewAccessToken] puts it together for an API that serves its own pages:
//     the access token of a user in a cookie, and the [gatehouse.Authenticator]
//     that reads it.
//
// What is refused: two cookies of one name, values that this server cannot have
// set, sealed values that were changed, cut, moved or put together anew, and
// requests that a page of another origin has caused. A cookie that is bad never
// becomes no cookie.
//
// The application still has to serve TLS, to let no GET request change anything,
// to say in a Content-Security-Policy who may frame its pages, to answer only to
// its own host names, and to put CORS outside of the gate. A sealed cookie can be
// used more than once: what may be used once belongs into a store.
//
// RFC 6265bis is draft-ietf-httpbis-rfc6265bis-22; the prefixes "__Http-" and
// "__Host-Http-" are of its successor, draft-ietf-httpbis-layered-cookies.
package cookie
