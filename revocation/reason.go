// SPDX-License-Identifier: Apache-2.0

package revocation

import "github.com/gatehouse-go/gatehouse"

// Reasons of errors.
const (
	// ReasonStoreUnavailable: the store of the revocations failed, and the tokens may not be revoked. Status: 503. Operator: check the database that the cause names; revoke again.
	ReasonStoreUnavailable gatehouse.Reason = "revocation_store_unavailable"
)
