// SPDX-License-Identifier: Apache-2.0

// Package dpop implements Demonstrating Proof of Possession, RFC 9449: an access
// token is bound to a key of the client, and every request carries a proof, a JWT
// that the key has signed for this request. A stolen token is useless without
// the key.
//
// # Resource server
//
// [New] returns a [Verifier]. Set it as a confirmer of every authenticator of tokens,
// such as jwtauth.Config.Confirmers. Then
//
//   - a token with cnf.jkt is accepted only as "Authorization: DPoP" with one
//     valid proof in the header DPoP, and never as a Bearer token;
//   - a token without cnf.jkt is rejected under the scheme DPoP;
//   - every 401 has a DPoP challenge beside the Bearer challenge.
//
// Bearer tokens without cnf stay accepted: to reject them, see [Require], and
// gatehouse.Bound for single routes.
//
// A proof is compared with Config.PublicOrigin and never with the Host header. It
// is used once: the [ReplayStore] must be shared by all servers that serve the
// origin. [NewMemory] is a store for one server, and the store module has others.
// With Config.NonceKeys a proof must also have a nonce of the server, so that a
// proof cannot be prepared in advance; the nonces need no store.
//
// A server that browsers call from other origins must allow the request headers
// Authorization and DPoP and expose DPoP-Nonce and WWW-Authenticate in its CORS
// middleware, in front of the gate.
//
// # Client
//
// [GenerateKey] returns a new key. [Key.Thumbprint] is the parameter dpop_jkt of an
// authorization request. A [Transport] adds the access token and a proof to every request
// to its configured origins.
package dpop
