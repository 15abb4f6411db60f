// SPDX-License-Identifier: Apache-2.0

// Package scopes has policies about what a credential may be used for.
//
//   - Give [All] or [Any] to [gatehouse.Require] in front of a handler.
//   - Where one scope of yours implies another, say so in [NewImplications] and
//     use its policies. Nothing is implied that you have not written down.
//   - Declare the scopes of your application in a [Catalogue], and read with it
//     what people ask for: an API key, a consent page, a configuration.
//   - [HasRole] asks for what the issuer says that the caller is.
//
// A scope is compared character by character. There are no wildcards: "data:*"
// is the scope of that name, which says nothing about "data:read", and a
// catalogue does not take it.
//
// A request without the scopes is refused with 403 and insufficient_scope, and
// the one challenge names all of them, so that a client can ask for them in one
// step. For that, put the scopes of a route into one policy: of two policies only
// the first that denies is heard.
//
// The application still has to decide which object belongs to whom: a scope says
// what a caller may do, not to what.
package scopes
