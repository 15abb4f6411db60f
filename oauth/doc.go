// SPDX-License-Identifier: Apache-2.0

// Package oauth is a client of an OAuth 2 authorization server or OpenID provider. It has
// no HTTP handlers; package signin adds the browser login and sessions.
//
//   - [New] returns a [Client] for one issuer and one client_id. It fetches the
//     metadata (discovery) before the first request.
//   - [Client.Authorize] and [Client.Redeem] implement the authorization code grant with
//     PKCE. Native applications call them; for servers use package signin.
//   - [Client.ClientCredentials] returns a source of tokens for a program
//     without a user. [NewTransport] returns an http.RoundTripper that sends
//     these tokens to the configured origins only.
//   - [Client.Refresh], [Client.Revoke], [Client.Introspect], [Client.Exchange],
//     [Client.EndSessionURL] and [Client.VerifyLogoutToken] each implement one
//     specification.
//   - [NewIntrospector] returns a gatehouse.Authenticator of opaque access tokens.
//
// Every authorization request uses the authorization code grant, PKCE S256 and a state;
// with OpenID Connect, also a nonce and a strictly verified ID token. The client checks
// the iss of the response (RFC 9207) if the metadata declare it, and uses pushed
// authorization requests (RFC 9126) if the metadata contain the endpoint. The client uses
// the configured client authentication method and never tries another one.
//
// The client rejects the password grant and the implicit grant ([GrantError]), metadata
// of another issuer, metadata that list PKCE methods without S256, and unexpected token
// types. It rejects authorization responses with another state, issuer or nonce, with
// repeated parameters, and replayed ones. Errors contain no text from an authorization
// server or a browser, except registered error codes.
//
// The caller must bind a [Transaction] to the user agent (CSRF), start a new session
// after each login (session fixation), keep the tokens on the server, use each refresh
// token once, and serve everything over TLS. Packages signin and session do all of this
// except TLS.
//
// # Choices that the standards leave open
//
//   - A missing expires_in means one hour; in golang.org/x/oauth2 such a token never
//     expires. An expires_in that is not a JSON integer is rejected.
//
//   - A missing scope means the requested scope (RFC 6749 section 5.1); in a
//     refresh response, the previous scope.
//
//   - A new ID token at a refresh must have the same subject. If the keys to
//     verify it are unavailable, the result contains the old ID token and the
//     new tokens, because the old refresh token is already used.
//
//   - An ID token with several audiences needs an azp that is this client.
//
//   - HS256 is not supported for ID tokens: every holder of the client secret
//     could sign them.
//
//   - A refresh token in a client credentials response is discarded: it is not needed,
//     and RFC 6749 section 4.4.3 advises against it.
//
//   - Tokens of the client credentials grant are renewed 30 s before they
//     expire, or after three quarters of a lifetime of less than two minutes.
//     While the authorization server is unavailable the old token is used until
//     it expires.
//
//   - An [Introspector] accepts a response without exp, because the authorization server
//     has just confirmed that the token is active. It uses client_id as the subject of a
//     token without sub.
//
// # Limits
//
// The client protects the authorization server from anonymous callers of the
// application, and the application from a slow authorization server. For each
// endpoint:
//
//   - After a failed request, the client sends none for 1 s. Each further failure doubles
//     this pause, up to a minute, and Retry-After can lengthen it, up to a minute. A
//     success resets it. Only failures that affect all callers count: no response, 429,
//     502, 503, 504, invalid_client; for discovery, every error.
//   - At most 32 requests run and 1,000 callers wait.
//   - At most 100 pushed authorization requests and 100 redeemed codes per second, with
//     bursts of 100.
//
// A request beyond a limit fails at once with an error that wraps [ErrUnavailable];
// [RetryAfter] returns how long to wait.
//
// # Concurrency
//
// A [Client] makes its requests with the context of the call. Shared requests
// (discovery and client credentials) have their own timeout and are canceled
// only by [Client.Close], not by the context of one caller.
package oauth
