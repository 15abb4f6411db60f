// SPDX-License-Identifier: Apache-2.0

package tool_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/tool"
	"github.com/gatehouse-go/gatehouse/dpop"
)

const (
	readArguments    = `{"topic":"hello"}`
	profileArguments = `{"display_name":"Alice"}`
	partnerArguments = `{"amount":100,"url":"https://partner.example/pay"}`
	codeArguments    = `{"language":"echo","source":"hi"}`
)

// TestRowsOfTheSpecification calls the four tools with each proof, and with each proof
// weakened in turn.
func TestRowsOfTheSpecification(t *testing.T) {
	without := func(p gatehouse.Principal, scope string) gatehouse.Principal {
		var left []string
		for s := range p.Scopes.All() {
			if s != scope {
				left = append(left, s)
			}
		}
		p.Scopes = scopes(left...)
		return p
	}
	bound := func(p gatehouse.Principal, b gatehouse.Binding) gatehouse.Principal { p.Binding = b; return p }
	for _, test := range []struct {
		name, tool, arguments string
		caller                gatehouse.Principal
		want                  string
		reason                gatehouse.Reason
	}{
		{"read with a key", "read_public", readArguments, key(), "", ""},
		{"read with an own token", "read_public", readArguments, own(), "", ""},
		{"read with a delegated token", "read_public", readArguments, delegated(), "", ""},
		{"read without the scope", "read_public", readArguments, without(key(), "data:read"), "insufficient_scope", tool.ReasonScope},
		{"read without a caller", "read_public", readArguments, gatehouse.Principal{}, "missing_credentials", gatehouse.ReasonNoCredentials},

		{"modify", "update_profile", profileArguments, delegated(), "approval_required", approval.ReasonRequired},
		{"modify with a key", "update_profile", profileArguments, with(key(), func(p *gatehouse.Principal) { p.Scopes = scopes("data:write") }), "access_denied", tool.ReasonProof},
		{"modify without an actor", "update_profile", profileArguments, with(person("alice"), func(p *gatehouse.Principal) {
			p.Method, p.Scopes = "jwt", scopes("data:write")
		}), "access_denied", tool.ReasonProof},
		{"modify with an own token", "update_profile", profileArguments, own(), "access_denied", tool.ReasonProof},
		{"modify without the scope", "update_profile", profileArguments, without(delegated(), "data:write"), "insufficient_scope", tool.ReasonScope},
		{"modify without a tenant", "update_profile", profileArguments, with(delegated(), func(p *gatehouse.Principal) { p.Tenant = "" }), "access_denied", tool.ReasonTenant},

		{"external", "call_partner", partnerArguments, own(), "approval_required", approval.ReasonRequired},
		{"external, delegated", "call_partner", partnerArguments, delegated(), "approval_required", approval.ReasonRequired},
		{"external with a key", "call_partner", partnerArguments, with(key(), func(p *gatehouse.Principal) { p.Scopes = scopes("external:invoke") }), "access_denied", tool.ReasonProof},
		{"external without a binding", "call_partner", partnerArguments, bound(own(), ""), "invalid_token", tool.ReasonBinding},
		{"external with another binding", "call_partner", partnerArguments, bound(own(), dpop.Binding), "invalid_token", tool.ReasonBinding},
		{"external with a binding that looks alike", "call_partner", partnerArguments, bound(own(), "xmtls"), "invalid_token", tool.ReasonBinding},
		{"external without a binding and the scope", "call_partner", partnerArguments, bound(without(own(), "external:invoke"), ""), "invalid_token", tool.ReasonBinding},
		{"external without the scope", "call_partner", partnerArguments, without(own(), "external:invoke"), "insufficient_scope", tool.ReasonScope},
		{"external, too much", "call_partner", `{"amount":1001,"url":"x"}`, own(), "access_denied", tool.ReasonConstraint},

		{"execute", "run_code", codeArguments, own(), "approval_required", approval.ReasonRequired},
		{"execute, delegated", "run_code", codeArguments, delegated(), "access_denied", tool.ReasonProof},
		{"execute without attestation", "run_code", codeArguments, with(own(), func(p *gatehouse.Principal) { p.Subject = "helper-2" }), "access_denied", tool.ReasonAttestation},
		{"execute without the scope", "run_code", codeArguments, without(own(), "exec:sandbox"), "insufficient_scope", tool.ReasonScope},

		{"unlisted", "delete_all", `{}`, own(), "access_denied", tool.ReasonUnlisted},
		{"another case", "Read_public", readArguments, own(), "access_denied", tool.ReasonUnlisted},
		{"empty name", "", `{}`, own(), "access_denied", tool.ReasonUnlisted},
		{"a name as long as a book", strings.Repeat("☂", 100_000), `{}`, own(), "access_denied", tool.ReasonUnlisted},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newKit()
			call, err := k.Authorize(t.Context(), test.caller, test.tool, []byte(test.arguments))
			if codeOf(err) != test.want || (call == nil) != (test.want != "") {
				t.Fatalf("Authorize = %+v, %v, want %q", call, err, test.want)
			}
			e, name := k.seen.last(tool.EventCall, "tool")
			decision, level := gatehouse.Denied, slog.LevelWarn
			switch test.want {
			case "":
				decision, level = gatehouse.Allowed, slog.LevelInfo
			case "approval_required":
				level = slog.LevelInfo
			}
			if e.Reason != test.reason || e.Decision != decision || e.Level != level || e.Principal != test.caller || e.Code != test.want || e.Issuer != test.caller.Issuer || e.Credential != test.caller.Credential || e.Duration > time.Hour {
				t.Errorf("event = %+v, want %s at the level %s with the reason %q", e, decision, level, test.reason)
			}
			if !strings.HasPrefix(test.tool, name) || len(name) > 128 || !utf8.ValidString(name) {
				t.Errorf("the event names the tool %q", name)
			}
			refusal, _ := errors.AsType[*gatehouse.Error](err)
			if test.want == "insufficient_scope" {
				if want, _ := k.Scopes(test.tool); refusal.Scopes != want {
					t.Errorf("Scopes of the refusal = %v, want %v", refusal.Scopes, want)
				}
			}
			if errors.Is(err, tool.ErrUnlisted) != (test.reason == tool.ReasonUnlisted) {
				t.Errorf("errors.Is(%v, ErrUnlisted) = %v", err, !errors.Is(err, tool.ErrUnlisted))
			}
			required, ok := errors.AsType[*approval.RequiredError](err)
			if ok != (test.want == "approval_required") {
				t.Errorf("Authorize error = %v, want a RequiredError: %v", err, test.want == "approval_required")
			}
			if !ok {
				required = new(approval.RequiredError)
			} else if id := required.Approval.ID; required.URL != server+"/approvals/"+id || refusal.Params[0].Value != id ||
				(required.Approval.Version == "2") != (test.tool == "update_profile") {
				t.Errorf("RequiredError = %+v", required)
			}
			if _, id := k.seen.last(tool.EventCall, "approval"); id != required.Approval.ID {
				t.Errorf("the event names the approval %q, want %q", id, required.Approval.ID)
			}
			// What does not depend on the arguments, Check sees too.
			wantCheck := test.want
			if test.want == "approval_required" || test.reason == tool.ReasonConstraint || test.reason == tool.ReasonTenant {
				wantCheck = ""
			}
			if err := k.Check(t.Context(), test.caller, test.tool); codeOf(err) != wantCheck {
				t.Errorf("Check error = %v, want %q", err, wantCheck)
			}
			if _, sum := k.seen.last(tool.EventCall, "arguments_sha256"); (sum != "") != (wantCheck == "") {
				t.Errorf("arguments_sha256 = %q, want one only if the arguments were read", sum)
			}
			for _, a := range e.Attrs[1:] { // the first is the name of the tool
				if a.Value.String() == "" {
					t.Errorf("attribute %s is empty", a.Key)
				}
			}
		})
	}
}

