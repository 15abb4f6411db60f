// SPDX-License-Identifier: Apache-2.0

// Package provider runs npm oidc-provider, a certified OpenID provider and OAuth
// authorization server, for tests.
//
// [Start] runs one on a free loopback port, which ends with the test. It has the
// authorization code grant with PKCE (always required), refresh token rotation,
// client credentials, device flow, pushed authorization requests, introspection,
// revocation, DPoP, resource indicators, RP-initiated and back-channel logout, and with
// Options.TLS certificates of clients.
// Every user name can log in, with any password.
//
// [Provider.Rotate] and [Provider.Withdraw] change its signing keys while it runs;
// its state is kept.
//
// It drops scopes that a resource does not have without an error, and a token
// without scopes has no scope claim. The sub of a machine client is its client_id.
// JWT access tokens cannot be introspected. Reuse of a refresh token revokes the
// grant, without a grace period.
package provider
