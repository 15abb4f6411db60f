// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// ExceededError says which budget has no capacity for a call. It is the Cause of a
// [gatehouse.Error].
type ExceededError struct {
	Balance Balance // zero Spent and Held if Never
	Amount  int64   // what the call may cost

	// Never is true if the call does not fit even into an empty budget. Busy is true if
	// the call would fit without the holds of calls in progress. If both are false, the
	// budget is exhausted until Until, permanently if Until is zero.
	Never, Busy bool
	Until       time.Time
}

// Error names the budget and its state.
func (e *ExceededError) Error() string {
	b := &e.Balance
	return fmt.Sprintf("budget: %s %s, window %s: %d needed; max %d, spent %d, held %d",
		b.Account.Per, b.Account.Name, b.Window, e.Amount, b.Max, b.Spent, b.Held)
}

// exceeded returns the refusal of a call for which a budget has no capacity.
func (l *Ledger) exceeded(ctx context.Context, c *Charge, result Result) error {
	if len(result.Counts) != 1 {
		return errors.New("budget: store: no count of the budget without capacity")
	}
	cause := &ExceededError{Balance: c.balance(result.At, result.Counts[0]), Amount: c.Amount}
	e := &gatehouse.Error{Code: CodeExhausted, Reason: ReasonBusy, RetryAfter: retryBusy, Cause: cause}
	left := cause.Balance.End.Sub(result.At)
	if cause.Balance.Spent+c.Amount <= c.Line.Max-c.Line.Spare {
		cause.Busy = true
		if c.Line.Window.kind != life {
			e.RetryAfter = min(e.RetryAfter, left)
		}
	} else {
		e.Reason = ReasonExhausted
		switch c.Line.Window.kind {
		case life:
			e.Code, e.RetryAfter = CodeExceeded, 0
		case rolling:
			cause.Until = l.freed(ctx, c, result.At)
			e.RetryAfter = cause.Until.Sub(result.At)
		default:
			cause.Until, e.RetryAfter = cause.Balance.End, left
		}
	}
	e.Header = make(http.Header)
	rateLimit(e.Header, []Balance{cause.Balance}, result.At, cause.Until)
	return e
}

// freed returns the time at which a rolling window has capacity for the call again.
func (l *Ledger) freed(ctx context.Context, c *Charge, at time.Time) time.Time {
	start, end := c.Line.Window.Span(at)
	counters, _, _ := l.store.Read(ctx, c.Line.Account.Tenant, c.Line.account(), c.Line.Window.String(), start)
	spent := int64(0)
	for _, counter := range counters {
		spent += counter.Spent
	}
	for _, counter := range counters {
		if spent -= counter.Spent; spent+c.Amount <= c.Line.Max-c.Line.Spare {
			return counter.End
		}
	}
	return end
}
