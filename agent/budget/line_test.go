// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
)

func TestNewReportsAllErrors(t *testing.T) {
	var nothing *budget.Memory
	_, err := budget.New(budget.Config{Store: nothing, Hold: time.Millisecond, Nodes: -1, AllowUnrecorded: -1, Observer: (*events)(nil)})
	for _, field := range []string{"Store", "Hold", "Nodes", "AllowUnrecorded", "Observer"} {
		if err == nil || !strings.Contains(err.Error(), "Config."+field+":") {
			t.Errorf("New() = %v, want an error for %s", err, field)
		}
	}
}

// Each limit of a configuration is accepted, and nothing beyond.
func TestNewChecksLimits(t *testing.T) {
	for _, test := range []struct {
		config budget.Config
		want   string // "" for none
	}{
		{budget.Config{Hold: 10 * time.Millisecond, Nodes: 1_000_000, AllowUnrecorded: budget.MaxAmount}, ""},
		{budget.Config{Hold: 24 * time.Hour}, ""},
		{budget.Config{Hold: 24*time.Hour + 1}, "Hold: 24h0m0.000000001s: must be from 10ms to 24h0m0s"},
		{budget.Config{Nodes: 1_000_001}, "Nodes: 1000001: must be"},
		{budget.Config{AllowUnrecorded: budget.MaxAmount + 1}, "AllowUnrecorded: 9007199254740992: must be"},
	} {
		test.config.Store = budget.NewMemory(0)
		if _, err := budget.New(test.config); (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("New(%+v) = %v, want %q", test.config, err, test.want)
		}
	}
}

func TestReserveChecksItsCharges(t *testing.T) {
	l := newLedger(t, budget.Config{})
	good := func() budget.Charge { return budget.Charge{Line: keyLine(100), Amount: 10} }
	for _, test := range []struct {
		text   string
		change func(c *budget.Charge)
	}{
		{"Charge.Amount:", func(c *budget.Charge) { c.Amount = -1 }},
		{"Charge.Amount:", func(c *budget.Charge) { c.Amount = budget.MaxAmount + 1 }},
		{"Charge.Floor:", func(c *budget.Charge) { c.Floor = 11 }},
		{"Charge.Floor:", func(c *budget.Charge) { c.Floor = -1 }},
		{"Account.Tenant:", func(c *budget.Charge) { c.Line.Account.Tenant = "a\n" }},
		{`Account.Per: "Key":`, func(c *budget.Charge) { c.Line.Account.Per = "Key" }},
		{"Account.Per:", func(c *budget.Charge) { c.Line.Account.Per = "" }},
		{"Account.Per:", func(c *budget.Charge) { c.Line.Account.Per = strings.Repeat("k", 65) }},
		{"Account.Per:", func(c *budget.Charge) { c.Line.Account.Per = "a{" }},
		{"Account.Name:", func(c *budget.Charge) { c.Line.Account.Name = "" }},
		{"Account.Name:", func(c *budget.Charge) { c.Line.Account.Name = "a\n" }},
		{"Unit:", func(c *budget.Charge) { c.Line.Unit = "micro/usd" }},
		{"Window: required", func(c *budget.Charge) { c.Line.Window = budget.Window{} }},
		{"Max: 9007199254740992:", func(c *budget.Charge) { c.Line.Max = budget.MaxAmount + 1 }},
		{"Max: -1:", func(c *budget.Charge) { c.Line.Max = -1 }},
		{"Spare: 101:", func(c *budget.Charge) { c.Line.Spare = 101 }},
		{"Spare: -1:", func(c *budget.Charge) { c.Line.Spare = -1 }},
		{"Chunk: -1:", func(c *budget.Charge) { c.Line.Chunk = -1 }},
		{"Chunk: 9007199254740992:", func(c *budget.Charge) { c.Line.Chunk = budget.MaxAmount + 1 }},
		{"Warn:", func(c *budget.Charge) { c.Line.Warn = []float64{math.NaN()} }},
		{"Warn:", func(c *budget.Charge) { c.Line.Warn = []float64{0} }},
		{"Warn:", func(c *budget.Charge) { c.Line.Warn = []float64{1.01} }},
		{"two tenants", func(c *budget.Charge) { c.Line.Account.Tenant = "other" }},
	} {
		c := good()
		test.change(&c)
		_, err := l.Reserve(t.Context(), "1", good(), c)
		e, _ := refusal(t, err)
		if e.Reason != budget.ReasonInvalid || e.Code.Status() != 503 || !strings.Contains(e.Cause.Error(), test.text) {
			t.Errorf("Reserve with a wrong %s = %v: %v", test.text, e, e.Cause)
		}
	}
	limits := good()
	limits.Amount, limits.Floor = 0, 0
	limits.Line.Account.Per, limits.Line.Unit = strings.Repeat("az_", 21)+"z", "micro_usd"
	limits.Line.Max, limits.Line.Chunk, limits.Line.Warn = budget.MaxAmount, budget.MaxAmount, []float64{1}
	if _, err := l.Reserve(t.Context(), "limits", limits); err != nil {
		t.Errorf("Reserve(%+v) = %v", limits, err)
	}
	var many []budget.Charge
	for n := range 65 {
		c := good()
		c.Line.Account.Name = strings.Repeat("k", n+1)
		c.Line.Spare = 90 // less than Max
		many = append(many, c)
	}
	if _, err := l.Reserve(t.Context(), "many", many[:64]...); err != nil {
		t.Errorf("Reserve with 64 charges = %v", err)
	}
	for name, err := range map[string]error{
		"65 charges": func() error { _, err := l.Reserve(t.Context(), "1", many...); return err }(),
		"no charge":  func() error { _, err := l.Reserve(t.Context(), "1"); return err }(),
		"no ID":      func() error { _, err := l.Reserve(t.Context(), "", good()); return err }(),
		"long ID":    func() error { _, err := l.Reserve(t.Context(), strings.Repeat("x", 257), good()); return err }(),
		"two amounts": func() error {
			c := good()
			c.Amount++
			_, err := l.Reserve(t.Context(), "1", good(), c)
			return err
		}(),
	} {
		if e, _ := refusal(t, err); e.Reason != budget.ReasonInvalid {
			t.Errorf("Reserve with %s = %v", name, e)
		}
	}
}

