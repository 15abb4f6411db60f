// SPDX-License-Identifier: Apache-2.0

package tenant

import "github.com/gatehouse-go/gatehouse"

// The reason for which the policies deny access.
const (
	// ReasonMismatch: the request names another tenant than that of the caller, none or several, or the caller has no tenant. Status: 403. Operator: the cause says which; many from one client may be an attempt to find tenants.
	ReasonMismatch gatehouse.Reason = "tenant_mismatch"
)
