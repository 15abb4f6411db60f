// SPDX-License-Identifier: Apache-2.0

package approvals_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/store/internal/approvals"
)

func TestDamagedDecisionsAreErrors(t *testing.T) {
	for _, text := range []string{
		"\n", "issuer/alice approve r\n", "issuer/alice approve r 1 2\n", "issuer/alice maybe r 1\n", "issuer approve r 1\n",
		"issuer/alice approve %zz 1\n", "issuer/alice approve r x\n",
	} {
		if got, err := approvals.ParseDecisions(text); err == nil {
			t.Errorf("ParseDecisions(%q) = %v, want an error", text, got)
		}
	}
	for _, text := range []string{"\n\n\n", "\na\tb\n"} {
		if got, err := approvals.ParseRoles(text); err == nil {
			t.Errorf("ParseRoles(%q) = %v, want an error", text, got)
		}
	}
}

func TestDecisionsSurvive(t *testing.T) {
	want := []approval.Decision{
		{Decider: gatehouse.Key{Issuer: "https://a.example/ ", Subject: "alice\n"}, Approve: true, Comment: "a b\n+%\x00", Time: time.UnixMicro(1).UTC()},
		{Decider: gatehouse.Key{Subject: "bob"}, Time: time.UnixMicro(1 << 50).UTC()},
	}
	line := func(d approval.Decision, at string) string {
		return d.Decider.String() + " " + approvals.FormatDecision(d) + " " + at + "\n"
	}
	text := line(want[0], "1") + line(want[1], "1125899906842624")
	if got, err := approvals.ParseDecisions(text); err != nil || !slices.Equal(got, want) {
		t.Errorf("ParseDecisions(%q) = %v, %v, want %v", text, got, err, want)
	}
}

func TestRolesSurvive(t *testing.T) {
	for _, names := range [][]string{nil, {"admin"}, {"admin", "operator of the night"}} {
		want, err := gatehouse.NewRoles(names...)
		if err != nil {
			t.Fatal(err)
		}
		text := approvals.FormatRoles(want)
		if got, err := approvals.ParseRoles(text); err != nil || got.String() != want.String() {
			t.Errorf("ParseRoles(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
}
