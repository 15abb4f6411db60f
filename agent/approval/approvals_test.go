// SPDX-License-Identifier: Apache-2.0

package approval_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
)

func TestNewReportsAllErrors(t *testing.T) {
	_, err := approval.New(approval.Config{
		Store: (*approval.Memory)(nil), URL: "http://tools.example.com/approvals", Lifetime: time.Millisecond, MaxArguments: -1,
		MaxPending: -1, MaxPendingBytes: -1, Observer: (*events)(nil),
	})
	for _, field := range []string{"Store", "URL", "Lifetime", "MaxArguments", "MaxPending:", "MaxPendingBytes", "Observer"} {
		if err == nil || !strings.Contains(err.Error(), "approval: Config."+field) {
			t.Errorf("New error = %v, want one that names %s", err, field)
		}
	}
	if want := "Lifetime: 1000000 is not within 1000000000 and 86400000000000"; !strings.Contains(err.Error(), want) {
		t.Errorf("New error = %v, want %q", err, want)
	}
	for _, url := range []string{
		"", "/approvals", "https://a.example", "https://a.example/", "https://a.example/approvals/", "https://a.example/a?b", "https://a.example/a?",
		"https://a.example/a#b", "https://u@a.example/a", "https://a.example/%61", "https://a.example/%25",
	} {
		if _, err := approval.New(approval.Config{Store: approval.NewMemory(0), URL: url}); err == nil {
			t.Errorf("New with the URL %q error = nil, want one", url)
		}
	}
	for _, config := range []approval.Config{{Lifetime: 25 * time.Hour}, {MaxArguments: 2, MaxPendingBytes: 1}} {
		config.Store, config.URL = approval.NewMemory(0), "http://127.0.0.1:1/a/b"
		if _, err := approval.New(config); err == nil {
			t.Errorf("New(Lifetime %v, MaxArguments %d, MaxPendingBytes %d) error = nil, want one", config.Lifetime, config.MaxArguments, config.MaxPendingBytes)
		}
	}
	var seen events
	newApprovals(t, func(c *approval.Config) { c.Observer, c.Store = &seen, approval.NewMemory(0) })
	if e, _ := seen.last(""); e.Type != approval.EventMemoryStore {
		t.Errorf("event of New with a Memory = %q, want %q", e.Type, approval.EventMemoryStore)
	}
	seen.fail = errors.New("full")
	if _, err := approval.New(approval.Config{Store: approval.NewMemory(0), URL: server + "/a", Observer: &seen}); err == nil {
		t.Error("New with an observer that fails error = nil, want one")
	}
}