// TestApprovedCallRunsOnce follows a call from the refusal to its run.
func TestApprovedCallRunsOnce(t *testing.T) {
	for _, test := range []struct {
		name, class, arguments, respelled, other string
		caller                                   gatehouse.Principal
		decider                                  gatehouse.Principal
	}{
		{"update_profile", "modify", profileArguments, ` { "display_name" : "\u0041lice" } `, `{"display_name":"Mallory"}`, delegated(), person("alice")},
		{"call_partner", "external", partnerArguments, `{"url":"https:\/\/partner.example/pay","amount":1e2}`, `{"amount":101,"url":"https://partner.example/pay"}`, own(), person("oscar", "operator")},
		{"run_code", "execute", codeArguments, `{"source":"hi","language":"echo"}`, `{"language":"echo","source":"ho"}`, own(), person("ada", "admin")},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newKit()
			authorize := func(arguments string) (*tool.Call, error) {
				return k.Authorize(t.Context(), test.caller, test.name, []byte(arguments))
			}
			_, err := authorize(test.arguments)
			first, ok := errors.AsType[*approval.RequiredError](err)
			if !ok {
				t.Fatalf("Authorize error = %v, want a RequiredError", err)
			}
			_, err = authorize(test.respelled)
			if again, ok := errors.AsType[*approval.RequiredError](err); !ok || again.Approval.ID != first.Approval.ID {
				t.Errorf("Authorize of the same call in another spelling = %v, want the approval %s", err, first.Approval.ID)
			}
			must(k.approvals.Decide(t.Context(), test.decider, first.Approval.ID, true, ""))
			k.want(t, "with other arguments", test.caller, test.name, test.other, "approval_required")
			stranger := test.caller
			if stranger.Subject = "helper-1"; test.caller.Subject == "helper-1" {
				stranger.Tenant = "umbrella"
			}
			k.want(t, "of another caller", stranger, test.name, test.arguments, "approval_required")
			if _, ok := test.caller.Actors.Current(); ok {
				other := with(test.caller, func(p *gatehouse.Principal) { p.Actors = gatehouse.NewActors(gatehouse.Actor{Subject: "helper-2"}) })
				k.want(t, "of another agent of the person", other, test.name, test.arguments, "approval_required")
			}
			call, err := authorize(test.respelled)
			if err != nil || call.Approval.ID != first.Approval.ID || call.Canonical != test.arguments || call.Arguments == nil {
				t.Fatalf("Authorize after the approval = %+v, %v, want the call", call, err)
			}
			// The record is written before the call runs.
			if e, id := k.seen.last(tool.EventCall, "approval"); e.Decision != gatehouse.Allowed || id != first.Approval.ID {
				t.Errorf("event = %+v with the approval %q, want allowed with %q", e, id, first.Approval.ID)
			}
			sum := sha256.Sum256([]byte(test.arguments))
			for attr, want := range map[string]string{
				"arguments_sha256": hex.EncodeToString(sum[:]), "subject": call.Facts.Subject.String(), "actor": call.Facts.Actor.String(), "tenant": "acme",
				"class": test.class, "version": call.Approval.Version,
			} {
				if _, got := k.seen.last(tool.EventCall, attr); got != want {
					t.Errorf("attribute %s = %q, want %q", attr, got, want)
				}
			}
			_, err = authorize(test.arguments)
			if second, ok := errors.AsType[*approval.RequiredError](err); !ok || second.Approval.ID == first.Approval.ID {
				t.Errorf("second run = %v, want another approval", err)
			}
		})
	}
}

