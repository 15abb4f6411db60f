// SPDX-License-Identifier: Apache-2.0

// Package mtls authenticates callers by their TLS client certificate, and confirms
// access tokens that are bound to a certificate, RFC 8705.
//
// [ServerTLS] returns the configuration of a server that requests certificates and
// verifies them against [Roots], which are read again when their file changes. [New]
// returns an [Authenticator]:
//
//   - as a gatehouse.Authenticator it maps one exact name of a verified certificate
//     to a caller;
//   - as a gatehouse.Confirmer, such as in jwtauth.Config.Confirmers, it checks the
//     member x5t#S256 of the cnf claim for an authenticator of tokens. If it has no
//     Subjects, it need not be an authenticator of the gate;
//   - behind a proxy that ends TLS it reads the certificate from Client-Cert, RFC
//     9440, and only from the peers in Config.Proxies.
//
// A certificate is an ambient credential: in a request with an Authorization header it
// is only compared with the cnf claim of the token. It does not make an invalid token
// valid, and does not bind an unbound token.
//
// # Checks
//
// crypto/tls verifies the chain in the handshake. On each request the authenticator makes
// more checks: the certificate and its chain are still valid and lead to a current root;
// the certificate is not that of a CA; it may be used for client authentication (extended
// key usage clientAuth and, if it has a key usage, digitalSignature); Config.Revoked.
//
// Names are compared byte by byte. The common name is not read.
//
// # What the application must do
//
// A renewed certificate has another thumbprint, so the client needs new tokens.
// The proxies in Config.Proxies must verify certificates, and remove Client-Cert
// and Client-Cert-Chain from the requests of their clients.
package mtls