// TestOnlyPersonsOfTheRuleDecide has each way to decide without being entitled.
func TestOnlyPersonsOfTheRuleDecide(t *testing.T) {
	operators := approval.Rule{Roles: roles("operator", "admin")}
	consent := approval.Rule{Consent: true}
	for _, test := range []struct {
		name    string
		call    approval.Call
		rule    approval.Rule
		decider gatehouse.Principal
		want    string
	}{
		{"operator", pay(`{"text":"` + strings.Repeat("x", 200) + `"}`), operators, person("oscar", "operator"), ""},
		{"admin", pay(`{}`), operators, person("ada", "admin", "other"), ""},
		{"no role", pay(`{}`), operators, person("alice", "Operator", "oper"), "access_denied"},
		{"no caller", pay(`{}`), operators, gatehouse.Principal{}, "access_denied"},
		{"the actor itself", pay(`{}`), operators, with(agent(), func(p *gatehouse.Principal) { p.Roles = roles("operator") }), "access_denied"},
		{"another agent", pay(`{}`), operators, with(agent(), func(p *gatehouse.Principal) { p.Subject, p.Roles = "helper-2", roles("operator") }), "access_denied"},
		{"the actor as a user", pay(`{}`), operators, with(person("helper-1", "operator"), func(p *gatehouse.Principal) { p.Issuer = server }), "access_denied"},
		{"a service", pay(`{}`), operators, with(person("oscar", "operator"), func(p *gatehouse.Principal) { p.Kind = gatehouse.KindService }), "access_denied"},
		{"a delegated token", pay(`{}`), operators, with(person("oscar", "operator"), func(p *gatehouse.Principal) {
			p.Actors = gatehouse.NewActors(gatehouse.Actor{Subject: "helper-1"})
		}), "access_denied"},
		{"another tenant", pay(`{}`), operators, with(person("oscar", "operator"), func(p *gatehouse.Principal) { p.Tenant = "umbrella" }), "not_found"},
		{"no tenant", pay(`{}`), operators, with(person("oscar", "operator"), func(p *gatehouse.Principal) { p.Tenant = "" }), "access_denied"},
		{"the subject of the call", profile(), operators, person("alice", "operator"), "access_denied"},
		{"the subject at another issuer", profile(), operators, with(person("alice", "operator"), func(p *gatehouse.Principal) { p.Issuer = "https://b.example" }), ""},
		{"no subject", pay(`{}`), operators, person("", "operator"), "access_denied"},
		{"no proof", pay(`{}`), operators, with(person("oscar", "operator"), func(p *gatehouse.Principal) { p.Method = "" }), "access_denied"},
		{"no issuer", pay(`{}`), operators, with(person("oscar", "operator"), func(p *gatehouse.Principal) { p.Issuer = "" }), ""},
		{"consent", profile(), consent, person("alice"), ""},
		{"consent of another person", profile(), consent, person("bob", "admin", "operator"), "access_denied"},
		{"consent of another issuer", profile(), consent, with(person("alice"), func(p *gatehouse.Principal) { p.Issuer = "https://b.example" }), "access_denied"},
		{"consent by a delegated token", profile(), consent, with(person("alice"), func(p *gatehouse.Principal) {
			p.Actors = gatehouse.NewActors(gatehouse.Actor{Subject: "helper-1"})
		}), "access_denied"},
		{"consent of an agent to itself", pay(`{}`), consent, agent(), "access_denied"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var seen events
			a := newApprovals(t, func(c *approval.Config) { c.Observer = &seen })
			asked := request(t, a, test.call, test.rule)
			listed, err := a.List(t.Context(), test.decider)
			if err != nil || (len(listed) == 1) != (test.want == "") {
				t.Errorf("List = %v, %v, want the approval: %v", listed, err, test.want == "")
			}
			if got := approval.MayDecide(test.decider, asked); got != (test.want == "") {
				t.Errorf("MayDecide = %v, want %v", got, test.want == "")
			}
			got, err := a.Decide(t.Context(), test.decider, asked.ID, true, strings.Repeat("x", 2000))
			if codeOf(err) != test.want {
				t.Fatalf("Decide = %+v, %v, want %q", got, err, test.want)
			}
			e, id := seen.last("approval")
			reason := map[string]gatehouse.Reason{"access_denied": approval.ReasonNotEntitled, "not_found": approval.ReasonNotFound}[test.want]
			if e.Type != approval.EventDecided || e.Code != test.want || e.Reason != reason || id != asked.ID || e.Principal != test.decider {
				t.Errorf("event = %+v with the approval %q, want %q with the decider and the reason %q", e, id, approval.EventDecided, reason)
			}
			if _, err := a.Claim(t.Context(), test.call, test.rule); (err == nil) != (test.want == "") {
				t.Errorf("Claim error = %v, want one: %v", err, test.want != "")
			}
		})
	}
}

