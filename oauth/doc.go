// SPDX-License-Identifier: Apache-2.0

// Package oauth is a client of an OAuth 2 authorization server or OpenID provider.
// It implements the protocol without HTTP handlers; the package signin adds the
// browser login and sessions.
//
//   - [New] returns a [Client] for one issuer and one client_id. It discovers the
//     endpoints with the first request.
//   - [Client.Authorize] and [Client.Redeem] are the authorization code grant with
//     PKCE, for programs on the machine of the user. Servers use package signin.
//   - [Client.ClientCredentials] is the source of tokens of a program without a
//     user, and [NewTransport] sends them to the APIs for which they are meant.
//   - [Client.Refresh], [Client.Revoke], [Client.Introspect], [Client.Exchange],
//     [Client.EndSessionURL] and [Client.VerifyLogoutToken] each implement one
//     specification.
//
// Every authorization request uses the authorization code grant, PKCE S256 and a
// state; with OpenID Connect, also a nonce and a strictly verified ID token. The
// client checks the iss of the response (RFC 9207) if the authorization server
// announces it, and pushes the request (RFC 9126) if there is an endpoint. The
// client authentication method is configured and never found out by trying.
//
// The client rejects: the password grant and the implicit grant ([GrantError]);
// metadata of another issuer; metadata that list PKCE methods without S256; token
// types other than Bearer; authorization responses with another state, repeated
// parameters, another issuer or another nonce, and replayed ones. Errors contain
// no text from an authorization server or a browser, except registered error codes.
//
// The caller must bind a [Transaction] to the user agent (CSRF), start a new
// session after each login (session fixation), keep the tokens on the server,
// refresh each refresh token once, and serve everything over TLS. Package signin
// does the first four.
//
// # Where the standards leave a choice
//
//   - A missing expires_in means one hour; golang.org/x/oauth2 treats such a token as
//     one that never expires. An expires_in that is no JSON integer is rejected.
//   - A missing scope means the requested one (RFC 6749 section 5.1), at a refresh the
//     previous one.
//   - A new ID token at a refresh must have the same subject. If the keys for that are
//     unavailable, the old ID token is kept and the rest is returned, because the old
//     refresh token is consumed by then.
//   - An ID token with several audiences needs an azp that is this client.
//   - HS256 is not supported for ID tokens: the client could sign them too.
//   - A refresh token in a client credentials response is dropped: it would be one
//     more secret without a use.
//   - Tokens of a program without a user are refreshed 30 s before they expire, or at
//     three quarters of a lifetime below two minutes. While the authorization server is
//     unavailable the old token is used until it expires.
//
// # Concurrency
//
// A [Client] makes its requests with the context of the call. Shared requests
// (discovery and client credentials) end by their own timeout or by
// [Client.Close]; a caller whose context ends does not cancel them.
package oauth
