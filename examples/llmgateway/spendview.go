// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

// maxRows is the maximum number of accounts of a kind on the page.
const maxRows = 25

// report is the data of the page: the budgets of a tenant.
type report struct {
	Tenant   string           `json:"tenant"`
	Time     time.Time        `json:"time"`
	Budgets  []budget.Balance `json:"budgets"`
	SignedIn bool             `json:"-"` // by a session, which can end
}

// group is the part of the page for one kind of account.
type group struct {
	Title string
	Rows  []row
	More  int
}

// row is one budget as the page shows it. Widths are in percent.
type row struct {
	Name, Window, Percent, Text, Resets, State string

	Spent, Held float64

	used int64 // spent and held
}

// kinds are the kinds of accounts, in the order of the page.
var kinds = []struct{ per, title string }{
	{perTenant, "Tenant"},
	{perTenantTier, "Model tiers"},
	{"model", "Models"},
	{perKey, "API keys"},
	{perSubject, "Subjects"},
	{perAgent, "Agents"},
	{"token", "Tokens"},
}

// Groups returns the budgets as the page shows them: those that are used most first.
func (r report) Groups() []group {
	var groups []group
	for _, kind := range kinds {
		var balances []budget.Balance
		most := int64(1)
		for _, b := range r.Budgets {
			if b.Account.Per == kind.per {
				balances, most = append(balances, b), max(most, b.Spent+b.Held)
			}
		}
		if len(balances) == 0 {
			continue
		}
		g := group{Title: kind.title}
		for _, b := range balances {
			g.Rows = append(g.Rows, newRow(b, most, r.Time))
		}
		slices.SortStableFunc(g.Rows, func(a, b row) int {
			return cmp.Or(cmp.Compare(b.Spent+b.Held, a.Spent+a.Held), cmp.Compare(b.used, a.used), cmp.Compare(a.Name, b.Name))
		})
		if len(g.Rows) > maxRows {
			g.More, g.Rows = len(g.Rows)-maxRows, g.Rows[:maxRows]
		}
		groups = append(groups, g)
	}
	return groups
}

// newRow returns the row of a balance. The bar of an account without a limit is
// relative to the largest of its kind, most.
func newRow(b budget.Balance, most int64, now time.Time) row {
	r := row{
		Name: cmp.Or(b.Account.Name, b.Account.Tenant), Window: strings.ReplaceAll(b.Window.Name(), "_", " "),
		used: b.Spent + b.Held, Resets: resets(b.End, now),
	}
	of := b.Max
	if b.Max == budget.MaxAmount {
		of = most
		r.Text = number(b.Spent) + " tokens"
	} else {
		r.Text = number(b.Spent) + " of " + number(b.Max) + " tokens"
		r.Percent = strconv.FormatInt(share(r.used, b.Max), 10) + " %"
		switch {
		case r.used >= b.Max:
			r.State = "full"
		case share(r.used, b.Max) >= 80:
			r.State = "near"
		}
	}
	if b.Held > 0 {
		r.Text += ", " + number(b.Held) + " held"
	}
	r.Spent = width(b.Spent, of)
	r.Held = min(width(b.Held, of), 100-r.Spent)
	return r
}

// share returns the percentage, rounded down. It is 100 if both are zero.
func share(part, whole int64) int64 {
	if whole == 0 {
		return 100
	}
	return int64(float64(part) / float64(whole) * 100)
}

// width is share to the tenth, and at most 100.
func width(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return min(float64(int64(float64(part)/float64(whole)*1000))/10, 100)
}

// number returns n with separators.
func number(n int64) string {
	text := strconv.FormatInt(n, 10)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// resets says when a window ends, in its largest two units.
func resets(end, now time.Time) string {
	left := end.Sub(now).Round(time.Second)
	switch days := int(left.Hours()) / 24; {
	case end.IsZero():
		return ""
	case left <= 0:
		return "resets now"
	case days > 3650:
		return "" // a life without an end
	case days > 0:
		return fmt.Sprintf("resets in %d d %d h", days, int(left.Hours())%24)
	case left >= time.Hour:
		return fmt.Sprintf("resets in %d h %d min", int(left.Hours()), int(left.Minutes())%60)
	case left >= time.Minute:
		return fmt.Sprintf("resets in %d min", int(left.Minutes()))
	default:
		return fmt.Sprintf("resets in %d s", int(left.Seconds()))
	}
}