func TestSeveralAdmins(t *testing.T) {
	var decided []approval.Status
	var seen events
	a := newApprovals(t, func(c *approval.Config) {
		c.Observer = &seen
		c.Decided = func(_ context.Context, a approval.Approval) error { decided = append(decided, a.Status()); return nil }
	})
	rule := approval.Rule{Roles: roles("admin"), Count: 2}
	asked := request(t, a, pay(`{"n":1}`), rule)
	denied := request(t, a, pay(`{"n":2}`), rule)
	for _, step := range []struct {
		name        string
		of          approval.Approval
		approve     bool
		want        approval.Status // of the zero approval: expired
		code, cause string
	}{
		{"ada", asked, true, approval.Pending, "", "<nil>"},
		{"ada", asked, true, approval.Expired, "approval_ended", "approval: the person has already decided"},
		{"ada", asked, false, approval.Expired, "approval_ended", "approval: the person has already decided"},
		{"bea", asked, true, approval.Approved, "", "<nil>"},
		{"cora", asked, false, approval.Expired, "approval_ended", "approval: decided, used or expired"},
		{"ada", denied, true, approval.Pending, "", "<nil>"},
		{"bea", denied, false, approval.Denied, "", "<nil>"},
	} {
		got, err := a.Decide(t.Context(), person(step.name, "admin"), step.of.ID, step.approve, "")
		if cause := fmt.Sprint(errors.Unwrap(err)); got.Status() != step.want || codeOf(err) != step.code || cause != step.cause {
			t.Errorf("Decide(%s, %v) = %s, %v with the cause %s, want %s, %q with %q", step.name, step.approve, got.Status(), err, cause, step.want, step.code, step.cause)
		}
		if e, approve := seen.last("approve"); approve != strconv.FormatBool(step.approve) || string(e.Reason) != step.code {
			t.Errorf("the event of Decide(%s, %v) has approve %s and the reason %q, want %q", step.name, step.approve, approve, e.Reason, step.code)
		}
	}
	if _, err := a.Claim(t.Context(), denied.Call, rule); !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("Claim after a denial error = %v, want %v", err, approval.ErrNotFound)
	}
	if diff := cmp.Diff([]approval.Status{approval.Approved, approval.Denied}, decided); diff != "" {
		t.Errorf("calls of Decided (-want +got):\n%s", diff)
	}
}

// The digest is that of the canonical JSON of all fields.
func TestDigest(t *testing.T) {
	for _, a := range []approval.Approval{
		{Call: profile(), Rule: approval.Rule{Consent: true}},
		{Call: pay(`{"n":1}`), Rule: approval.Rule{Roles: roles("admin", "operator", "\"x\""), Count: 3}},
	} {
		text := must(json.Marshal(map[string]any{
			"tenant": a.Tenant, "subject": a.Subject.String(), "actor": a.Actor.String(), "tool": a.Tool, "version": a.Version, "arguments": json.RawMessage(a.Arguments),
			"rule": map[string]any{"consent": a.Consent, "count": max(a.Count, 1), "roles": append([]string{}, slices.Collect(a.Roles.All())...)},
		}))
		canonical, err := approval.Canonical(text)
		if want := sha256.Sum256([]byte(canonical)); err != nil || a.Digest() != want {
			t.Errorf("Digest() = %x, want %x, of %s, %v", a.Digest(), want, canonical, err)
		}
	}
}

func TestStatus(t *testing.T) {
	now := time.Now()
	yes, no := approval.Decision{Approve: true}, approval.Decision{}
	for _, test := range []struct {
		want      approval.Status
		expires   time.Time
		used      time.Time
		decisions []approval.Decision
	}{
		{approval.Pending, now.Add(1), time.Time{}, nil},
		{approval.Approved, now.Add(1), time.Time{}, []approval.Decision{yes}},
		{approval.Expired, now, time.Time{}, []approval.Decision{yes}},
		{approval.Denied, now, time.Time{}, []approval.Decision{yes, no}},
		{approval.Used, now, now, []approval.Decision{yes}},
	} {
		if got := (approval.Approval{Expires: test.expires, Used: test.used, Decisions: test.decisions, AsOf: now}).Status(); got != test.want {
			t.Errorf("Status() = %s, want %s", got, test.want)
		}
	}
}