// Two rules for one account and window are one budget, with the smaller limit.
func TestSmallestLimitWins(t *testing.T) {
	l := newLedger(t, budget.Config{})
	large, small := keyLine(100), keyLine(10)
	for _, order := range [][]budget.Charge{
		{{Line: large, Amount: 6}, {Line: small, Amount: 6}},
		{{Line: small, Amount: 6}, {Line: large, Amount: 6}},
	} {
		id := fmt.Sprint(order[0].Line.Max)
		h, err := l.Reserve(t.Context(), id, order...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Reserve(t.Context(), id+"more", order...); err == nil {
			t.Error("Reserve above the smaller limit: no error")
		}
		if got, want := state(t, l, small), [2]int64{0, 6}; got != want {
			t.Errorf("spent, held = %v, want %v", got, want)
		}
		if err := h.Settle(t.Context(), 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}

// Spare is for calls in progress: an agent can finish its last answer.
func TestSpareIsForCallsInProgress(t *testing.T) {
	l := newLedger(t, budget.Config{})
	line := keyLine(100)
	line.Spare = 30
	h, err := l.Reserve(t.Context(), "1", budget.Charge{Line: line, Amount: 60, Floor: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Reserve(t.Context(), "2", budget.Charge{Line: line, Amount: 11})
	if e, _ := refusal(t, err); e.Reason != budget.ReasonBusy {
		t.Errorf("Reserve of the spare = %v", e)
	}
	_, err = l.Reserve(t.Context(), "3", budget.Charge{Line: line, Amount: 71})
	if e, _ := refusal(t, err); e.Reason != budget.ReasonTooLarge {
		t.Errorf("Reserve above Max less Spare = %v", e)
	}
	if err := h.Extend(t.Context(), 100); err != nil {
		t.Errorf("Extend into the spare: %v", err)
	}
	err = h.Extend(t.Context(), 101)
	if e, cause := refusal(t, err); e.Code != budget.CodeExhausted || !cause.Busy || cause.Amount != 1 {
		t.Errorf("Extend above Max = %v, %+v, want busy for one more", e, cause)
	}
	all := keyLine(100)
	all.Spare = 100
	if _, err := l.Usage(t.Context(), all); err != nil {
		t.Errorf("Usage of a budget that is for calls in progress only = %v", err)
	}
	for _, amounts := range [][]int64{nil, {1, 2}, {-1}, {budget.MaxAmount + 1}} {
		if e, _ := refusal(t, h.Settle(t.Context(), amounts...)); e.Reason != budget.ReasonInvalid {
			t.Errorf("Settle(%v) = %v, want %s", amounts, e, budget.ReasonInvalid)
		}
		if amounts == nil {
			continue
		}
		if e, _ := refusal(t, h.Extend(t.Context(), amounts...)); e.Reason != budget.ReasonInvalid {
			t.Errorf("Extend(%v) = %v, want %s", amounts, e, budget.ReasonInvalid)
		}
	}
	if err := h.Settle(t.Context(), 95); err != nil {
		t.Fatal(err)
	}
	if got, want := state(t, l, line), [2]int64{95, 0}; got != want {
		t.Errorf("after Settle: spent, held = %v, want %v", got, want)
	}
	_ = h.Settle(t.Context()) // without amounts, which is invalid
	if e, _ := refusal(t, h.Extend(t.Context())); e.Reason != budget.ReasonInvalid {
		t.Errorf("Extend of a settled hold = %v, want %s", e, budget.ReasonInvalid)
	}
}

func TestThresholdsAndOverrunsAreReported(t *testing.T) {
	for _, w := range []budget.Window{budget.Day(nil), budget.Rolling24h()} {
		synctest.Test(t, func(t *testing.T) { testThresholds(t, w) })
	}
}

func testThresholds(t *testing.T, w budget.Window) {
	observer := &events{}
	l := newLedger(t, budget.Config{Observer: observer})
	line := keyLine(99) // of which the parts are rounded up
	line.Window, line.Warn = w, []float64{0.5, 0.8, 1}
	for i, used := range []int64{49, 1, 10, 29, 25} {
		time.Sleep(time.Hour) // which a rolling window counts by itself
		h, err := l.Reserve(t.Context(), fmt.Sprint(i), budget.Charge{Line: line, Amount: min(used, 10)})
		if err != nil {
			t.Fatal(err)
		}
		caller := gatehouse.Principal{Subject: "ann", Tenant: "parent", Issuer: "issuer", Credential: "c1"}
		if i == 0 {
			caller = gatehouse.Principal{}
		}
		if err := h.Settle(gatehouse.NewContext(t.Context(), caller), used); err != nil {
			t.Fatal(err)
		}
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
	if e := observer.all[1]; e.Principal.Subject != "ann" || e.Principal.Tenant != "parent" || e.Issuer != "issuer" || e.Credential != "c1" {
		t.Errorf("event = %+v, want one of the caller", e)
	}
	if got := state(t, l, line); got != [2]int64{114, 0} {
		t.Errorf("%v: spent, held = %v, want 114, 0: an overrun is charged in full", w, got)
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
				h, err := l.Reserve(t.Context(), fmt.Sprint(-i), budget.Charge{Line: line, Amount: spent})
				if err != nil {
					t.Fatal(err)
				}
				_ = h.Settle(t.Context(), spent)
			}
			_, err := l.Reserve(t.Context(), "2", budget.Charge{Line: line, Amount: 10})
			e, cause := refusal(t, err)
			if e.Code.Status() != test.status || e.Reason != budget.ReasonExhausted || cause.Busy || e.RetryAfter != test.until {
				t.Errorf("%v: %v, Retry-After %v, %+v, want %d and %v", test.window, e, e.RetryAfter, cause, test.status, test.until)
			}
			if want := "budget: key k1, window " + test.window.String() + ": 10 needed; max 150, spent 95, held 0"; cause.Error() != want {
				t.Errorf("cause = %v, want %s", cause, want)
			}
			if test.status != 429 {
				return
			}
			if limit, want := e.Header.Get("RateLimit"), fmt.Sprintf(`"key-%v";r=55;t=%v`, test.window, test.until.Seconds()); limit != want {
				t.Errorf("RateLimit = %s, want %s", limit, want)
			}
			time.Sleep(test.until - time.Microsecond)
			if _, err := l.Reserve(t.Context(), "3", budget.Charge{Line: line, Amount: 10}); err == nil {
				t.Errorf("%v: capacity before the end of the window", test.window)
			}
			time.Sleep(time.Microsecond)
			if _, err := l.Reserve(t.Context(), "4", budget.Charge{Line: line, Amount: 10}); err != nil {
				t.Errorf("%v: at the end of the window: %v", test.window, err)
			}
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
			h, err := l.Reserve(t.Context(), "1", budget.Charge{Line: line, Amount: 60})
			if err != nil {
				t.Fatal(err)
			}
			start, end := window.Span(time.Now())
			if b := h.Balances[0]; b.Start != start || b.End != end {
				t.Errorf("%v: balance from %v to %v, want %v to %v", window, b.Start, b.End, start, end)
			}
			_, err = l.Reserve(t.Context(), "2", budget.Charge{Line: line, Amount: 60})
			if e, cause := refusal(t, err); e.Code != budget.CodeExhausted || !cause.Busy || e.RetryAfter != want {
				t.Errorf("%v: %v, Retry-After %v, want busy and %v", window, e, e.RetryAfter, want)
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
			h, err := l.Reserve(t.Context(), fmt.Sprint(i), budget.Charge{Line: line, Amount: 1})
			if err != nil {
				t.Fatal(err)
			}
			_ = h.Settle(t.Context(), 1)
			spent = append(spent, time.Now())
			within := func(d time.Duration) (n int64) {
				for _, at := range spent {
					if time.Since(at) < d {
						n++
					}
				}
				return n
			}
			if got := state(t, l, line)[0]; got < within(24*time.Hour) || got > within(25*time.Hour) {
				t.Fatalf("spent = %d, want from %d to %d", got, within(24*time.Hour), within(25*time.Hour))
			}
		}
	})
}

func TestTenantListsItsBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t, budget.Config{})
		usd := keyLine(500)
		usd.Unit = "micro_usd"
		rolling := tenantLine(300)
		rolling.Window = budget.Rolling24h()
		before := rolling
		before.Max = 299
		if _, err := l.Reserve(t.Context(), "0", budget.Charge{Line: before, Amount: 10}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour) // another counter of the same budget
		lines := []budget.Line{keyLine(100), usd, rolling, tenantLine(1000)}
		lines[3].Window = budget.Month(zone(t, "Europe/Berlin"))
		var charges []budget.Charge
		for _, line := range lines {
			charges = append(charges, budget.Charge{Line: line, Amount: 10})
		}
		if _, err := l.Reserve(t.Context(), "1", charges...); err != nil {
			t.Fatal(err)
		}
		all, err := l.Tenant(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		own, err := l.Usage(t.Context(), lines...)
		if err != nil {
			t.Fatal(err)
		}
		text := func(balances []budget.Balance) (texts []string) {
			for _, b := range balances {
				object, err := json.Marshal(b)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, string(object)+b.Account.Tenant+b.Window.String())
			}
			slices.Sort(texts)
			return texts
		}
		if diff := cmp.Diff(text(own), text(all)); diff != "" {
			t.Errorf("Tenant differs from Usage (-usage +tenant):\n%s", diff)
		}
		if others, err := l.Tenant(t.Context(), "other"); err != nil || len(others) != 0 {
			t.Errorf("Tenant(other) = %v, %v, want nothing", others, err)
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

func TestReplayedCallsAreRefusedOrMarked(t *testing.T) {
	l := newLedger(t, budget.Config{})
	charge := budget.Charge{Line: keyLine(100), Amount: 60}
	h, err := l.Reserve(t.Context(), "1", charge)
	if err != nil || h.Replayed {
		t.Fatalf("Reserve = %+v, %v", h, err)
	}
	if again, err := l.Reserve(t.Context(), "1", charge); err != nil || !again.Replayed {
		t.Errorf("Reserve again = %+v, %v, want Replayed", again, err)
	}
	other := charge
	other.Amount = 10
	_, err = l.Reserve(t.Context(), "1", other)
	if e, _ := refusal(t, err); e.Code != budget.CodeReplayed || e.Code.Status() != 409 {
		t.Errorf("Reserve of another call with the ID = %v", e)
	}
	_ = h.SettleAll(t.Context())
	_, err = l.Reserve(t.Context(), "1", charge)
	if e, _ := refusal(t, err); e.Code != budget.CodeReplayed {
		t.Errorf("Reserve of an ended call = %v", e)
	}
}
