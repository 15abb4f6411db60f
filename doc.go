// SPDX-License-Identifier: Apache-2.0

// Package gatehouse authenticates and authorizes requests in front of an
// [http.Handler]: it establishes who is calling, by which proof, and whether
// the caller may make this request.
//
// Authenticators prove, policies decide, the gate speaks HTTP:
//
//   - An [Authenticator] verifies one kind of credential. The packages jwtauth,
//     apikey, session and cookie have them.
//   - [New] makes a [Gate] of authenticators. Routes are registered with their
//     policies on [Gate.Mux]; [Gate.Handler] and [Require] do the same for an
//     existing mux or router.
//   - A [Policy] allows or denies a request of an authenticated caller. The
//     packages scopes and tenant have policies, and a [PolicyFunc] is a function.
//   - In a handler, [FromContext] returns the caller: a [Principal].
//
// The gate writes every refusal. The response carries the coarse [Code]; the
// [Observer] gets the [Reason] and the cause. An invalid credential is never
// treated as missing; a backend failure is 503, not 401.
//
// This package knows no credential, policy or store by name. A package that
// adds one declares its [Reason], [Code], [Method], [Binding] and [EventType]
// values, what its authenticator [Reads], and how it confirms that the sender
// holds the key of a sender-constrained token ([Confirmer]).
//
// The application still has to serve TLS, to set the timeouts of its server, to
// put CORS outside the gate, and to check which object belongs to which caller:
// scopes limit what a caller may do, not to which objects.
//
// This package needs the standard library only.
package gatehouse