func TestRequestRefusesMalformedCalls(t *testing.T) {
	a := newApprovals(t, func(c *approval.Config) { c.MaxArguments = 16 })
	rule := approval.Rule{Consent: true}
	for _, test := range []struct {
		want   string // in the cause
		change func(c *approval.Call)
	}{
		{"Call.Tenant: must", func(c *approval.Call) { c.Tenant = "" }},
		{"Call.Subject.Issuer: must", func(c *approval.Call) { c.Subject.Issuer = "a\nb" }},
		{"Call.Subject.Subject: must", func(c *approval.Call) { c.Subject.Subject = "" }},
		{"Call.Actor.Issuer: must", func(c *approval.Call) { c.Actor.Issuer = "a\nb" }},
		{"Call.Actor.Subject: must", func(c *approval.Call) { c.Actor.Subject = "" }},
		{"Call.Tool: must", func(c *approval.Call) { c.Tool = "" }},
		{"Call.Version: must", func(c *approval.Call) { c.Version = strings.Repeat("v", 256) }},
		{"Call.Arguments: not canonical", func(c *approval.Call) { c.Arguments = "" }},
		{"Call.Arguments: not canonical", func(c *approval.Call) { c.Arguments = `{"b":1,"a":2}` }},
		{"Call.Arguments: 18 bytes", func(c *approval.Call) { c.Arguments = `{"a":"0123456789"}` }},
	} {
		call := pay(`{}`)
		test.change(&call)
		_, err := a.Request(t.Context(), call, rule)
		if e, _ := errors.AsType[*gatehouse.Error](err); codeOf(err) != "invalid_request" || strings.TrimPrefix(e.Cause.Error(), "approval: ")[:len(test.want)] != test.want {
			t.Errorf("Request error = %v, want invalid_request for %s", err, test.want)
		}
	}
	if got := a.MaxArguments(); got != 16 {
		t.Errorf("MaxArguments() = %d, want 16", got)
	}
	request(t, a, pay(`{"a":"12345678"}`), approval.Rule{Roles: roles("admin"), Count: 16}) // the largest
	request(t, a, pay(`{}`), approval.Rule{Consent: true, Count: 1})
	for _, wrong := range []approval.Rule{
		{}, {Consent: true, Count: 2}, {Consent: true, Roles: roles("admin")}, {Roles: roles("admin"), Count: 17}, {Roles: roles("admin"), Count: -1},
	} {
		if _, err := a.Request(t.Context(), pay(`{}`), wrong); codeOf(err) != "temporarily_unavailable" {
			t.Errorf("Request with the rule %+v error = %v, want temporarily_unavailable", wrong, err)
		}
	}
}

// Neither many approvals nor large ones of one actor fill the store or a list.
func TestOneActorCannotFlood(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*approval.Config)
		fill   int // bytes of the arguments, with 14 others
	}{
		"number":          {func(c *approval.Config) { c.MaxPending = 2 }, 0},
		"size":            {func(c *approval.Config) { c.MaxArguments, c.MaxPendingBytes = 29, 29 }, 0},
		"size by default": {func(c *approval.Config) { c.MaxArguments = 16 << 20 }, 6 << 20},
	} {
		a, rule := newApprovals(t, test.change), approval.Rule{Consent: true}
		call := func(n int) approval.Call {
			return pay(fmt.Sprintf(`{"n":%d,"x":"%s"}`, n, strings.Repeat("a", test.fill)))
		}
		request(t, a, call(1), rule)
		request(t, a, call(2), rule)
		if _, err := a.Request(t.Context(), call(3), rule); codeOf(err) != "too_many_approvals" {
			t.Errorf("%s: third Request error = %v, want too_many_approvals", name, err)
		}
		other := call(3)
		other.Actor.Subject = "helper-2"
		request(t, a, other, rule)
	}
}

