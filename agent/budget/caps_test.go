// SPDX-License-Identifier: Apache-2.0

package budget_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
)

func principal(t testing.TB, method gatehouse.Method, credential, claims string) gatehouse.Principal {
	t.Helper()
	return gatehouse.Principal{
		Method: method, Tenant: "acme", Issuer: "https://issuer.example", Subject: "ann", Credential: credential, Claims: must(gatehouse.NewClaims(claims)),
		Expires: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC),
	}
}

func TestCapsOf(t *testing.T) {
	text := func(c budget.Caps) string {
		show := func(n *int64) string {
			if n == nil {
				return "-"
			}
			return fmt.Sprint(*n)
		}
		return show(c.PerRequest) + " " + show(c.PerDay) + " " + show(c.PerToken)
	}
	for _, test := range []struct{ claims, want string }{
		{`{}`, "- - -"},
		{`{"max_tokens_per_request":5,"max_tokens_per_day":0,"token_budget":9007199254740991}`, "5 0 9007199254740991"},
		{`{"MAX_TOKENS_PER_DAY":5}`, "- - -"},
		{`{"max_tokens_per_request":-1}`, "error"},
		{`{"max_tokens_per_request":1.5}`, "error"},
		{`{"max_tokens_per_request":5.0}`, "error"},
		{`{"max_tokens_per_request":1e3}`, "error"},
		{`{"max_tokens_per_request":"5"}`, "error"},
		{`{"max_tokens_per_request":null}`, "error"},
		{`{"max_tokens_per_day":9007199254740992}`, "error"},
		{`{"token_budget":99999999999999999999}`, "error"},
		{`{"token_budget":[]}`, "error"},
	} {
		caps, err := budget.CapsOf(principal(t, "jwt", "j1", test.claims))
		got := text(caps)
		if err != nil {
			if e, _ := refused(t, test.claims, err, 403, budget.ReasonClaims); e.Code != gatehouse.CodeAccessDenied || e.Issuer != "https://issuer.example" || e.Credential != "j1" {
				t.Errorf("CapsOf(%s) = %v", test.claims, err)
			}
			got = "error"
		}
		if got != test.want {
			t.Errorf("CapsOf(%s) = %s, want %s", test.claims, got, test.want)
		}
	}
	for claims, ok := range map[string]bool{`{"token_budget":5}`: false, `{"max_tokens_per_day":5}`: true} {
		if _, err := budget.CapsOf(principal(t, "jwt", "", claims)); (err == nil) != ok {
			t.Errorf("CapsOf a token without jti and with %s: error = %v", claims, err)
		}
	}
}

func TestLinesOfCaps(t *testing.T) {
	const issuer = "https:%2F%2Fissuer.example/"
	account := func(per, name string) budget.Account { return budget.Account{Tenant: "acme", Per: per, Name: name} }
	for method, day := range map[gatehouse.Method]budget.Account{"api_key": account("key", "c1"), "jwt": account("subject", issuer+"ann")} {
		p := principal(t, method, "c1", `{"max_tokens_per_day":70,"token_budget":500}`)
		caps := must(budget.CapsOf(p))
		want := []budget.Line{
			{Account: day, Window: budget.Day(nil), Max: 70},
			{Account: account("token", issuer+"c1"), Window: budget.Life(p.Expires), Max: 500},
		}
		for _, test := range []struct {
			caps budget.Caps
			want []budget.Line
		}{{caps, want}, {budget.Caps{PerDay: caps.PerDay}, want[:1]}, {budget.Caps{PerToken: caps.PerToken}, want[1:]}, {budget.Caps{}, nil}} {
			if diff := cmp.Diff(test.want, test.caps.Lines(p), cmp.Comparer(func(a, b budget.Window) bool { return a == b })); diff != "" {
				t.Errorf("Lines of %s (-want +got):\n%s", method, diff)
			}
		}
	}
}

func TestSmallestOfCaps(t *testing.T) {
	one, two := int64(1), int64(2)
	a := budget.Caps{PerRequest: &one, PerDay: &two}
	b := budget.Caps{PerRequest: &two, PerDay: &one, PerToken: &two}
	for _, got := range []budget.Caps{a.Smallest(b), b.Smallest(a)} {
		if diff := cmp.Diff(budget.Caps{PerRequest: &one, PerDay: &one, PerToken: &two}, got); diff != "" {
			t.Errorf("Smallest (-want +got):\n%s", diff)
		}
	}
}

func TestAgentAccount(t *testing.T) {
	p := principal(t, "jwt", "c1", "{}")
	if _, ok := budget.AgentAccount(p); ok {
		t.Error("AgentAccount of a user: ok")
	}
	agent := p
	agent.Kind = gatehouse.KindAgent
	delegated := p
	delegated.Actors = gatehouse.NewActors(gatehouse.Actor{Subject: "bot"}, gatehouse.Actor{Subject: "first"})
	foreign := p
	foreign.Actors = gatehouse.NewActors(gatehouse.Actor{Subject: "bot", Issuer: "other"})
	for want, p := range map[string]gatehouse.Principal{
		"https:%2F%2Fissuer.example/ann": agent,
		"https:%2F%2Fissuer.example/bot": delegated,
		"other/bot":                      foreign,
	} {
		if account, ok := budget.AgentAccount(p); !ok || account.Name != want || account.Tenant != "acme" || account.Per != "agent" {
			t.Errorf("AgentAccount = %+v, %v, want %s", account, ok, want)
		}
	}
}
