// SPDX-License-Identifier: Apache-2.0

package tenant

import "github.com/gatehouse-go/gatehouse"

// The reasons of the package.
const (
	// ReasonMismatch: the request names another tenant than that of the caller, none or several, or the caller has no tenant. Status: 403. Operator: the cause says which; many from one client may be an attempt to find tenants.
	ReasonMismatch gatehouse.Reason = "tenant_mismatch"
	// ReasonDatabaseUnavailable: the database of a Tx did not begin or commit the transaction, or did not set the tenant. Status: 503. Operator: check the database that the cause names.
	ReasonDatabaseUnavailable gatehouse.Reason = "tenant_database_unavailable"
)
