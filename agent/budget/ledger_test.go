// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse/agent/budget"
)

// Each limit of a configuration is accepted, and nothing beyond.
func TestNewChecksLimits(t *testing.T) {
	memory := budget.NewMemory(0)
	for _, test := range []struct {
		config budget.Config
		want   []string // parts of the error
	}{
		{budget.Config{Store: memory, Hold: 10 * time.Millisecond, Nodes: 1_000_000, AllowUnrecorded: budget.MaxAmount}, nil},
		{budget.Config{Store: memory, Hold: 24 * time.Hour}, nil},
		{budget.Config{Store: memory, Hold: 24*time.Hour + 1}, []string{"Hold: 24h0m0.000000001s: must be from 10ms to 24h0m0s"}},
		{budget.Config{Store: memory, Nodes: 1_000_001}, []string{"Nodes: 1000001: must be"}},
		{budget.Config{Store: memory, AllowUnrecorded: budget.MaxAmount + 1}, []string{"AllowUnrecorded: 9007199254740992: must be"}},
		{
			budget.Config{Store: (*budget.Memory)(nil), Hold: time.Millisecond, Nodes: -1, AllowUnrecorded: -1, Observer: (*events)(nil)},
			[]string{"Store: required", "Hold: 1ms: must be", "Nodes: -1: must be", "AllowUnrecorded: -1: must be", "Observer: is a nil *budget_test.events"},
		},
	} {
		_, err := budget.New(test.config)
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), "budget: Config."+want) {
				t.Errorf("New(%+v) error = %v, want %q", test.config, err, want)
			}
		}
		if err != nil && test.want == nil {
			t.Errorf("New(%+v) error = %v, want none", test.config, err)
		}
	}
}

func TestReserveChecksItsCharges(t *testing.T) {
	l := newLedger(t, budget.Config{})
	good := charge(keyLine(100), 10)
	invalid := func(what, text, id string, charges ...budget.Charge) {
		t.Helper()
		_, err := l.Reserve(t.Context(), id, charges...)
		if e, _ := refused(t, what, err, 503, budget.ReasonInvalid); !strings.Contains(e.Cause.Error(), text) {
			t.Errorf("Reserve with %s: error = %v, want %s", what, e.Cause, text)
		}
	}
	for _, test := range []struct {
		text   string
		change func(c *budget.Charge)
	}{
		{"Charge.Amount: -1:", func(c *budget.Charge) { c.Amount = -1 }},
		{"Charge.Amount:", func(c *budget.Charge) { c.Amount = budget.MaxAmount + 1 }},
		{"Charge.Floor: 11:", func(c *budget.Charge) { c.Floor = 11 }},
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
		{"Window: the zone Local", func(c *budget.Charge) { c.Line.Window = budget.Day(time.Local) }},
		{"Max: 9007199254740992:", func(c *budget.Charge) { c.Line.Max = budget.MaxAmount + 1 }},
		{"Max: -1:", func(c *budget.Charge) { c.Line.Max = -1 }},
		{"Spare: 101:", func(c *budget.Charge) { c.Line.Spare = 101 }},
		{"Spare: -1:", func(c *budget.Charge) { c.Line.Spare = -1 }},
		{"Chunk: -1:", func(c *budget.Charge) { c.Line.Chunk = -1 }},
		{"Chunk: 9007199254740992:", func(c *budget.Charge) { c.Line.Chunk = budget.MaxAmount + 1 }},
		{"Warn:", func(c *budget.Charge) { c.Line.Warn = []float64{math.NaN()} }},
		{"Warn:", func(c *budget.Charge) { c.Line.Warn = []float64{0} }},
		{"Warn:", func(c *budget.Charge) { c.Line.Warn = []float64{1, 1.01} }},
		{"two tenants", func(c *budget.Charge) { c.Line.Account.Tenant = "other" }},
		{"two tenants", func(c *budget.Charge) { c.Line.Account.Tenant = "acme2" }},
		{"two tenants", func(c *budget.Charge) { c.Line.Account.Tenant = "ac" }},
		{"differ in their amount", func(c *budget.Charge) { c.Amount++ }},
	} {
		c := good
		test.change(&c)
		invalid("a wrong "+test.text, test.text, "1", good, c)
	}
	more := good
	more.Amount++
	invalid("two amounts", "charges to the account key/k1 differ", "1", good, charge(tenantLine(100), 1), more)
	_, err := l.Usage(t.Context(), keyLine(1), budget.Line{})
	refused(t, "Usage of an invalid line", err, 503, budget.ReasonInvalid)
	limits := charge(keyLine(budget.MaxAmount), 0)
	limits.Line.Account.Per, limits.Line.Unit = strings.Repeat("az_", 21)+"z", "micro_usd"
	limits.Line.Chunk, limits.Line.Warn = budget.MaxAmount, []float64{1}
	reserve(t, l, "limits", limits)
	reserve(t, l, "nothing", charge(keyLine(0), 0))
	var many []budget.Charge
	for n := range 65 {
		c := good
		c.Line.Account.Name = strings.Repeat("k", n+1)
		c.Line.Spare = 90 // less than Max
		many = append(many, c)
	}
	reserve(t, l, "many", many[:64]...)
	invalid("65 charges", "must be 1 to 64", "1", many...)
	invalid("no charge", "must be 1 to 64", "1")
	invalid("no ID", "of 1 to 256 bytes", "", good)
	invalid("a long ID", "of 1 to 256 bytes", strings.Repeat("x", 257), good)
}