// TestStrictArguments refuses what parsers read differently, and asks for no approval.
func TestStrictArguments(t *testing.T) {
	for _, arguments := range []string{
		``, `null`, `[]`, `"x"`, `{}`, `{"url":"x"}`, `{"url":"x","amount":1} x`, `{"url":"x","amount":1,"amount":2}`, `{"url":"x","amount":1,"Amount":2}`,
		`{"url":"x","Amount":1}`, `{"URL":"x","amount":1}`, `{"url":"x","amount":1,"extra":null}`, `{"url":"x","amount":"1"}`, `{"url":"x","amount":1.5}`,
		`{"url":"x","amount":null}`, `{"url":null,"amount":1}`, `{"url":1,"amount":1}`, `{"url":["x"],"amount":1}`, `{"url":"x","amount":true}`,
		`{"url":"x","amount":9007199254740993}`, `{"url":"x","amount":1e400}`, `{"url":"x","amount":-0}`, `{"url":"x","amount":1e-400}`,
		`{"url":"\ud800","amount":1}`, "{\"url\":\"\xff\",\"amount\":1}", `{"url":"` + strings.Repeat("x", maxArguments-20) + `","amount":1}`,
	} {
		k := newKit()
		_, err := k.Authorize(t.Context(), own(), "call_partner", []byte(arguments))
		if codeOf(err) != "invalid_arguments" {
			t.Errorf("Authorize(%.60q) error = %v, want invalid_arguments", arguments, err)
		}
		if e, _ := k.seen.last(approval.EventRequested, ""); e.Type != "" {
			t.Errorf("Authorize(%.60q) requested an approval", arguments)
		}
		e, _ := k.seen.last(tool.EventCall, "")
		if e.Cause == nil || strings.Contains(e.Cause.Error(), "xxx") {
			t.Errorf("Authorize(%.60q): cause = %v, want one without the arguments", arguments, e.Cause)
		}
		if strings.Contains(arguments, "-0") && !errors.Is(e.Cause, approval.ErrNumber) {
			t.Errorf("Authorize(%.60q): cause = %v, want %v", arguments, e.Cause, approval.ErrNumber)
		}
	}
}

