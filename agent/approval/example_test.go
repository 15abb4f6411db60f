// SPDX-License-Identifier: Apache-2.0

package approval_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
)

// An agent may pay only if a person approves the payment: request, decide, claim.
func Example() {
	ctx := context.Background()
	approvals, err := approval.New(approval.Config{
		Store: approval.NewMemory(0), // the store module has stores for several servers
		URL:   "https://tools.example.com/approvals",
	})
	if err != nil {
		log.Fatal(err)
	}
	arguments, err := approval.Canonical([]byte(`{"to": "partner", "amount": 100}`))
	if err != nil {
		log.Fatal(err)
	}
	agent := gatehouse.Key{Issuer: "https://tools.example.com", Subject: "helper-1"}
	call := approval.Call{Tenant: "acme", Subject: agent, Actor: agent, Tool: "pay", Arguments: arguments}
	operators, err := gatehouse.NewRoles("operator")
	if err != nil {
		log.Fatal(err)
	}
	rule := approval.Rule{Roles: operators}

	asked, err := approvals.Request(ctx, call, rule)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("asked:", asked.Status())

	oscar := gatehouse.Principal{ // from the gate: a person who signed in
		Kind: gatehouse.KindUser, Issuer: "https://id.example.com", Subject: "oscar", Tenant: "acme", Roles: operators, Method: "session",
	}
	decided, err := approvals.Decide(ctx, oscar, asked.ID, true, "agreed by mail")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("decided:", decided.Status())

	// Immediately before the payment. Of several claims one succeeds.
	for range 2 {
		_, err = approvals.Claim(ctx, call, rule)
		fmt.Println("claimed:", err)
	}
	// Output:
	// asked: pending
	// decided: approved
	// claimed: <nil>
	// claimed: approval not found
}