// The approvals of an actor at its limit do not hide those of another from the list.
func TestOneActorHidesNoOther(t *testing.T) {
	a := newApprovals(t, nil)
	rule := approval.Rule{Roles: roles("operator")}
	quiet := pay(`{}`)
	quiet.Actor.Subject = "helper-2"
	first := request(t, a, quiet, rule)
	for n := range 100 {
		request(t, a, pay(fmt.Sprintf(`{"n":%d}`, n)), rule)
	}
	_, err := a.Request(t.Context(), pay(`{"n":100}`), rule)
	if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Code != approval.CodeTooMany || e.RetryAfter != time.Minute {
		t.Errorf("Request of one above the default of MaxPending error = %v, want %v after a minute", err, approval.CodeTooMany)
	}
	listed, err := a.List(t.Context(), person("oscar", "operator"))
	if err != nil || len(listed) != 100 || !slices.ContainsFunc(listed, func(a approval.Approval) bool { return a.ID == first.ID }) {
		t.Errorf("List() has %d approvals, %v, want 100 with that of the other actor", len(listed), err)
	}
}

// A list has no long arguments, and large ones of one actor hide no other approval.
func TestListIsBounded(t *testing.T) {
	a := newApprovals(t, nil)
	call := pay(`{"a":"` + strings.Repeat("a", 128<<10) + `"}`)
	for _, actor := range []string{"helper-1", "helper-2"} {
		call.Actor.Subject = actor
		request(t, a, call, approval.Rule{Roles: roles("operator")})
	}
	listed, err := a.List(t.Context(), person("oscar", "operator"))
	if err != nil || len(listed) != 2 || listed[0].Arguments != "" || listed[1].Arguments != "" {
		t.Fatalf("List() has %d approvals, %v, want both without their arguments", len(listed), err)
	}
	if text, err := json.Marshal(listed[0]); err != nil || !strings.Contains(string(text), `"arguments":null`) {
		t.Errorf("Marshal of a listed approval = %s, %v, want the arguments null", text, err)
	}
	page := exchange{method: "GET", path: "/approvals", caller: person("oscar", "operator")}.do(a).Body.String()
	if strings.Count(page, "The arguments are long.") != 2 {
		t.Errorf("the page does not say that the arguments are long:\n%.2000s", page)
	}
}

func TestAskingAgainAfterDenial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, again := range []bool{false, true} {
			a := newApprovals(t, func(c *approval.Config) { c.AllowAskingAgain = again })
			rule := approval.Rule{Roles: roles("operator")}
			first := request(t, a, pay(`{}`), rule)
			decide(a, person("oscar", "operator"), first.ID, false)
			second := request(t, a, pay(`{}`), rule)
			if (second.ID != first.ID) != again || (second.Status() == approval.Pending) != again {
				t.Errorf("AllowAskingAgain = %v: second Request = %s, %s", again, second.ID, second.Status())
			}
			want := []gatehouse.Param{
				{Name: "approval", Value: second.ID}, {Name: "url", Value: server + "/approvals/" + second.ID}, {Name: "expires", Value: second.Expires.Format(time.RFC3339)},
			}
			if e := a.Required(second); (e.Reason == approval.ReasonRequired) != again || !slices.Equal(e.Params, want) || e.Level != slog.LevelInfo {
				t.Errorf("AllowAskingAgain = %v: Required = %s, %v at the level %v, want %v", again, e.Reason, e.Params, e.Level, want)
			}
			time.Sleep(10 * time.Minute)
			if third := request(t, a, pay(`{}`), rule); third.Status() != approval.Pending || third.ID == second.ID {
				t.Errorf("Request after the expiry = %s, %s, want another one that is pending", third.ID, third.Status())
			}
		}
	})
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApprovals(t, nil)
		asked := request(t, a, profile(), approval.Rule{Consent: true})
		time.AfterFunc(90*time.Second, func() { decide(a, person("alice"), asked.ID, true) })
		short, cancel := context.WithTimeout(t.Context(), time.Minute-time.Second/2) // between two queries
		defer cancel()
		if _, err := a.Wait(short, "acme", asked.ID); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Wait for a minute error = %v, want %v", err, context.DeadlineExceeded)
		}
		start := time.Now()
		if got, err := a.Wait(t.Context(), "acme", asked.ID); err != nil || got.Status() != approval.Approved || time.Since(start) > 31*time.Second {
			t.Errorf("Wait = %s, %v after %v, want approved after 30 s", got.Status(), err, time.Since(start))
		}
		two := request(t, a, profile(), approval.Rule{Roles: roles("admin"), Count: 2})
		for after, name := range []string{"ada", "bea"} {
			time.AfterFunc(time.Duration(after+1)*time.Minute, func() { decide(a, person(name, "admin"), two.ID, true) })
		}
		if got, err := a.Wait(t.Context(), "acme", two.ID); err != nil || len(got.Decisions) != 2 {
			t.Errorf("Wait for two persons = %+v, %v, want both decisions", got, err)
		}
		other := request(t, a, pay(`{}`), approval.Rule{Consent: true})
		if got, err := a.Wait(t.Context(), "acme", other.ID); err != nil || got.Status() != approval.Expired {
			t.Errorf("Wait without a decision = %s, %v, want expired", got.Status(), err)
		}
		for _, id := range []string{"apr_x", strings.Repeat("x", 300)} {
			_, err := a.Wait(t.Context(), "acme", id)
			if _, refusal := errors.AsType[*gatehouse.Error](err); !errors.Is(err, approval.ErrNotFound) || refusal {
				t.Errorf("Wait(%.10s) error = %v, want %v and no 503", id, err, approval.ErrNotFound)
			}
		}
		if _, err := a.Find(t.Context(), "", asked.ID); !errors.Is(err, approval.ErrNotFound) {
			t.Errorf("Find without a tenant error = %v, want %v", err, approval.ErrNotFound)
		}
	})
}

