// SPDX-License-Identifier: Apache-2.0

// Package oauth is the client of an OAuth 2 authorization server or OpenID
// provider: it logs people in, gets tokens for programs, and renews, checks,
// exchanges and withdraws tokens.
//
//   - [New] makes a [Client] of an issuer and of what the client is called
//     there. Where the endpoints are is discovered at the first need.
//   - [NewLogin] makes a [Login] for a server with pages: mount [Login.Start],
//     and call [Login.Callback] in the handler of the redirect URI. A program on
//     the machine of the user calls [Client.Authorize] and [Client.Redeem].
//   - [Client.ClientCredentials] is the source of tokens of a program that acts
//     for itself, and [NewTransport] sends them to the APIs that they are for.
//   - [Client.Refresh], [Client.Revoke], [Client.Introspect] and
//     [Client.Exchange] do what they are called.
//
// There is one way to log in: authorization code with PKCE S256, a state that is
// bound to the browser by a sealed cookie, a nonce and a strictly verified ID
// token with OpenID Connect, the issuer in the response wherever the server
// sends it, and a pushed request wherever the server takes it. How the client
// authenticates itself is configured, and never found out by trying.
//
// What is refused: the password and the implicit grant, as a [GrantError] that
// says why; metadata of another issuer; a server that lists its methods of PKCE
// without S256; tokens of another type than Bearer; a callback that this browser
// has not asked for, or that is doubled, replayed, of another server or about
// another login. Errors carry nothing that a server or a browser has said but
// error codes that are registered.
//
// The application still has to make a new session after each login, to keep the
// tokens on the server, to refresh each login once at a time, and to serve all
// of it over TLS.
//
// A [Client] makes its requests with the context of the call. Those that are
// shared, discovery and client credentials, end with their own timeout or with
// [Client.Close], and never because one of those who wait has gone.
package oauth
