// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

// Hold the worst case of a call, make the call, and settle what it has used.
func Example_ledger() {
	ctx := context.Background()
	ledger, err := budget.New(budget.Config{Store: budget.NewMemory(0)})
	if err != nil {
		log.Fatal(err)
	}
	line := budget.Line{
		Account: budget.Account{Tenant: "acme", Per: "key", Name: "ci"},
		Window:  budget.Rolling24h(), Max: 1000,
	}
	hold, err := ledger.Reserve(ctx, "request-1", budget.Charge{Line: line, Amount: 700})
	if err != nil {
		log.Fatal(err)
	}
	_, err = ledger.Reserve(ctx, "request-2", budget.Charge{Line: line, Amount: 700})
	fmt.Println(err)
	if err := hold.Settle(ctx, 250); err != nil {
		log.Fatal(err)
	}
	balances, err := ledger.Usage(ctx, line)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("spent", balances[0].Spent, "left", balances[0].Left())
	// Output:
	// gatehouse: budget_exceeded (budget_busy)
	// spent 250 left 750
}
