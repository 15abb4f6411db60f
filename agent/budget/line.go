// SPDX-License-Identifier: Apache-2.0

package budget

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/text"
)

// MaxAmount is the largest amount and limit. Up to it, integers in JSON and in Redis
// scripts are exact.
const MaxAmount = 1<<53 - 1

// Account is the party that pays. It is a comparable value.
type Account struct {
	Tenant string // the customer; "" for an application without tenants
	Per    string // the kind of account, such as key, subject or tenant: lower-case letters and underscores
	Name   string // unique within the tenant and Per, such as the ID of a key; at most 1,024 bytes
}

// Unit is what a budget counts.
type Unit string

// The units that need no price. [MeterConfig.Price] defines all others, such as
// micro_usd.
const (
	Tokens   Unit = ""         // input and output tokens
	Requests Unit = "requests" // one for each call
)

// Line is a budget: an account may use Max units in each Window.
type Line struct {
	Account Account
	Window  Window
	Unit    Unit

	// Max is the limit, from 0 to [MaxAmount]. Calls of one account may have different
	// limits: the ledger compares each call with its own.
	Max int64

	// Spare is the part of Max that only [Hold.Extend] may use, so that an agent can
	// finish its last response. A new call is refused if it would exceed Max - Spare.
	Spare int64

	// Chunk is the amount that a process reserves at once and divides between its calls.
	// A busy budget then costs one call of the store for each chunk, instead of two for
	// each call. Each of [Config.Nodes] processes can hold up to one unused chunk, which
	// other nodes cannot use; near the limit chunks become smaller. The use of a call
	// shows as held until its chunk is settled. Only a ledger with a running [Ledger.Run]
	// uses chunks. Zero reserves each call by itself.
	Chunk int64

	// Warn are the parts of Max, above 0 and at most 1, at which an event
	// [EventThreshold] is reported, once in each window.
	Warn []float64
}

// Charge is the maximum cost of one call for a budget.
type Charge struct {
	Line   Line
	Amount int64 // from 0 to [MaxAmount]

	// Floor is the amount that the call is charged if its hold expires; zero means
	// Amount. If Floor is lower than Amount, a call that is settled after its hold has
	// expired can exceed Max by the difference.
	Floor int64
}

// Balance is the state of a budget.
type Balance struct {
	Account    Account
	Window     Window
	Unit       Unit
	Start, End time.Time // of the window, see [Window.Span]
	Max        int64
	Spent      int64 // used by ended calls; above Max if a call used more than its hold
	Held       int64 // held by calls in progress
}

// Left returns the amount that new calls may use, at least 0.
func (b Balance) Left() int64 { return max(b.Max-b.Spent-b.Held, 0) }

// MarshalJSON returns an object with the members per, account, window, start, end,
// max, spent and held, and unit unless it is tokens.
func (b Balance) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Per     string    `json:"per"`
		Account string    `json:"account"`
		Window  string    `json:"window"`
		Unit    Unit      `json:"unit,omitempty"`
		Start   time.Time `json:"start"`
		End     time.Time `json:"end"`
		Max     int64     `json:"max"`
		Spent   int64     `json:"spent"`
		Held    int64     `json:"held"`
	}{b.Account.Per, b.Account.Name, b.Window.Name(), b.Unit, b.Start, b.End, b.Max, b.Spent, b.Held})
}

// isName reports whether s consists of lower-case letters and underscores.
func isName(s string) bool {
	return s != "" && len(s) <= 64 && strings.TrimFunc(s, func(r rune) bool { return 'a' <= r && r <= 'z' || r == '_' }) == ""
}

// check returns an error if the line is invalid.
func (l *Line) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("budget: Line."+format, args...)) }
	if !text.IsClean(l.Account.Tenant, 256) {
		fail("Account.Tenant: must be UTF-8 without control characters, of at most 256 bytes")
	}
	if !isName(l.Account.Per) {
		fail("Account.Per: %q: must be 1 to 64 lower-case letters and underscores", l.Account.Per)
	}
	if l.Account.Name == "" || !text.IsClean(l.Account.Name, 1024) {
		fail("Account.Name: must be UTF-8 without control characters, of 1 to 1,024 bytes")
	}
	if l.Unit != Tokens && !isName(string(l.Unit)) {
		fail("Unit: %q: must be up to 64 lower-case letters and underscores", l.Unit)
	}
	if l.Window.kind == noWindow {
		fail("Window: required")
	}
	if loc := l.Window.loc; loc == time.Local && loc != time.UTC {
		fail("Window: the zone Local is another one on another node")
	}
	if l.Max < 0 || l.Max > MaxAmount {
		fail("Max: %d: must be from 0 to %d", l.Max, int64(MaxAmount))
	}
	if l.Spare < 0 || l.Spare > max(l.Max, 0) {
		fail("Spare: %d: must be from 0 to Max", l.Spare)
	}
	if l.Chunk < 0 || l.Chunk > MaxAmount {
		fail("Chunk: %d: must be from 0 to %d", l.Chunk, int64(MaxAmount))
	}
	for _, part := range l.Warn {
		if !(part > 0 && part <= 1) { // false for NaN
			fail("Warn: %v: must be above 0 and at most 1", part)
		}
	}
	return errors.Join(errs...)
}

// account returns the name of the account in the store, within the tenant.
func (l *Line) account() string {
	if l.Unit == Tokens {
		return l.Account.Per + "/" + l.Account.Name
	}
	return l.Account.Per + ":" + string(l.Unit) + "/" + l.Account.Name
}

// parseAccount parses the result of account.
func parseAccount(tenant, name string) (Account, Unit, error) {
	kind, name, ok := strings.Cut(name, "/")
	if !ok {
		return Account{}, "", errors.New("budget: malformed account in the store")
	}
	per, unit, _ := strings.Cut(kind, ":")
	return Account{Tenant: tenant, Per: per, Name: name}, Unit(unit), nil
}

// entry returns the entry of the charge in the store, for a call at the time at.
func (c *Charge) entry(at time.Time) Entry {
	start, end := c.Line.Window.Span(at)
	e := Entry{
		Account: c.Line.account(), Window: c.Line.Window.String(), Start: start, Since: start, Next: end, End: end,
		Max: c.Line.Max, Limit: c.Line.Max - c.Line.Spare, Amount: c.Amount, Floor: c.Floor,
	}
	if e.Floor == 0 {
		e.Floor = e.Amount
	}
	switch c.Line.Window.kind {
	case rolling: // its counters are hours, of which 25 count
		e.Start = end.Add(-hour)
		e.End = e.Start.Add(25 * hour)
	case life:
		e.Next = forever
	}
	return e
}

// thresholds calls report for each part of Warn that an increase from before to after has
// reached.
func (l *Line) thresholds(before, after int64, report func(part float64)) {
	for _, part := range l.Warn {
		at := int64(math.Ceil(part * float64(l.Max)))
		if before < at && after >= at {
			report(part)
		}
	}
}
