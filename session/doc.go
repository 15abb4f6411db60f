// SPDX-License-Identifier: Apache-2.0

// Package session keeps users logged in with server-side sessions: the browser
// holds a cookie with a random value; the principal and the tokens stay on the
// server, where no script can read them.
//
// [New] returns a [Manager] for a [Store]. The manager is a
// [gatehouse.Authenticator], and starts and ends sessions:
//
//   - [Manager.Start] starts a session after a login, by package signin or by a
//     login form of the application;
//   - [Manager.Renew] changes the session ID after a change of privileges;
//   - [Manager.Tokens] returns the tokens for calls to other servers, and refreshes
//     them when they expire;
//   - [Data] are typed values of the application in a session, such as messages that
//     are shown once (flash messages);
//   - [Manager.End] is the logout, and [Manager.Logout] the back-channel logout;
//   - [Manager.List], [Manager.EndOne] and [Manager.EndAll] are for a page that
//     lists the sessions of a user, and for operators.
//
// # Storage
//
// The cookie holds 256 random bits and is HttpOnly, Secure, SameSite=Lax and
// bound to the host. The store holds their SHA-256, the principal, and the
// tokens sealed by a [cookie.Keyring]: an attacker who can read the store can
// use neither the sessions nor the tokens.
//
// # When a session ends
//
// A session ends at the idle timeout or the absolute timeout, both by the clock
// of the store; at a logout or back-channel logout; at the next login of the
// same browser; when the user has more than [Config].PerUser sessions and this
// one has been idle for the longest time; and when the authorization server
// rejects the refresh token. The end takes effect in all processes before the
// method returns, because every request reads the store and nothing is cached.
//
// # What is rejected
//
// A request with an expired or ended session, or with a malformed cookie, is
// rejected with 401 and is not treated as anonymous. Cross-site requests (CSRF)
// are rejected with 403, whether the session is valid or not. If the store is
// unavailable, requests get 503 (fail closed).
//
// # Several users in one browser
//
// All tabs of a browser share the cookie: after another user has signed in, a tab can
// still show the first user. Each page should therefore send the [UserTag] of the user
// that it shows: a script in the header [UserHeader], a form in the field [UserField].
// The manager rejects a request with the tag of another user with 409, so that nothing
// is written into the wrong account. [RequireUser] also rejects requests without a tag.
// A page should request the signed-in user again when it becomes visible.
//
// # Single refresh
//
// An authorization server with refresh token rotation and reuse detection
// revokes the tokens if a refresh token is used twice. Therefore one request
// refreshes the tokens and all others wait for it: in one process by a single
// flight, between processes by a claim in the store. The claim lasts 16 s,
// longer than the call, which is limited to 10 s. If the process that holds the
// claim crashes, another process refreshes the tokens after the claim expires.
// If the authorization server had received the first call, the user has to log
// in again.
//
// # What the application must do
//
// Serve TLS. Send frame-ancestors in a Content-Security-Policy with every page, for browsers
// without Fetch Metadata. Do not change state on GET requests. Call Start only after a successful
// login, and Renew or Start when the user gets more privileges. After a password change, end the
// other sessions of the user: EndAll with Except. If the application stores data by session ID,
// handle changes of the ID.
package session
