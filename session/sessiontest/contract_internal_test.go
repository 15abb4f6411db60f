// SPDX-License-Identifier: Apache-2.0

package sessiontest

import (
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/contract"
	"github.com/gatehouse-go/gatehouse/session"
)

// TestFaults shows that the contract fails each store that breaks it, and does
// not fail the same store without a fault.
func TestFaults(t *testing.T) {
	contract.Faulty[session.Store]{
		New:     func(fault string) session.Store { return newFaulty(fault) },
		Timeout: time.Second,
	}.TestFaults(t, rulesOf(), faults)
}