func TestReserveIsAllOrNothing(t *testing.T) {
	l := newLedger(t, budget.Config{})
	first, key, tenant := keyLine(100), keyLine(100), tenantLine(50)
	first.Account.Name = "k0"
	h := reserve(t, l, "1", budget.Charge{Line: key, Amount: 40, Floor: 40}, charge(tenant, 40))
	expect(t, "after Reserve", l, tenant, 0, 40)
	_, err := l.Reserve(t.Context(), "2", charge(key, 50), charge(tenant, 50))
	if _, cause := refused(t, "Reserve without capacity", err, 429, budget.ReasonBusy); !cause.Busy || cause.Balance.Account.Per != "tenant" {
		t.Errorf("Reserve without capacity: %+v, want busy for the tenant", cause)
	}
	expect(t, "after a refused Reserve", l, key, 0, 40)
	noError(t, h.Settle(t.Context(), 35, 35))
	noError(t, h.Settle(t.Context(), 9, 9))
	expect(t, "after Settle", l, key, 35, 0)
	_, err = l.Reserve(t.Context(), "3", charge(key, 20), charge(tenant, 20))
	if e, cause := refused(t, "Reserve of an exhausted budget", err, 429, budget.ReasonExhausted); cause.Busy || e.RetryAfter <= 0 {
		t.Errorf("Reserve of an exhausted budget: %+v, Retry-After %v", cause, e.RetryAfter)
	}
	_, err = l.Reserve(t.Context(), "4", charge(first, 1), charge(key, 101))
	want := budget.ExceededError{Balance: must(l.Usage(t.Context(), key))[0], Amount: 101, Never: true}
	want.Balance.Spent = 0
	if _, cause := refused(t, "Reserve above the whole limit", err, 403, budget.ReasonTooLarge); cause != want {
		t.Errorf("Reserve above the whole limit: %+v, want %+v", cause, want)
	}
}

