// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
)

func TestThresholdsAndOverrunsAreReported(t *testing.T) {
	for _, w := range []budget.Window{budget.Day(nil), budget.Rolling24h()} {
		synctest.Test(t, func(t *testing.T) {
			observer := &events{}
			l := newLedger(t, budget.Config{Observer: observer})
			line := keyLine(99) // of which the parts are rounded up
			line.Window, line.Warn = w, []float64{0.5, 0.8, 1}
			for i, used := range []int64{49, 1, 10, 29, 25} {
				time.Sleep(time.Hour) // which a rolling window counts by itself
				h := reserve(t, l, fmt.Sprint(i), charge(line, min(used, 10)))
				caller := gatehouse.Principal{Subject: "ann", Tenant: "parent", Issuer: "issuer", Credential: "c1"}
				if i == 0 {
					caller = gatehouse.Principal{}
				}
				noError(t, h.Settle(gatehouse.NewContext(t.Context(), caller), used))
			}
			want := []gatehouse.EventType{
				budget.EventOverrun, budget.EventThreshold, budget.EventThreshold, budget.EventOverrun, budget.EventThreshold, budget.EventOverrun,
			}
			if diff := cmp.Diff(want, observer.types()); diff != "" {
				t.Errorf("%v: events (-want +got):\n%s", w, diff)
			}
			if p := observer.all[0].Principal; p.Tenant != "acme" {
				t.Errorf("the event has the tenant %q, want acme", p.Tenant)
			}
			attrs := func(spent int64, more ...slog.Attr) []slog.Attr {
				return append([]slog.Attr{
					slog.String("per", "key"), slog.String("account", "k1"), slog.String("window", w.String()), slog.String("unit", ""),
					slog.Int64("max", 99), slog.Int64("spent", spent), slog.Int64("held", 0),
				}, more...)
			}
			for n, want := range [][]slog.Attr{attrs(0, slog.Int64("hold", 10), slog.Int64("used", 49)), attrs(50, slog.Float64("part", 0.5))} {
				if got := observer.all[n].Attrs; !slices.EqualFunc(got, want, slog.Attr.Equal) {
					t.Errorf("%v: attributes = %v, want %v", w, got, want)
				}
			}
			if e := observer.all[1]; e.Principal.Subject != "ann" || e.Principal.Tenant != "parent" || e.Issuer != "issuer" || e.Credential != "c1" {
				t.Errorf("event = %+v, want one of the caller", e)
			}
			expect(t, "with an overrun, which is charged in full", l, line, 114, 0)
		})
	}
}

func TestExhaustedUntil(t *testing.T) {
	for _, test := range []struct {
		window budget.Window
		spent  []int64       // in hours that follow each other
		until  time.Duration // from the call on
		status int
	}{
		{budget.Minute(), []int64{95}, 60 * time.Second, 429},
		{budget.Day(nil), []int64{95}, 24 * time.Hour, 429},
		{budget.Rolling24h(), []int64{5, 90}, 24 * time.Hour, 429}, // when the first hour ends
		{budget.Rolling24h(), []int64{2, 93}, 25 * time.Hour, 429}, // not before the second hour ends
		{budget.Rolling24h(), append(append([]int64{90}, make([]int64, 25)...), 2, 93), 25 * time.Hour, 429},
		{budget.Life(time.Time{}), []int64{95}, 0, 403},
		{budget.Life(time.Unix(1, 0)), []int64{95}, 0, 403}, // of a token that has expired during the call
	} {
		synctest.Test(t, func(t *testing.T) { // its clock begins at midnight
			l := newLedger(t, budget.Config{})
			line := keyLine(150)
			line.Window, line.Spare = test.window, 50
			for i, spent := range test.spent {
				time.Sleep(time.Duration(min(i, 1)) * time.Hour)
				_ = reserve(t, l, fmt.Sprint(-i), charge(line, spent)).Settle(t.Context(), spent)
			}
			_, err := l.Reserve(t.Context(), "2", charge(line, 10))
			e, cause := refused(t, test.window.String(), err, test.status, budget.ReasonExhausted)
			if cause.Busy || e.RetryAfter != test.until {
				t.Errorf("%v: Retry-After %v, %+v, want %v", test.window, e.RetryAfter, cause, test.until)
			}
			if want := "budget: key k1, window " + test.window.String() + ": 10 needed; max 150, spent 95, held 0"; cause.Error() != want {
				t.Errorf("cause = %v, want %s", &cause, want)
			}
			if test.status != 429 {
				return
			}
			if limit, want := e.Header.Get("RateLimit"), fmt.Sprintf(`"key-%v";r=55;t=%v`, test.window, test.until.Seconds()); limit != want {
				t.Errorf("RateLimit = %s, want %s", limit, want)
			}
			time.Sleep(test.until - time.Microsecond)
			if _, err := l.Reserve(t.Context(), "3", charge(line, 10)); err == nil {
				t.Errorf("%v: capacity before the end of the window", test.window)
			}
			time.Sleep(time.Microsecond)
			reserve(t, l, "at the end of the window", charge(line, 10))
		})
	}
}

