// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"testing"

	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/budget/budgettest"
)

func TestMemory(t *testing.T) {
	budgettest.TestStore(t, func(*testing.T) budget.Store { return budget.NewMemory(0) })
}
