// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// budgetLine is a budget of the configuration.
type budgetLine struct {
	config budgetConfig
	window budget.Window
}

// line returns the budget of an account, and false if the caller has no such account.
// tier is that of the model.
func (b budgetLine) line(p gatehouse.Principal, tier string) (budget.Line, bool) {
	account, ok := budget.Account{Tenant: p.Tenant, Per: b.config.Per}, true
	switch b.config.Per {
	case perKey:
		account, ok = budget.KeyAccount(p), p.Method == apikey.Method
	case perSubject:
		account = budget.SubjectAccount(p)
	case perTenant:
		account.Name = p.Tenant
	case perTenantTier:
		account.Name, ok = tier, tier != ""
	case perAgent:
		account, ok = agentOf(p)
	}
	return budget.Line{Account: account, Window: b.window, Max: b.config.MaxTokens, Warn: b.config.Warn}, ok
}

// agentOf returns the account of the agent that acts, and false if there is none. The
// token of an agent has the type agent.
func agentOf(p gatehouse.Principal) (budget.Account, bool) {
	var claims struct {
		Type string `json:"type"`
	}
	if err := p.Claims.Decode(&claims); err == nil && claims.Type == "agent" && p.Method != apikey.Method {
		p.Kind = gatehouse.KindAgent
	}
	return budget.AgentAccount(p)
}

// lines returns the budgets of a call for a model of the tier, and the limit for one
// request.
func (a *app) lines(p gatehouse.Principal, tier string) ([]budget.Line, *int64, error) {
	caps, err := budget.CapsOf(p)
	if err != nil {
		return nil, nil, err
	}
	lines := caps.Lines(p)
	for _, b := range a.budgets {
		if line, ok := b.line(p, tier); ok {
			lines = append(lines, line)
		}
	}
	return lines, caps.PerRequest, nil
}

// spentOn counts the tokens of a model of a tenant, without a limit, for the page.
func spentOn(p gatehouse.Principal, m model.Model) budget.Line {
	return budget.Line{Account: budget.Account{Tenant: p.Tenant, Per: "model", Name: m.Name}, Window: budget.Day(nil), Max: budget.MaxAmount}
}

// usage returns the budgets of the caller.
func (a *app) usage(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	lines, _, err := a.lines(p, "")
	if err != nil {
		gatehouse.Refuse(w, r, err)
		return
	}
	for _, b := range a.budgets {
		if b.config.Per != perTenantTier {
			continue
		}
		for _, tier := range a.tiers {
			if p.Scopes.Has(model.Scope(tier)) {
				line, _ := b.line(p, tier)
				lines = append(lines, line)
			}
		}
	}
	balances, err := a.ledger.Usage(r.Context(), lines...)
	if err != nil {
		gatehouse.Refuse(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"budgets": append([]budget.Balance{}, balances...)})
}

// listModels returns the models that the caller may use, in the formats of both APIs, and
// the aliases with their models.
func (a *app) listModels(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	type entry struct {
		ID          string `json:"id"`
		Object      string `json:"object"`
		Type        string `json:"type"`
		Created     int64  `json:"created"`
		CreatedAt   string `json:"created_at"`
		DisplayName string `json:"display_name"`
		OwnedBy     string `json:"owned_by"`
		Root        string `json:"root"`
	}
	data := []entry{} // never null
	add := func(id, root string) {
		data = append(data, entry{id, "model", "model", 0, "1970-01-01T00:00:00Z", id, "llmgateway", root})
	}
	for _, m := range a.models.Models(p) {
		add(m.Name, m.Name)
	}
	aliases := a.models.Aliases(p)
	for _, alias := range sorted(aliases) {
		add(alias, aliases[alias])
	}
	list := map[string]any{"object": "list", "data": data, "has_more": false, "first_id": nil, "last_id": nil}
	if len(data) > 0 {
		list["first_id"], list["last_id"] = data[0].ID, data[len(data)-1].ID
	}
	writeJSON(w, http.StatusOK, list)
}
