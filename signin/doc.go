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
//	POST /auth/backchannel-logout  ends sessions at the request of the authorization server
//
// [Handler.Protect] serves them in front of an application without public routes. An
// application with policies or public routes uses the Mux of the field Gate, with the
// Handler as a public route for the directory of RedirectURI:
//
//	mux := handler.Gate.Mux()
//	mux.Public("/auth/", handler)
//
// A route for all other paths must then have no method: use "/" instead of "GET /", which
// conflicts with "/auth/" in [http.ServeMux]. An application with its own gate, such as
// one that also accepts access tokens, passes the fields Sessions and LoginURL and the
// method ErrorBody to gatehouse.New.
//
// # Login
//
// The login uses the authorization code with PKCE, and a sealed cookie binds the state to
// the browser, so that an attacker cannot log a user in to the attacker's account (login
// CSRF). A login may take up to ten minutes, and a browser can have up to five pending
// logins. Only a browser navigation starts a login; the response to other requests is
// 401. After the login, the browser returns to the path in the query parameter return_to.
// A return_to that is not a path on this host is replaced by [Config].Home (open
// redirect).
//
// Query parameters change a single login: max_age and acr_values of a step-up challenge,
// which the gate adds; login_hint; prompt with login, select_account and consent; and
// remember=1 on a page of this origin, see [Config].Remember. If the acr or the auth_time
// of the ID token does not satisfy them, the login is refused with a page. It is not
// repeated, because that could be an endless loop.
//
// [Config].Admit defines which users may sign in. [Config].Complete can refuse more
// users.
//
// The callback deletes the pending login before it checks the rest of the
// response, so that each response is accepted at most once. Each login starts a new
// session and ends the one that the browser had (session fixation).
//
// # Logout
//
// The logout rejects cross-site requests (CSRF). It deletes the session, revokes the
// refresh token, and redirects the browser to the end session endpoint of the
// authorization server, if there is one. If the page with the logout form has a
// Content-Security-Policy, its form-action must contain the origin of that endpoint: see
// [Handler.LogoutOrigin]. A script gets the URL of the endpoint in the JSON member
// logout_url, without the ID token. With the parameter everywhere=1 the logout ends all
// sessions of the user; [Handler.EndUser] does so for operators.
//
// # What the application must do
//
// Serve TLS. Send frame-ancestors in a Content-Security-Policy with every page, for
// browsers without Fetch Metadata. Do not change state in handlers for GET, because a link
// on another site can cause a GET with the cookie. Another user can sign in in another
// tab: have each page send the session.UserTag of the user that it shows, and request the
// user again when it becomes visible. Call [Handler.Ready] at start. Set Tenant and Roles
// of the principal from its claims in [Config].Complete, or in Enrich of the gate.
package signin