func TestHooksAndFailures(t *testing.T) {
	var seen events
	var asked []string
	failing := errors.New("mail is down")
	a := newApprovals(t, func(c *approval.Config) {
		c.Observer = &seen
		c.Requested = func(ctx context.Context, a approval.Approval) error {
			if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > 10*time.Second {
				t.Errorf("deadline of a hook = %v, %v, want at most 10 s", deadline, ok)
			}
			asked = append(asked, a.ID)
			return failing
		}
	})
	rule := approval.Rule{Consent: true}
	first := request(t, a, profile(), rule)
	request(t, a, profile(), rule)
	if diff := cmp.Diff([]string{first.ID}, asked); diff != "" {
		t.Errorf("calls of Requested (-want +got):\n%s", diff)
	}
	if e, hook := seen.last("hook"); e.Type != approval.EventHookFailed || hook != "requested" || !errors.Is(e.Cause, failing) {
		t.Errorf("event = %+v, want %q", e, approval.EventHookFailed)
	}
	for _, reason := range []string{strings.Repeat("x", 2001), strings.Repeat("é", 1001), "\xff"} {
		if _, err := a.Decide(t.Context(), person("alice"), first.ID, true, reason); codeOf(err) != "invalid_request" {
			t.Errorf("Decide with the reason %.10q error = %v, want invalid_request", reason, err)
		}
	}

	// What the observer cannot record is refused.
	seen.fail = errors.New("full")
	_, decideErr := a.Decide(t.Context(), person("alice"), first.ID, true, "")
	_, claimErr := a.Claim(t.Context(), profile(), rule)
	_, requestErr := a.Request(t.Context(), pay(`{}`), rule)
	_, plainErr := newApprovals(t, func(c *approval.Config) { c.Observer = &seen }).Request(t.Context(), pay(`{}`), rule)
	unrecorded := newApprovals(t, func(c *approval.Config) {
		c.Requested = func(context.Context, approval.Approval) error { return failing }
		c.Decided = c.Requested
		c.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			if e.Type == approval.EventHookFailed {
				return seen.fail
			}
			return nil
		})
	})
	kept, requestedErr := unrecorded.Request(t.Context(), profile(), rule)
	_, decidedErr := unrecorded.Decide(t.Context(), person("alice"), kept.ID, true, "")
	for name, err := range map[string]error{
		"Decide": decideErr, "Claim": claimErr, "Request": requestErr, "Request without a hook": plainErr, "Requested": requestedErr, "Decided": decidedErr,
	} {
		if codeOf(err) != "temporarily_unavailable" {
			t.Errorf("%s with an observer that fails error = %v, want temporarily_unavailable", name, err)
		}
	}
	seen.fail = nil
	if _, err := a.Claim(t.Context(), profile(), rule); !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("Claim after a claim that was not recorded error = %v, want %v", err, approval.ErrNotFound)
	}
	for _, e := range seen.all {
		for _, attr := range e.Attrs {
			if strings.Contains(attr.Value.String(), "display_name") {
				t.Errorf("event %s has the arguments in %s", e.Type, attr.Key)
			}
		}
	}
}

