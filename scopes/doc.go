// SPDX-License-Identifier: Apache-2.0

// Package scopes has policies that decide by the scopes and roles of the caller.
//
//   - [All] and [Any] need scopes: give them to [gatehouse.Mux.Handle] or
//     [gatehouse.Require].
//   - [NewImplications] says which scopes imply others, and has its own All and
//     Any. Nothing is implied that is not listed.
//   - A [Catalogue] lists the scopes of an application. It parses scopes from
//     people and configuration and rejects unknown ones.
//   - [HasRole] needs a role that the issuer gives the caller.
//
// Scopes are compared character by character. There are no wildcards: "data:*" is
// the scope of that name and does not include "data:read".
//
// A request without the scopes is refused with 403 and insufficient_scope. The
// challenge names all scopes of the policy, so that a client can request them in
// one step; for that, put all scopes of a route into one policy, because only the
// first policy that denies answers.
//
// A scope limits what a caller may do, not with which objects: the application
// still has to check who owns the object.
package scopes
