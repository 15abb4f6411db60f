// SPDX-License-Identifier: Apache-2.0

// Native signs a person in from the command line, with the browser of the
// machine: OAuth 2.0 for native apps, RFC 8252. It is to be copied into
// programs that call APIs for the person who runs them.
//
//	go run ./examples/native -issuer https://login.example.com -client-id cli -scope "openid email"
//
// The client is registered with the authorization server as a public one, of
// application_type native, with the redirect URI http://127.0.0.1/callback, and
// http://[::1]/callback for machines without IPv4. The port is free then, RFC
// 8252 section 7.3; for a server that compares it all the same, there is -port.
//
// What the program prints on standard output is who has signed in. The tokens
// stay in memory, are never printed, and are withdrawn before the program ends.
// One that keeps them, because it is to be used again tomorrow, keeps them in the
// keychain of the system, and not in a file.
//
// The address of the login is part of the command line with which the browser is
// opened, where others who use the same machine can read it. They can sign in
// with it in the place of the person who was meant, though never as them: use
// -no-browser there, and copy the address.
//
// The files are one for each concern: signin.go is the login, callback.go is
// what the browser comes back to, browser.go opens it, userinfo.go asks who it
// is, main.go puts them together.
package main