// Two rules for one account and window are one budget, with the smaller limit without its
// spare. A call costs the larger of their amounts.
func TestChargesOfOneBudget(t *testing.T) {
	large, small, spare := keyLine(100), keyLine(80), keyLine(100)
	spare.Spare = 50
	for _, test := range []struct {
		lines  [2]budget.Line
		limit  int64
		settle []int64
	}{
		{[2]budget.Line{large, large}, 100, []int64{35, 1, 9}},
		{[2]budget.Line{large, small}, 80, []int64{9, 1, 35}},
		{[2]budget.Line{small, large}, 80, []int64{35, 1, 35}},
		{[2]budget.Line{spare, small}, 50, []int64{35, 1, 35}},
		{[2]budget.Line{small, spare}, 50, []int64{35, 1, 35}},
	} {
		l := newLedger(t, budget.Config{})
		both := func(amount int64) []budget.Charge {
			return []budget.Charge{charge(test.lines[0], amount), charge(tenantLine(1000), 2), charge(test.lines[1], amount)}
		}
		_, err := l.Reserve(t.Context(), "above", both(test.limit+1)...)
		refused(t, "Reserve above the smaller limit", err, 403, budget.ReasonTooLarge)
		h := reserve(t, l, "1", both(40)...)
		expect(t, "after Reserve", l, large, 0, 40)
		_, err = l.Reserve(t.Context(), "2", both(test.limit-39)...)
		refused(t, "Reserve above the rest of the smaller limit", err, 429, budget.ReasonBusy)
		if e, _ := refused(t, "Settle(1)", h.Settle(t.Context(), 1), 503, budget.ReasonInvalid); !strings.Contains(e.Cause.Error(), "3 charges and 1 amounts") {
			t.Errorf("Settle(1) error = %v, want 3 charges and 1 amounts", e.Cause)
		}
		noError(t, h.Settle(t.Context(), test.settle...))
		expect(t, "after Settle", l, large, 35, 0)
		expect(t, "another budget after Settle", l, tenantLine(1000), 1, 0)
	}
	l, utc, local := newLedger(t, budget.Config{}), keyLine(100), keyLine(100)
	utc.Window, local.Window = budget.Day(nil), budget.Day(zone(t, "Europe/Berlin"))
	reserve(t, l, "in two zones", charge(utc, 1), charge(local, 2))
	expect(t, "in UTC", l, utc, 0, 1)
	expect(t, "in Berlin", l, local, 0, 2)
}

// SettleAll charges what the last Extend before it has made of the hold.
func TestExtendDuringSettleAll(t *testing.T) {
	l := newLedger(t, budget.Config{})
	line := keyLine(1_000_000)
	want := int64(0)
	for range 200 {
		h := reserve(t, l, rand.Text(), charge(line, 10))
		extended := make(chan error)
		go func() { extended <- h.Extend(t.Context(), 20) }()
		noError(t, h.SettleAll(t.Context()))
		if want += 10; <-extended == nil {
			want += 10
		}
	}
	expect(t, "after SettleAll", l, line, want, 0)
}

func TestHoldExpiresAtItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t, budget.Config{Hold: time.Minute})
		line := keyLine(100)
		hold := func(id string, amount, floor int64) *budget.Hold {
			return reserve(t, l, id, budget.Charge{Line: line, Amount: amount, Floor: floor})
		}
		hold("0", 50, 5)
		h := hold("1", 50, 5)
		time.Sleep(time.Minute - time.Microsecond)
		expect(t, "before the deadline", l, line, 0, 100)
		time.Sleep(time.Microsecond)
		expect(t, "at the deadline", l, line, 10, 0)
		refused(t, "Extend of an expired hold", h.Extend(t.Context()), 503, budget.ReasonUnavailable)
		noError(t, h.Settle(t.Context(), 55))
		expect(t, "after a late Settle", l, line, 60, 0)
		// A hold that is extended keeps its floor, but is charged no more than it has.
		noError(t, hold("2", 15, 10).Extend(t.Context(), 5))
		h = hold("3", 15, 10)
		noError(t, h.Extend(t.Context(), 25))
		expect(t, "after Extend", l, line, 60, 30)
		time.Sleep(time.Minute)
		expect(t, "after the end of an extended hold", l, line, 75, 0)
		time.Sleep(budget.Retention)
		noError(t, h.Settle(t.Context(), 5)) // it was charged long ago
		s := newStore()
		s.before = func() { time.Sleep(time.Second) }
		h = reserve(t, newLedger(t, budget.Config{Store: s}), "4", charge(line, 1))
		for _, call := range []string{"Reserve", "Extend"} { // the deadline of the store may begin with the call
			if left := time.Until(h.Deadline()); left != time.Minute-time.Second {
				t.Errorf("the hold expires %v after %s of a second, want 59s", left, call)
			}
			noError(t, h.Extend(t.Context()))
		}
	})
}

