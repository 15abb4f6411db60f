// SPDX-License-Identifier: Apache-2.0

// Package upstream calls a provider, such as the API of a language model, with the
// application's own credential.
//
// [Transport] is an [http.RoundTripper]. It removes every credential of the caller from
// the request, adds the current credential of the provider, and sends both to the
// configured origin only. It masks the credential in responses, and its errors contain
// neither the credential nor the address of the provider. Use it as the Transport of
// net/http/httputil.ReverseProxy or of an [http.Client].
//
// A [Source] returns the credential. [NewSecretSource] reads an environment variable or a
// file at each call, [NewCommand] runs a command, and [Rotator] creates and revokes
// credentials through the API of the provider, which the application implements as
// [Provider].
//
// # Rotation
//
// A Rotator rotates in two phases, so that no call fails because of a rotation. It
// creates a credential, probes it until the provider accepts it, and activates it on
// every node. Then it waits until the calls with the previous credential have ended, and
// revokes that one.
//
// The state is one record in a [Store], in which a keyring seals the credentials. One
// node at a time has the lease to change it. Each step is recorded before and after the
// call of the provider, so another node can continue a rotation after a crash. If it is
// then unknown whether the provider has created a credential, that credential is revoked
// by its ID.
package upstream