func TestStoreFailureIsUnavailable(t *testing.T) {
	a := newApprovals(t, func(c *approval.Config) { c.Store = &store{err: errDown} })
	if _, err := a.Find(t.Context(), "", "a"); !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("Find without a tenant error = %v, want %v without a call of the store", err, approval.ErrNotFound)
	}
	for size, want := range map[int]error{255: errDown, 256: approval.ErrNotFound} {
		if _, err := a.Find(t.Context(), "acme", strings.Repeat("x", size)); !errors.Is(err, want) {
			t.Errorf("Find of an ID of %d bytes error = %v, want %v", size, err, want)
		}
	}
	if _, err := a.Claim(t.Context(), approval.Call{}, approval.Rule{Consent: true}); !errors.Is(err, approval.ErrNotFound) {
		t.Errorf("Claim of an invalid call error = %v, want %v without a call of the store", err, approval.ErrNotFound)
	}
	_, requestErr := a.Request(t.Context(), profile(), approval.Rule{Consent: true})
	_, decideErr := a.Decide(t.Context(), person("alice"), "a", true, "")
	_, claimErr := a.Claim(t.Context(), profile(), approval.Rule{Consent: true})
	_, findErr := a.Find(t.Context(), "acme", "a")
	_, waitErr := a.Wait(t.Context(), "acme", "a")
	_, listErr := a.List(t.Context(), person("alice"))
	for name, err := range map[string]error{"Request": requestErr, "Decide": decideErr, "Claim": claimErr, "Find": findErr, "Wait": waitErr, "List": listErr} {
		e, ok := errors.AsType[*gatehouse.Error](err)
		if !ok || e.Code != gatehouse.CodeTemporarilyUnavailable || e.Reason != approval.ReasonUnavailable || !errors.Is(err, errDown) {
			t.Errorf("%s with a store that fails error = %v, want a 503 with the cause", name, err)
		}
	}
}

// What the store claims is compared with what was asked for.
func TestWrongClaimIsUnavailable(t *testing.T) {
	rule := approval.Rule{Consent: true}
	a := newApprovals(t, nil)
	asked := request(t, a, profile(), rule)
	decide(a, person("alice"), asked.ID, true)
	right := must(a.Claim(t.Context(), profile(), rule))
	for name, change := range map[string]func(*approval.Approval){
		"right":        func(*approval.Approval) {},
		"another call": func(a *approval.Approval) { a.Call.Arguments = `{"display_name":"B"}` },
		"another rule": func(a *approval.Approval) { a.Rule.Roles, a.Rule.Consent = roles("operator"), false },
		"not claimed":  func(a *approval.Approval) { a.Used = time.Time{} },
	} {
		claimed := right
		change(&claimed)
		a := newApprovals(t, func(c *approval.Config) { c.Store = &store{err: errDown, answer: &claimed} })
		if _, err := a.Request(t.Context(), profile(), rule); (err == nil) != (name != "another call") || err != nil && codeOf(err) != "temporarily_unavailable" {
			t.Errorf("%s: Request error = %v", name, err)
		}
		if _, err := a.Claim(t.Context(), profile(), rule); (err == nil) != (name == "right") || err != nil && codeOf(err) != "temporarily_unavailable" {
			t.Errorf("%s: Claim error = %v", name, err)
		}
	}
}