// Spare is for calls in progress: an agent can finish its last answer.
func TestSpareIsForCallsInProgress(t *testing.T) {
	l := newLedger(t, budget.Config{})
	line := keyLine(100)
	line.Spare = 30
	h := reserve(t, l, "1", budget.Charge{Line: line, Amount: 60, Floor: 1})
	_, err := l.Reserve(t.Context(), "2", budget.Charge{Line: line, Amount: 11, Floor: 1})
	refused(t, "Reserve of the spare", err, 429, budget.ReasonBusy)
	_, err = l.Reserve(t.Context(), "3", charge(line, 71))
	refused(t, "Reserve above Max less Spare", err, 403, budget.ReasonTooLarge)
	noError(t, h.Extend(t.Context(), 100))
	err = h.Extend(t.Context(), 101)
	if _, cause := refused(t, "Extend above Max", err, 429, budget.ReasonBusy); !cause.Busy || cause.Amount != 1 {
		t.Errorf("Extend above Max: %+v, want busy for one more", cause)
	}
	spent := tenantLine(100)
	spent.Spare = 30
	noError(t, reserve(t, l, "4", charge(spent, 60)).Settle(t.Context(), 60))
	refused(t, "Extend after others have spent", reserve(t, l, "5", charge(spent, 10)).Extend(t.Context(), 41), 429, budget.ReasonBusy)
	all := keyLine(100)
	all.Spare = 100
	expect(t, "of a budget that is for calls in progress only", l, all, 0, 100)
	refused(t, "Settle()", h.Settle(t.Context()), 503, budget.ReasonInvalid)
	for _, amounts := range [][]int64{{1, 2}, {-1}, {budget.MaxAmount + 1}} {
		refused(t, fmt.Sprintf("Settle(%d)", amounts), h.Settle(t.Context(), amounts...), 503, budget.ReasonInvalid)
		refused(t, fmt.Sprintf("Extend(%d)", amounts), h.Extend(t.Context(), amounts...), 503, budget.ReasonInvalid)
	}
	noError(t, h.Settle(t.Context(), 95))
	expect(t, "after Settle", l, line, 95, 0)
	noError(t, reserve(t, l, "6", charge(keyLine(100), 1)).Settle(t.Context(), budget.MaxAmount))
	_ = h.Settle(t.Context()) // without amounts, which is invalid
	refused(t, "Extend of a settled hold", h.Extend(t.Context()), 503, budget.ReasonInvalid)
}

func TestUsageIsOfOneWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, line := newStore(), keyLine(100)
		line.Window = budget.Minute()
		s.more = []budget.Counter{{Start: time.Now().Add(time.Minute), Count: budget.Count{Spent: 7}}}
		expect(t, "with a counter of the next minute", newLedger(t, budget.Config{Store: s}), line, 0, 0)
	})
}

// The clock of the store decides on the window, and is asked at most twice.
func TestUsageFollowsTheClockOfTheStore(t *testing.T) {
	const day = 24 * time.Hour
	for _, test := range []struct {
		name        string
		ahead, step time.Duration // of the clock of the store, and what each call adds to it
		start       time.Duration // of the window
		calls       int64
	}{
		{"at the start of the window", 0, 0, 0, 1},
		{"at the start of the next window", day, 0, day, 2},
		{"at the end of the previous window", -time.Microsecond, 0, -day, 2},
		{"another window with each call", 0, day, day, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, line, begun := newStore(), keyLine(100), time.Now()
			s.ahead, s.before = test.ahead, func() { s.ahead += test.step }
			b, err := newLedger(t, budget.Config{Store: s}).Usage(t.Context(), line)
			noError(t, err)
			if start, calls := b[0].Start.Sub(begun), s.calls.Load(); start != test.start || calls != test.calls {
				t.Errorf("%s: Usage of the window that begins in %v after %d calls, want %v after %d", test.name, start, calls, test.start, test.calls)
			}
		})
	}
}

func TestTenantListsItsBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStore()
		l := newLedger(t, budget.Config{Store: s, Hold: 24 * time.Hour})
		lines := []budget.Line{keyLine(500), keyLine(100), tenantLine(200), tenantLine(1000), tenantLine(300), tenantLine(400)} // in the order of Tenant
		lines[0].Account.Name, lines[0].Unit = "a", "micro_usd"
		lines[2].Window, lines[3].Window = budget.Life(time.Now().AddDate(1, 0, 0)), budget.Month(zone(t, "Europe/Berlin"))
		lines[4].Window = budget.Rolling24h()
		lines[5].Account.Per, lines[5].Window = "user", budget.Life(time.Time{})
		before := lines[4]
		before.Max = 301
		reserve(t, l, "0", charge(before, 10))
		noError(t, reserve(t, l, "1", charge(before, 10)).Settle(t.Context(), 4))
		time.Sleep(time.Hour) // another counter of the same budget
		var charges []budget.Charge
		for _, line := range lines {
			charges = append(charges, charge(line, 10))
		}
		reserve(t, l, "2", charges...)
		noError(t, reserve(t, l, "3", charges...).Settle(t.Context(), 5, 5, 5, 5, 5, 5))
		s.ahead = time.Hour // another hour of the rolling window
		text := func(balances []budget.Balance, err error) (texts []string) {
			noError(t, err)
			for _, b := range balances {
				_, end := b.Window.Span(time.Now())
				texts = append(texts, fmt.Sprint(string(must(json.Marshal(b))), b.Account.Tenant, b.Window, end, b.Window == budget.Life(time.Time{})))
			}
			return texts
		}
		if diff := cmp.Diff(text(l.Usage(t.Context(), lines...)), text(l.Tenant(t.Context(), "acme"))); diff != "" {
			t.Errorf("Tenant differs from Usage (-usage +tenant):\n%s", diff)
		}
		if others, err := l.Tenant(t.Context(), "other"); err != nil || len(others) != 0 {
			t.Errorf("Tenant(other) = %v, %v, want nothing", others, err)
		}
		s.more = []budget.Counter{{Account: "key/a", Window: "day@Nowhere/Else"}} // of a process with more zones
		if others, err := l.Tenant(t.Context(), "other"); err != nil || len(others) != 1 || others[0].Window != budget.Day(nil) {
			t.Errorf("Tenant with an unknown zone = %v, %v, want UTC in its place", others, err)
		}
		s.more = append(s.more, budget.Counter{Account: "key/a", Window: "day@Nowhere/Else2"})
		if others, err := l.Tenant(t.Context(), "other"); err != nil || len(others) != 2 {
			t.Errorf("Tenant with two unknown zones = %v, %v, want two budgets", others, err)
		}
		s.more = nil
		for i, name := range []string{"key/b rolling_24h", "key/b rolling_24h", "key/a rolling_24h", "key/a rolling_24h", "key:usd/a day", "key:eur/a rolling_24h", "key/a rolling_24h", "key/z day", "key/y day"} {
			account, window, _ := strings.Cut(name, " ")
			s.more = append(s.more, budget.Counter{Account: account, Window: window, Count: budget.Count{Spent: 1 << i}})
		}
		others, err := l.Tenant(t.Context(), "m")
		noError(t, err)
		var list strings.Builder
		for _, b := range others {
			fmt.Fprintf(&list, "%s%s %s %d, ", b.Unit, b.Account.Name, b.Window, b.Spent)
		}
		if got, want := list.String(), "usda day 16, a rolling_24h 12, eura rolling_24h 32, a rolling_24h 64, b rolling_24h 3, y day 256, z day 128, "; got != want {
			t.Errorf("Tenant(m) = %s, want %s", got, want)
		}
		for _, c := range []budget.Counter{{Account: "key", Window: "day"}, {Account: "key/a", Window: "year"}, {Account: "key/a", Window: "life2"}, {Account: "key/a", Window: "lif"}} {
			s.more = []budget.Counter{c}
			_, err := l.Tenant(t.Context(), "other")
			refused(t, "Tenant with a malformed counter", err, 503, budget.ReasonUnavailable)
		}
	})
}

func TestReplayedCallsAreRefusedOrMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(t, budget.Config{})
		line := keyLine(100)
		h := reserve(t, l, "1", charge(line, 60))
		if again := reserve(t, l, "1", charge(line, 60)); h.Replayed || !again.Replayed {
			t.Errorf("Replayed of the first and the second Reserve = %v, %v, want false, true", h.Replayed, again.Replayed)
		}
		reserve(t, l, "expired", charge(line, 10))
		refuse := func(what, id string, amount int64) {
			t.Helper()
			_, err := l.Reserve(t.Context(), id, charge(line, amount))
			refused(t, "Reserve of "+what, err, 409, budget.ReasonReplayed)
		}
		refuse("another call with the ID", "1", 10)
		_ = h.SettleAll(t.Context())
		refuse("an ended call", "1", 60)
		time.Sleep(time.Minute)
		refuse("an expired call", "expired", 10)
	})
}
