// SPDX-License-Identifier: Apache-2.0

// Package signin logs users in with a browser at an OpenID provider and keeps them
// signed in with a server-side session. It combines the packages oauth (the
// protocol), session (the sessions) and cookie (sealed values) behind one handler.
//
// [New] returns a [Handler]. With the RedirectURI
// "https://app.example.com/auth/callback", it serves:
//
//	GET  /auth/login               redirects the browser to the authorization server
//	GET  /auth/callback            verifies the response and starts a session
//	POST /auth/logout              ends the session, here and at the authorization server
//	POST /auth/backchannel-logout  ends sessions when the authorization server says so
//
// Mount it outside the gate, and put its field Sessions into the gate.
//
// # Login
//
// The login uses the authorization code with PKCE, and a state that a sealed
// cookie binds to the browser, so that an attacker cannot log a user in to another
// account (login CSRF). A login may take ten minutes, and a browser can have five
// pending logins. Only a navigation starts one; other requests are answered with
// 401. After the login, the browser returns to the path in the query parameter
// return_to. A return_to that is not a path on this host is replaced by
// [Config].Home (open redirect).
//
// The callback ends the transaction before it looks at the rest of the response,
// so each response counts once. Each login starts a new session and ends the one
// that the browser had (session fixation).
//
// # Logout
//
// The logout rejects cross-site requests (CSRF). It deletes the session, revokes
// the refresh token, and sends the browser to the end session endpoint of the
// authorization server, if there is one. A script gets that address as the JSON
// member logout_url, without the ID token.
//
// # What the application must do
//
// Serve TLS. Let no GET request change state. Derive Tenant and Roles of the
// principal from its claims in [Config].Complete, or with Enrich of the gate.
package signin