// A call for which calls in progress leave no capacity may try again soon, and at the
// end of the window at the latest.
func TestBusyUntil(t *testing.T) {
	for window, want := range map[budget.Window]time.Duration{
		budget.Minute(): time.Second / 2, budget.Day(nil): 2 * time.Second, budget.Life(time.Unix(1, 0)): 2 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(59*time.Second + time.Second/2)
			l := newLedger(t, budget.Config{})
			line := keyLine(100)
			line.Window = window
			start, end := window.Span(time.Now())
			if b := reserve(t, l, "1", charge(line, 60)).Balances[0]; b.Start != start || b.End != end {
				t.Errorf("%v: balance from %v to %v, want %v to %v", window, b.Start, b.End, start, end)
			}
			_, err := l.Reserve(t.Context(), "2", charge(line, 60))
			if e, cause := refused(t, window.String(), err, 429, budget.ReasonBusy); !cause.Busy || e.RetryAfter != want {
				t.Errorf("%v: Retry-After %v, %+v, want busy and %v", window, e.RetryAfter, cause, want)
			}
		})
	}
}

// An hour of a rolling window ends when all of it is older than 24 hours.
func TestRollingWindowNeverUndercounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t, budget.Config{})
		line := keyLine(1_000_000)
		line.Window = budget.Rolling24h()
		var spent []time.Time
		for i := range 300 {
			time.Sleep(time.Duration(i%7) * 13 * time.Minute)
			_ = reserve(t, l, fmt.Sprint(i), charge(line, 1)).Settle(t.Context(), 1)
			spent = append(spent, time.Now())
			within := func(d time.Duration) (n int64) {
				for _, at := range spent {
					if time.Since(at) < d {
						n++
					}
				}
				return n
			}
			if got, _ := state(t, l, line); got < within(24*time.Hour) || got > within(25*time.Hour) {
				t.Fatalf("spent = %d, want from %d to %d", got, within(24*time.Hour), within(25*time.Hour))
			}
		}
	})
}

func TestBalanceJSON(t *testing.T) {
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	got, err := json.Marshal(budget.Balance{
		Account: budget.Account{Tenant: "acme", Per: "key", Name: "ci"}, Window: budget.Day(nil),
		Start: start, End: start.AddDate(0, 0, 1), Max: 100, Spent: 7, Held: 3,
	})
	const want = `{"per":"key","account":"ci","window":"day","start":"2026-03-01T00:00:00Z","end":"2026-03-02T00:00:00Z","max":100,"spent":7,"held":3}`
	if string(got) != want || err != nil {
		t.Errorf("Marshal(Balance) = %s, %v, want %s", got, err, want)
	}
}
