// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

// report is what the page shows: the budgets of a tenant.
type report struct {
	Tenant   string           `json:"tenant"`
	Time     time.Time        `json:"time"`
	Budgets  []budget.Balance `json:"budgets"`
	SignedIn bool             `json:"-"` // by a session, which can end
}

// group is the budgets of one kind of account.
type group struct {
	Title   string
	Budgets []view
}

// view is a budget as people read it.
type view struct {
	budget.Balance
	now time.Time
}

// titles are the kinds of accounts in the order of the page.
var titles = []struct{ per, title string }{
	{perTenant, "Tenant"},
	{perTenantTier, "Tiers"},
	{perKey, "API keys"},
	{perSubject, "Subjects"},
	{perAgent, "Agents"},
	{"token", "Tokens"},
	{"model", "Models, without a limit"},
}

// Groups returns the budgets by kind of account, the fullest first.
func (r report) Groups() []group {
	var groups []group
	for _, t := range titles {
		g := group{Title: t.title}
		for _, b := range r.Budgets {
			if b.Account.Per == t.per {
				g.Budgets = append(g.Budgets, view{b, r.Time})
			}
		}
		slices.SortStableFunc(g.Budgets, func(a, b view) int {
			if !a.Limited() {
				return cmp.Compare(b.Spent, a.Spent)
			}
			return cmp.Compare(b.share(b.Spent), a.share(a.Spent))
		})
		if len(g.Budgets) > 0 {
			groups = append(groups, g)
		}
	}
	return groups
}

// Limited reports whether the budget has a limit: see spentOn.
func (v view) Limited() bool { return v.Max < budget.MaxAmount }

// share returns a part of the limit in percent, also above 100.
func (v view) share(tokens int64) float64 { return 100 * float64(tokens) / float64(max(v.Max, 1)) }

// Percent is what was spent, in percent.
func (v view) Percent() int { return int(v.share(v.Spent)) }

// SpentEnd and HeldEnd are where the bars end.
func (v view) SpentEnd() float64 { return min(v.share(v.Spent), 100) }

// HeldEnd is where the bar of the calls in progress ends.
func (v view) HeldEnd() float64 { return min(v.share(v.Spent+v.Held), 100) }

// Level is the class of a budget that is nearly or wholly spent.
func (v view) Level() string {
	switch percent := v.Percent(); {
	case !v.Limited() || percent < 80:
		return "good"
	case percent < 100:
		return "near"
	}
	return "full"
}

// Used, InProgress and Limit are numbers of tokens.
func (v view) Used() string { return grouped(v.Spent) }

// InProgress is what calls in progress hold.
func (v view) InProgress() string { return grouped(v.Held) }

// Limit is the limit.
func (v view) Limit() string { return grouped(v.Max) }

// grouped writes a number with thin spaces between its thousands.
func grouped(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "\u202f" + digits[at:]
	}
	return digits
}

// Period names the window.
func (v view) Period() string {
	name := v.Window.Name()
	if name == "rolling_24h" {
		return "last 24 hours"
	}
	return strings.ReplaceAll("per "+name, "per life", "for its life")
}

// Resets says when the window ends, "" if it does not.
func (v view) Resets() string {
	left := v.End.Sub(v.now)
	switch name := v.Window.Name(); {
	case name == "life" || name == "rolling_24h":
		return ""
	case left >= 48*time.Hour:
		return "in " + strconv.Itoa(int(left.Hours()/24)) + " days"
	case left >= 2*time.Hour:
		return "in " + strconv.Itoa(int(left.Hours())) + " hours"
	case left >= 2*time.Minute:
		return "in " + strconv.Itoa(int(left.Minutes())) + " minutes"
	}
	return "in " + strconv.Itoa(max(int(left.Seconds()), 0)) + " seconds"
}