func TestFailuresDeny(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	k := newKit()
	if _, err := k.Authorize(canceled, key(), "read_public", []byte(readArguments)); codeOf(err) != "temporarily_unavailable" {
		t.Errorf("Authorize with a canceled context error = %v, want temporarily_unavailable", err)
	}
	if e, _ := k.seen.last(tool.EventCall, ""); e.Decision != gatehouse.Unavailable || e.Level != slog.LevelError {
		t.Errorf("event with a canceled context = %+v, want %s at the level ERROR", e, gatehouse.Unavailable)
	}
	if ok, err := k.Visible(canceled, key(), "read_public"); ok || err == nil {
		t.Errorf("Visible with a canceled context = %v, %v, want an error", ok, err)
	}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"denied":      {errors.New("unknown agent"), "access_denied"},
		"nil refusal": {(*gatehouse.Error)(nil), "access_denied"},
		"refusal":     {&gatehouse.Error{Code: gatehouse.CodeInvalidToken}, "invalid_token"},
		"unavailable": {&url.Error{Op: "Get", URL: "x", Err: context.DeadlineExceeded}, "temporarily_unavailable"},
	} {
		k.facts = func(gatehouse.Principal) (tool.Facts, error) {
			return tool.Facts{Kind: tool.OwnToken, Attested: true}, test.err
		}
		k.want(t, name, key(), "read_public", readArguments, test.want)
		if ok, _ := k.Visible(t.Context(), key(), "read_public"); ok {
			t.Errorf("%s: Visible = true, want false", name)
		}
	}
	k.facts = func(gatehouse.Principal) (tool.Facts, error) {
		return tool.Facts{Kind: tool.OwnToken, Subject: gatehouse.Key{Subject: "owner"}}, nil
	}
	if call, err := k.Authorize(t.Context(), key(), "read_public", []byte(readArguments)); err != nil || call.Facts.Actor.Subject != "owner" {
		t.Errorf("Authorize with a subject and no actor = %+v, %v, want the subject as the actor", call, err)
	}
	k.facts = func(gatehouse.Principal) (tool.Facts, error) { return tool.Facts{}, nil }
	k.want(t, "without facts", key(), "read_public", readArguments, "access_denied")

	// After a failed claim, which may have used the approval, no other one is requested.
	k = newKit()
	k.store.fail = errDisk
	k.want(t, "with a failing claim", own(), "run_code", codeArguments, "temporarily_unavailable")
	k = newKit()
	k.store.full = approval.ErrTooMany
	k.want(t, "with too many requests", own(), "run_code", codeArguments, "too_many_approvals")
	// A caller that has left while the arguments were checked uses no approval.
	k = newKit()
	left, leave := context.WithCancel(t.Context())
	k.check = leave
	if _, err := k.Authorize(left, own(), "call_partner", []byte(partnerArguments)); codeOf(err) != "temporarily_unavailable" || k.store.claims > 0 {
		t.Errorf("Authorize of a caller that has left error = %v after %d claims, want temporarily_unavailable", err, k.store.claims)
	}

	// Without a record, only the class that allows it runs.
	k = newKit()
	_, err := k.Authorize(t.Context(), own(), "run_code", []byte(codeArguments))
	required, _ := errors.AsType[*approval.RequiredError](err)
	must(k.approvals.Decide(t.Context(), person("ada", "admin"), required.Approval.ID, true, ""))
	k.seen.fail = errDisk
	k.want(t, "without a record", own(), "run_code", codeArguments, "temporarily_unavailable")
	k.want(t, "without a record", key(), "read_public", readArguments, "")
	k.seen.fail = nil
	k.want(t, "after a claim without a record", own(), "run_code", codeArguments, "approval_required")
}

