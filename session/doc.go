// SPDX-License-Identifier: Apache-2.0

// Package session keeps people signed in whose browsers hold nothing but the
// name of a session. Who they are, and their tokens, stay on the server, out of
// the reach of every script.
//
// Call [New] with a [Store]. The [Manager] that it returns is two things: a
// [gatehouse.Authenticator], to be put into a gate, and the means to begin and
// to end sessions:
//
//   - [Manager.Start] begins one, for whoever has just logged in, by the package
//     oauth or by a form of the application's own;
//   - [Manager.Renew] gives it a new id where somebody gets more rights;
//   - [Manager.Tokens] returns the tokens for calls to other servers, and renews
//     them when they are over;
//   - [Manager.End] is the logout;
//   - [Manager.List], [Manager.EndOne] and [Manager.EndAll] are for a page on
//     which people see where they are signed in, and for operators.
//
// # What is kept where
//
// The cookie holds 256 random bits and is HttpOnly, Secure, SameSite=Lax and
// bound to the host. The store holds their SHA-256, the principal, and the
// tokens sealed by a [cookie.Keyring]: who reads the store cannot sign in with what
// is there, nor use the tokens.
//
// # When a session ends
//
// After [Config].Idle without a request, at [Config].Absolute from the login in
// any case, at the logout, at the next login of the same browser, when the person
// has more than [Config].PerPerson and this one was seen the longest time ago, when the
// authorization server says so by a back-channel logout, and when it is asked to
// renew the tokens and refuses. Both deadlines are by the clock of the store. It has
// ended for every process that shares the store as soon as the method that ends
// it has returned, since nothing of it is cached: each request asks the store.
//
// # What is refused
//
// A request with a session that is over is refused with 401, not let in as one
// without a session. So is one whose cookie this server cannot have set. A
// request that the page of another site has caused is refused with 403, with a
// good session or a bad one. A store that does not answer is 503. A navigation
// that is refused with 401 is sent to [Config].Login; a fetch gets the 401.
//
// # One refresh
//
// An authorization server that rotates refresh tokens takes the second use of
// one for theft and ends the login. So one request renews the tokens and all
// others wait for it: in the same process for each other, in other processes for
// a claim in the store, which holds for 16 s and so for longer than the call may
// take, which is 10 s. If the process that holds the claim dies, the next one
// tries when the claim is over; if the server has seen the token by then, this
// one person has to log in again.
//
// # What the application must still do
//
// Serve TLS. Let no GET request change anything. Check the password, where it
// has passwords, and Start only then. Call Renew or Start where rights grow. End
// the sessions of a person whose password changes: EndAll with Except. Keep its
// own data about a session under the ID and expect that to change.
package session
