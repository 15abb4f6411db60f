// SPDX-License-Identifier: Apache-2.0

package scopes

import "github.com/gatehouse-go/gatehouse"

// The reasons for which the policies of this package deny access.
const (
	// ReasonMissing: the credential lacks a scope that the route requires. Status: 403. Operator: grant the scope that the cause names, or have the client request it.
	ReasonMissing gatehouse.Reason = "scopes_missing"
	// ReasonRoleMissing: the caller has none of the roles that the route accepts. Status: 403. Operator: give the caller a role at the issuer if it should have access.
	ReasonRoleMissing gatehouse.Reason = "scopes_role_missing"
)