// Without approvals, the record alone stops a call.
func TestCallWithoutRecordDoesNotRun(t *testing.T) {
	recorded := read()
	recorded.AllowUnrecorded = false
	k := &kit{seen: &events{fail: errDisk}}
	k.Table = must(tool.New(tool.Config{
		Classes: map[string]tool.Class{"c": recorded}, Tools: []tool.Tool{{Name: "t", Class: "c", Arguments: tool.Args[struct{}]()}},
		Facts: factsAre(tool.Facts{Kind: tool.APIKey}), Observer: k.seen,
	}))
	k.want(t, "without a record", key(), "t", "", "temporarily_unavailable")
	k.seen.fail = nil
	k.want(t, "with a record", key(), "t", "", "")
	k.want(t, "as long as allowed by default", key(), "t", "{}"+strings.Repeat(" ", 256<<10-2), "")
	k.want(t, "too long", key(), "t", "{}"+strings.Repeat(" ", 256<<10-1), "invalid_arguments")
}

func TestVisible(t *testing.T) {
	k := newKit()
	unattested := with(own(), func(p *gatehouse.Principal) { p.Subject = "helper-2" })
	bare := func(p gatehouse.Principal) gatehouse.Principal {
		p.Scopes, p.Binding = gatehouse.Scopes{}, ""
		return p
	}
	for _, test := range []struct {
		name   string
		caller gatehouse.Principal
		want   string
	}{
		{"key", key(), "read_public"},
		{"key without the scope", bare(key()), ""},
		{"own token without scopes and binding", bare(own()), "call_partner read_public run_code"},
		{"own token of an agent without attestation", bare(unattested), "call_partner read_public"},
		{"delegated token", bare(delegated()), "call_partner read_public update_profile"},
		{"no caller", gatehouse.Principal{}, ""},
	} {
		var visible []string
		for _, name := range append(k.Names(), "delete_all") {
			ok, err := k.Visible(t.Context(), test.caller, name)
			if err != nil {
				t.Errorf("%s: Visible(%s) error = %v", test.name, name, err)
			}
			if ok {
				visible = append(visible, name)
			}
		}
		if got := strings.Join(visible, " "); got != test.want {
			t.Errorf("%s: visible tools = %q, want %q", test.name, got, test.want)
		}
	}
	two := read()
	two.Scopes = scopes("a", "b")
	for has, want := range map[string]bool{"a": false, "b": false, "a b": true} {
		table := must(tool.New(tool.Config{
			Classes: map[string]tool.Class{"c": two}, Tools: []tool.Tool{{Name: "t", Class: "c", Arguments: tool.Args[struct{}]()}}, Facts: factsAre(tool.Facts{Kind: tool.APIKey}),
		}))
		caller := with(key(), func(p *gatehouse.Principal) { p.Scopes = scopes(strings.Fields(has)...) })
		if ok, err := table.Visible(t.Context(), caller, "t"); ok != want || err != nil {
			t.Errorf("Visible of a tool with the scopes a and b to a caller with %s = %v, %v, want %v", has, ok, err, want)
		}
	}
	if _, ok := k.Scopes("delete_all"); ok {
		t.Error("Scopes of an unlisted tool = true, want false")
	}
}
