// SPDX-License-Identifier: Apache-2.0

// Signin is a web application whose people sign in at an authorization server:
// the back end for a front end, to be copied.
//
//	go run ./examples/signin -config FILE
//
// The browser gets a cookie that names a session, and nothing else. The tokens
// stay on the server, which renews them and makes the calls that need them, so no
// script can read one, of whomever it may be. README.md beside it has the
// configuration and the routes.
//
// What a copy keeps is the shape: login, callback and logout stand outside the
// gate, everything that is somebody's stands behind it, and the page asks
// GET /api/me who is signed in each time it is shown.
package main
