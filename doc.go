// SPDX-License-Identifier: Apache-2.0

// Package gatehouse authenticates and authorizes requests in front of an
// [http.Handler]: it identifies the caller, verifies the credential, and
// decides whether the caller may make this request.
//
// Authenticators verify credentials, policies decide on access, and the gate
// writes the HTTP responses:
//
//   - An [Authenticator] verifies one kind of credential. The packages jwtauth,
//     apikey, session and cookie implement it.
//   - [New] returns a [Gate] for a list of authenticators. Routes are
//     registered with their policies on [Gate.Mux]; [Gate.Handler] and
//     [Require] do the same for an existing mux or router.
//   - A [Policy] allows or denies a request of an authenticated caller. The
//     packages scopes and tenant provide policies; a [PolicyFunc] is a policy
//     written as a function.
//   - In a handler, [FromContext] returns the caller: a [Principal].
//
// The gate writes the response of every refused request. The response contains
// only the [Code]; the [Observer] receives the [Reason] and the cause. An
// invalid credential is never treated as missing; a backend failure is 503, not
// 401.
//
// This package does not depend on any kind of credential, policy or store. A
// package that adds one declares its [Reason], [Code], [Method], [Binding] and
// [EventType] values, what its authenticator [Reads], and, for
// sender-constrained tokens, a [Confirmer] that checks the proof of possession.
//
// The application must serve TLS, set the timeouts of its server, put its CORS
// middleware in front of the gate, and check object-level access (which object
// belongs to which caller): scopes limit the operations of a caller, not the
// objects.
//
// This package depends only on the standard library.
package gatehouse
