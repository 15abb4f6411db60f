// SPDX-License-Identifier: Apache-2.0

// Package provider runs npm oidc-provider, a certified OpenID provider and
// OAuth authorization server, for the tests that want a real peer.
//
// [Start] runs one on a free loopback port and ends it with the test. It speaks
// authorization code with PKCE (always required), refresh with rotation, client
// credentials, device flow, pushed authorization requests, introspection,
// revocation, DPoP, resource indicators, and RP-initiated and back-channel
// logout. Anybody can log in, with any password.
//
// [Provider.Rotate] and [Provider.Withdraw] change its signing keys while it
// runs, and its state outlives that.
//
// What to know about it: a scope that a resource does not have is dropped
// without a word, and a token left without any has no scope claim; sub is
// client_id for machine clients; JWT access tokens cannot be introspected; a
// refresh token used twice ends the grant, with no grace.
package provider
