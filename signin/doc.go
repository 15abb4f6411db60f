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
// [Handler.Protect] serves them in front of an application that is for users who have
// signed in. An application with policies or public routes uses the Mux of the field Gate,
// with the Handler as a public route for the directory of RedirectURI:
//
//	mux := handler.Gate.Mux()
//	mux.Public("/auth/", handler)
//
// A route for all other paths must then have no method: use "/" and not "GET /", which
// conflicts with "/auth/" in [http.ServeMux]. A gate of the application's own, such as
// one for access tokens too, gets the fields Sessions and LoginURL and the method
// ErrorBody.
//
// # Login
//
// The login uses the authorization code with PKCE, and a state that a sealed
// cookie binds to the browser, so that an attacker cannot log a user in to the
// account of the attacker (login CSRF). A login may take up to ten minutes, and
// a browser can have up to five pending logins. Only a browser navigation
// starts a login; other requests are answered with 401. After the login, the
// browser returns to the path in the query parameter return_to. A return_to
// that is not a path on this host is replaced by [Config].Home (open redirect).
//
// These query parameters of the login are for one login: max_age and acr_values of a
// step-up challenge, which the gate adds; login_hint; prompt with login, select_account
// and consent; and remember=1 on a page of this origin, see [Config].Remember. The acr
// and the auth_time of the ID token are compared with them: a login that is too weak or
// too old is refused with a page and not repeated, which could be an endless loop.
//
// [Config].Admit says which users may sign in. [Config].Complete can refuse more users.
//
// The callback deletes the pending login before it checks the rest of the
// response, so that each response is accepted at most once. Each login starts a new
// session and ends the one that the browser had (session fixation).
//
// # Logout
//
// The logout rejects cross-site requests (CSRF). It deletes the session,
// revokes the refresh token, and sends the browser to the end session endpoint
// of the authorization server, if there is one. The
// form-action of a Content-Security-Policy of the page with the form must have the origin
// of that endpoint, which [Handler.LogoutOrigin] returns.
// With the parameter everywhere=1 it ends all sessions of the user; [Handler.EndUser] is
// the same for operators. A script gets the URL of that
// endpoint in the JSON member logout_url, without the ID token.
//
// # What the application must do
//
// Serve TLS. Send frame-ancestors in a Content-Security-Policy with every page: old
// browsers do not say that a page is in a frame. Change no state in handlers for GET,
// because a link on a page of another site can cause a GET with the cookie. Have each page
// say whom it shows, with session.UserTag, and ask again when it becomes visible, because
// another user can sign in in another tab. Call [Handler.Ready] at the start. Set Tenant
// and Roles of the principal from its claims in [Config].Complete, or in Enrich of the
// gate.
package signin
