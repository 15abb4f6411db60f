// SPDX-License-Identifier: Apache-2.0

// Keyserver lets people look after their own API keys: a page with forms, and
// the same as JSON. It is to be copied into a service that has sign-in.
//
//	go run ./examples/keyserver -store sqlite:keys.db -tenant acme -scopes "reports:read reports:write"
//
// Here the one person is whoever reads the terminal: at start the server prints
// a code that is good once, and the page asks for it. It then gives the browser
// a cookie with an access token that this process has issued, and in a service
// of yours is that of your sign-in. Scripts use a key with the scope keys:write
// in its place.
//
// The files are one for each concern: pages.go is the endpoint to copy,
// signin.go is what to leave out, main.go puts the gate around it.
package main
