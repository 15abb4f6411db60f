// SPDX-License-Identifier: Apache-2.0

// Package upstream calls a provider, such as the API of a language model, with the
// application's own credential.
//
// [Transport] is an [http.RoundTripper]. It removes every credential of the caller
// from the request, adds the current credential of the provider, and sends both to
// the configured origin only. It masks the credential where the provider repeats it
// in a response, and its errors contain neither the credential nor the address of
// the provider. Use it as the Transport of net/http/httputil.ReverseProxy or of an
// [http.Client].
//
// A [Source] yields the credential. [NewSecretSource] reads an environment variable
// or a file at each call, [NewCommand] runs a command, and [Rotator] creates and
// revokes credentials through the API of the provider, which the application
// implements as [Provider].
//
// # Rotation
//
// A Rotator rotates in two phases, so that no call fails because of it: it creates a
// credential, probes it until the provider accepts it, activates it on every node,
// waits until the calls that use the previous one have ended, and revokes the previous
// one. Its state is one record in a [Store]. One node at a time has the lease to change
// it, each step is recorded before and after the provider is called, and another node
// continues a rotation that a crash interrupted: if a crash left it unknown whether the
// provider has created a credential, that credential is revoked by its ID. The
// credentials in the record are sealed by a keyring.
package upstream
