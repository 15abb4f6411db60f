// SPDX-License-Identifier: Apache-2.0

// Package scopes provides policies that check the scopes and roles of the
// caller.
//
//   - [All] and [Any] return policies that require scopes, for
//     [gatehouse.Mux.Handle] or [gatehouse.Require].
//   - [Implications] list which scopes imply which others, and have their own All
//     and Any. A scope implies no scope that is not listed.
//   - A [Catalogue] lists the scopes of an application. It parses scopes that users
//     or configuration files name, and rejects unknown ones.
//   - [HasRole] returns a policy that requires a role of the caller.
//
// Scopes are compared character by character. There are no wildcards: "data:*" is
// the scope of that name and does not include "data:read".
//
// A request without the scopes is refused with 403 and insufficient_scope. The challenge
// contains all scopes of the policy, so that a client can request them in one step. Put
// all scopes of a route into one policy: the challenge contains only those of the first
// policy that denies.
//
// A scope limits the operations of a caller, not the objects: the application
// must check that the object belongs to the caller.
package scopes
