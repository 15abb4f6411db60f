// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

func TestRows(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	balance := func(per, name string, max, spent, held int64, end time.Time) budget.Balance {
		return budget.Balance{Account: budget.Account{Tenant: "acme", Per: per, Name: name}, Window: budget.Day(nil), Max: max, Spent: spent, Held: held, End: end}
	}
	r := report{Tenant: "acme", Time: now, Budgets: []budget.Balance{
		balance("key", "low", 1000, 100, 0, now.Add(12*time.Hour)),
		balance("key", "near", 1000, 700, 100, now.Add(59*time.Second)),
		balance("key", "over", 1000, 1234, 0, now.Add(49*time.Hour)),
		balance("key", "none", 0, 0, 0, now),
		balance("model", "small", budget.MaxAmount, 1234567, 0, now.Add(90*time.Second)),
		balance("model", "large", budget.MaxAmount, 0, 617283, time.Time{}),
		balance("tenant", "", 3, 1, 0, now.Add(100*365*24*time.Hour)),
	}}
	want := []group{
		{Title: "Tenant", Rows: []row{{Name: "acme", Window: "day", Percent: "33 %", Text: "1 of 3 tokens", Spent: 33.3, used: 1}}},
		{Title: "Models", Rows: []row{
			{Name: "small", Window: "day", Text: "1,234,567 tokens", Resets: "resets in 1 min", Spent: 100, used: 1234567},
			{Name: "large", Window: "day", Text: "0 tokens, 617,283 held", Held: 49.9, used: 617283},
		}},
		{Title: "API keys", Rows: []row{
			{Name: "over", Window: "day", Percent: "123 %", Text: "1,234 of 1,000 tokens", Resets: "resets in 2 d 1 h", State: "full", Spent: 100, used: 1234},
			{Name: "near", Window: "day", Percent: "80 %", Text: "700 of 1,000 tokens, 100 held", Resets: "resets in 59 s", State: "near", Spent: 70, Held: 10, used: 800},
			{Name: "low", Window: "day", Percent: "10 %", Text: "100 of 1,000 tokens", Resets: "resets in 12 h 0 min", Spent: 10, used: 100},
			{Name: "none", Window: "day", Percent: "100 %", Text: "0 of 0 tokens", Resets: "resets now", State: "full"},
		}},
	}
	if diff := cmp.Diff(want, r.Groups(), cmp.AllowUnexported(row{})); diff != "" {
		t.Errorf("Groups() (-want +got):\n%s", diff)
	}
	for range maxRows + 5 {
		r.Budgets = append(r.Budgets, balance("subject", "s", 10, 1, 0, now))
	}
	for _, g := range r.Groups() {
		if g.Title == "Subjects" && (len(g.Rows) != maxRows || g.More != 5) {
			t.Errorf("%d rows and %d more, want %d and 5", len(g.Rows), g.More, maxRows)
		}
	}
}
