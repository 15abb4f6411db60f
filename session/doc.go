// SPDX-License-Identifier: Apache-2.0

// Package session keeps users logged in with server-side sessions: the browser
// holds a cookie with a random value; the principal and the tokens stay on the
// server, where no script can read them.
//
// [New] returns a [Manager] for a [Store]. The manager is the
// [gatehouse.Authenticator] of a gate, and starts and ends sessions:
//
//   - [Manager.Start] starts one after a login, by package signin or by a form of
//     the application;
//   - [Manager.Renew] gives it a new ID after a change of privileges;
//   - [Manager.Tokens] returns the tokens for calls to other servers, and refreshes
//     them when they expire;
//   - [Manager.End] is the logout, and [Manager.Logout] the back-channel logout;
//   - [Manager.List], [Manager.EndOne] and [Manager.EndAll] are for a page that
//     lists the sessions of a user, and for operators.
//
// # What is stored where
//
// The cookie holds 256 random bits and is HttpOnly, Secure, SameSite=Lax and
// bound to the host. The store holds their SHA-256, the principal, and the tokens
// sealed by a [cookie.Keyring]: a reader of the store can neither use the sessions
// nor the tokens.
//
// # When a session ends
//
// At the idle timeout and at the absolute timeout, both by the clock of the store;
// at the logout; at the next login of the same browser; when the user has more than
// [Config].PerUser sessions and this one was idle for the longest time; at a
// back-channel logout; and when the authorization server rejects the refresh
// token. It has ended for all processes that share the store when the method
// returns: each request reads the store, and no validity is cached.
//
// # What is rejected
//
// A request with an expired or ended session, or with a malformed cookie, is
// rejected with 401 and not let in as anonymous. Cross-site requests (CSRF) are
// rejected with 403, whether the session is valid or not. If the store is
// unavailable, requests get 503 (fail closed).
//
// # Single refresh
//
// An authorization server with refresh token rotation and reuse detection revokes
// the tokens if a refresh token is used twice. So one request refreshes the tokens
// and all others wait for it: in one process by a single flight, between processes
// by a claim in the store. The claim lasts 16 s, longer than the call, which is
// limited to 10 s. If the process with the claim dies, another one tries after the
// claim expires; if the authorization server received the first call, the user has
// to log in again.
//
// # What the application must do
//
// Serve TLS. Let no GET request change state. Call Start only after a successful
// login, and Renew or Start when privileges grow. End the other sessions of a user
// whose password changes: EndAll with Except. Store its own data about a session
// under the ID, and expect the ID to change.
package session
