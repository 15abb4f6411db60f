// SPDX-License-Identifier: Apache-2.0

package tool_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/tool"
)

// A table with a tool that every caller may use, and one that a person must approve.
func Example() {
	approvals, err := approval.New(approval.Config{Store: approval.NewMemory(0), URL: "https://tools.example.com/approvals"})
	if err != nil {
		log.Fatal(err)
	}
	read, err := gatehouse.NewScopes("data:read")
	if err != nil {
		log.Fatal(err)
	}
	invoke, err := gatehouse.NewScopes("external:invoke")
	if err != nil {
		log.Fatal(err)
	}
	operators, err := gatehouse.NewRoles("operator")
	if err != nil {
		log.Fatal(err)
	}
	type topic struct {
		Topic string `json:"topic"`
	}
	type payment struct {
		To     string `json:"to"`
		Amount int    `json:"amount"`
	}
	table, err := tool.New(tool.Config{
		Classes: map[string]tool.Class{
			"read":     {Proof: tool.Proof{Kind: tool.APIKey}, Scopes: read},
			"external": {Proof: tool.Proof{Kind: tool.OwnToken}, Scopes: invoke, Approval: approval.Rule{Roles: operators}},
		},
		Tools: []tool.Tool{
			{Name: "read_public", Class: "read", Arguments: tool.Args[topic]()},
			{Name: "pay", Class: "external", Arguments: tool.Args[payment](), Check: func(_ context.Context, c *tool.Call) error {
				if c.Arguments.(*payment).Amount > 1000 {
					return errors.New("at most 1000")
				}
				return nil
			}},
		},
		Approvals: approvals,
		Facts: func(_ context.Context, p gatehouse.Principal) (tool.Facts, error) {
			if p.Kind == gatehouse.KindAgent {
				return tool.Facts{Kind: tool.OwnToken}, nil
			}
			return tool.Facts{Kind: tool.APIKey}, nil
		},
		Observer: gatehouse.Log(slog.New(slog.DiscardHandler)),
	})
	if err != nil {
		log.Fatal(err)
	}

	agent := gatehouse.Principal{
		Kind: gatehouse.KindAgent, Issuer: "https://tools.example.com", Subject: "helper-1", Tenant: "acme", Scopes: invoke, Method: "jwt",
	}
	for _, call := range []struct{ name, arguments string }{
		{"read_public", `{"topic": "hello"}`},
		{"pay", `{"to": "partner", "amount": 5000}`},
		{"pay", `{"to": "partner", "amount": 100, "amount": 5000}`},
		{"pay", `{"to": "partner", "amount": 100}`},
		{"delete_all", `{}`},
	} {
		_, err := table.Authorize(context.Background(), agent, call.name, []byte(call.arguments))
		fmt.Println(err)
	}
	// Output:
	// gatehouse: insufficient_scope (tool_scope)
	// gatehouse: access_denied (tool_constraint)
	// gatehouse: invalid_arguments (tool_arguments)
	// gatehouse: approval_required (approval_required)
	// gatehouse: access_denied (tool_unlisted)
}
