// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// plan is a call in the form of the store: charges without duplicates, in the order of
// their counters.
type plan struct {
	tenant  string
	charges []Charge
	index   []int // for each charge of the call, its index in charges
}

func invalid(err error) *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonInvalid, Cause: err}
}

// newPlan checks the charges. It merges two charges to one counter, with the smaller
// limit: they are two rules for the same call.
func newPlan(charges []Charge) (*plan, error) {
	p := &plan{index: make([]int, len(charges)), charges: make([]Charge, 0, len(charges))}
	order := make([]int, len(charges))
	names := make([]string, len(charges))
	for i := range charges {
		c := &charges[i]
		if err := c.Line.check(); err != nil {
			return nil, err
		}
		switch {
		case c.Amount < 0 || c.Amount > MaxAmount:
			return nil, fmt.Errorf("budget: Charge.Amount: %d: must be from 0 to %d", c.Amount, int64(MaxAmount))
		case c.Floor < 0 || c.Floor > c.Amount:
			return nil, fmt.Errorf("budget: Charge.Floor: %d: must be from 0 to Amount", c.Floor)
		case c.Line.Account.Tenant != charges[0].Line.Account.Tenant:
			return nil, errors.New("budget: a call has accounts of two tenants")
		}
		order[i] = i
		if len(charges) > 1 {
			names[i] = c.Line.account() + "\x00" + c.Line.Window.String()
		}
	}
	if len(charges) == 0 || len(charges) > 64 {
		return nil, fmt.Errorf("budget: a call has %d charges: must be 1 to 64", len(charges))
	}
	p.tenant = charges[0].Line.Account.Tenant
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(names[a], names[b]) })
	for n, i := range order {
		if n > 0 && names[i] == names[order[n-1]] {
			last := &p.charges[len(p.charges)-1]
			if last.Amount != charges[i].Amount {
				return nil, fmt.Errorf("budget: two charges to the account %s differ in their amount", charges[i].Line.account())
			}
			if charges[i].Line.Max-charges[i].Line.Spare < last.Line.Max-last.Line.Spare {
				last.Line = charges[i].Line
			}
		} else {
			p.charges = append(p.charges, charges[i])
		}
		p.index[i] = len(p.charges) - 1
	}
	return p, nil
}

func (p *plan) entries(at time.Time) []Entry {
	entries := make([]Entry, len(p.charges))
	for i := range p.charges {
		entries[i] = p.charges[i].entry(at)
	}
	return entries
}

// balance returns the state of a budget at a time.
func (c *Charge) balance(at time.Time, count Count) Balance {
	start, end := c.Line.Window.Span(at)
	return Balance{
		Account: c.Line.Account, Window: c.Line.Window, Unit: c.Line.Unit,
		Start: start, End: end, Max: c.Line.Max, Spent: count.Spent, Held: count.Held,
	}
}

// without returns the plan without the charges that have a part.
func (p *plan) without(parts []*part) *plan {
	rest := &plan{tenant: p.tenant, index: make([]int, len(p.charges))}
	if parts == nil {
		rest.charges = p.charges // shared, but never changed: Extend replaces the slice
	}
	for i := range p.charges {
		switch {
		case parts == nil:
			rest.index[i] = i
		case parts[i] == nil:
			rest.index[i] = len(rest.charges)
			rest.charges = append(rest.charges, p.charges[i])
		default:
			rest.index[i] = -1
		}
	}
	return rest
}
