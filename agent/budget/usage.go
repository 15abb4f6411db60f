// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// maxBalances limits the budgets of a tenant that [Ledger.Tenant] returns.
const maxBalances = 10_000

// Usage returns the state of budgets, in the order of the lines. The error is a
// [*gatehouse.Error] of status 503.
func (l *Ledger) Usage(ctx context.Context, lines ...Line) ([]Balance, error) {
	balances := make([]Balance, 0, len(lines))
	for i := range lines {
		if err := lines[i].check(); err != nil {
			return nil, invalid(err)
		}
		b, err := l.read(ctx, &lines[i], l.clock(time.Now()))
		if err != nil {
			return nil, unavailable(err)
		}
		balances = append(balances, b)
	}
	return balances, nil
}

// read returns the state of a budget. If the clock of the store is in another window than
// at, it reads again.
func (l *Ledger) read(ctx context.Context, line *Line, at time.Time) (Balance, error) {
	c := Charge{Line: *line}
	for second := false; ; second = true {
		e := c.entry(at)
		counters, now, err := l.store.Read(ctx, line.Account.Tenant, e.Account, e.Window, e.Since)
		if err != nil {
			return Balance{}, err
		}
		if !second && (now.Before(e.Start) || !now.Before(e.Next)) {
			at = now
			continue
		}
		var sum Count
		for _, counter := range counters {
			if line.Window.kind == rolling || counter.Start.Equal(e.Start) { // the store may return later ones
				sum.Spent += counter.Spent
				sum.Held += counter.Held
			}
		}
		return c.balance(at, sum), nil
	}
}

// Tenant returns the state of all budgets of a tenant that were used in their current
// window, up to 10,000, in the order of account and window. Max is the limit of the
// latest call. The error is a [*gatehouse.Error] of status 503.
func (l *Ledger) Tenant(ctx context.Context, tenant string) ([]Balance, error) {
	counters, now, err := l.store.List(ctx, tenant, maxBalances)
	if err != nil {
		return nil, unavailable(err)
	}
	var balances []Balance
	for _, c := range counters {
		account, unit, err := parseAccount(tenant, c.Account)
		if err != nil {
			return nil, unavailable(err)
		}
		w, err := parseWindow(c.Window)
		if err != nil {
			return nil, unavailable(err)
		}
		if w.kind == life && !c.End.Equal(forever) {
			w = Life(c.End)
		}
		b := Balance{Account: account, Window: w, Unit: unit, Start: c.Start, End: c.End, Max: c.Max, Spent: c.Spent, Held: c.Held}
		if w.kind == rolling {
			b.Start, b.End = w.Span(now)
		}
		if n := len(balances) - 1; w.kind == rolling && n >= 0 && balances[n].Account == account && balances[n].Unit == unit && balances[n].Window == w {
			balances[n].Spent += b.Spent
			balances[n].Held += b.Held
			balances[n].Max = b.Max
			continue
		}
		balances = append(balances, b)
	}
	slices.SortStableFunc(balances, func(a, b Balance) int {
		return cmp.Or(cmp.Compare(a.Account.Per, b.Account.Per), cmp.Compare(a.Account.Name, b.Account.Name), cmp.Compare(a.Window.String(), b.Window.String()))
	})
	return balances, nil
}

// The names of the fields and parameters of draft-ietf-httpapi-ratelimit-headers-11.
const (
	headerPolicy    = "Ratelimit-Policy"
	headerLimit     = "Ratelimit"
	paramQuota      = ";q="
	paramWindow     = ";w="
	paramRemaining  = ";r="
	paramEffectiveT = ";t="
)

// rateLimit sets the header fields of draft-ietf-httpapi-ratelimit-headers-11 for
// budgets. until is the time at which there is capacity again, zero if unknown.
func rateLimit(header http.Header, balances []Balance, at, until time.Time) {
	var buffers [2][96]byte
	policies, limits := buffers[0][:0], buffers[1][:0]
	for i := range balances {
		b := &balances[i]
		if b.Max == MaxAmount {
			continue // the line only counts: it has no limit
		}
		begin := len(policies)
		if begin > 0 {
			policies, limits = append(policies, ", "...), append(limits, ", "...)
			begin = len(policies)
		}
		policies = append(append(policies, '"'), b.Account.Per...)
		if b.Unit != Tokens {
			policies = append(append(policies, '-'), b.Unit...)
		}
		policies = append(append(append(policies, '-'), b.Window.String()...), '"')
		limits = append(limits, policies[begin:]...)
		policies = strconv.AppendInt(append(policies, paramQuota...), b.Max, 10)
		limits = strconv.AppendInt(append(limits, paramRemaining...), b.Left(), 10)
		if b.Window.kind != life {
			policies = strconv.AppendInt(append(policies, paramWindow...), seconds(b.End.Sub(b.Start)), 10)
			reset := b.End
			if !until.IsZero() {
				reset = until
			}
			limits = strconv.AppendInt(append(limits, paramEffectiveT...), seconds(reset.Sub(at)), 10)
		}
	}
	if len(policies) > 0 {
		values := []string{string(policies), string(limits)}
		header[headerPolicy], header[headerLimit] = values[:1:1], values[1:]
	}
}

// seconds returns a duration in whole seconds, rounded up.
func seconds(d time.Duration) int64 { return int64(max(d+time.Second-1, 0) / time.Second) }
