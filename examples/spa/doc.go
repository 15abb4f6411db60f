// SPDX-License-Identifier: Apache-2.0

// Spa is a single-page app and its back end, on two origins of one site, to be
// copied: the page on one, what it calls on the other.
//
//	go run ./examples/spa -config FILE
//
// The script never holds a token. The back end signs people in, keeps their
// tokens, and gives the browser a cookie that names a session; the script calls it
// with that cookie. README.md beside it has the configuration and the routes.
//
// What a copy keeps is the shape: CORS outside of everything, for one origin that
// is written down, so that the page can read refusals too; the same origin as a
// trusted one of the session; and a login that goes back to one address, which
// never comes from a request. Both origins have to be of one site, such as
// app.example.com and api.example.com: with others, browsers keep the cookie back.
// Only obvious mistakes in that are found at the start, since the public suffix
// list is not looked up.
package main
