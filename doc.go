// SPDX-License-Identifier: Apache-2.0

// Package gatehouse stands between the network and an [http.Handler] and
// settles, for every request, who is calling, by which proof, and whether they
// may.
//
// Authenticators prove, policies decide, the gate speaks HTTP:
//
//   - Make an [Authenticator] for each kind of credential that you accept: the
//     packages jwtauth and apikey have them.
//   - Call [New] to make a [Gate] of them, and wrap your handler in
//     [Gate.Handler]. What is open to everyone stays outside.
//   - Wrap routes in [Require] with the policies of the packages scopes and
//     tenant, or your own. A policy is a function.
//   - In a handler, [FromContext] says who is calling: a [Principal].
//
// What is refused is written in one place, as an [Error] of a closed set of
// codes. The caller learns the code; the [Observer] learns the reason. A
// credential that is bad never becomes no credential, and "cannot tell now" is
// 503, never 401.
//
// The application still has to serve TLS, to set the timeouts of its server, to
// put CORS outside of the gate, and to decide which object belongs to whom:
// scopes say what a caller may do, not to what.
//
// This package needs the standard library only.
package gatehouse
