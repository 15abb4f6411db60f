// SPDX-License-Identifier: Apache-2.0

package approval_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/approval/approvaltest"
)

func TestMemoryContract(t *testing.T) {
	approvaltest.TestStore(t, func(*testing.T) approval.Store { return approval.NewMemory(0) })
}

// Approvals that were created at one time are listed by ID.
func TestMemoryListsByID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := approval.NewMemory(0)
		for _, id := range []string{"b", "d", "a", "c"} {
			call := profile()
			call.Tool = id
			if _, _, err := m.Request(t.Context(), approval.Approval{ID: id, Call: call, Rule: approval.Rule{Consent: true}}, approval.Limits{Lifetime: time.Minute, Pending: 4, Bytes: 1000}, false); err != nil {
				t.Fatal(err)
			}
		}
		var got strings.Builder
		for _, a := range must(m.List(t.Context(), approval.Filter{Tenant: "acme", Decider: profile().Subject}, 10, 1000)) {
			got.WriteString(a.ID)
		}
		if got.String() != "abcd" {
			t.Errorf("List = %q, want %q", got.String(), "abcd")
		}
	})
}

// A full store accepts a request again when an approval has expired.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApprovals(t, func(c *approval.Config) { c.Store, c.Lifetime = approval.NewMemory(1), time.Minute })
		first, rule := request(t, a, pay(`{}`), approval.Rule{Consent: true}), approval.Rule{Consent: true}
		time.Sleep(time.Minute - time.Microsecond)
		if _, err := a.Request(t.Context(), profile(), rule); codeOf(err) != "temporarily_unavailable" {
			t.Errorf("Request of a full store error = %v, want temporarily_unavailable", err)
		}
		if _, err := a.Find(t.Context(), "acme", first.ID); err != nil {
			t.Errorf("Find after a refused request error = %v, want nil", err)
		}
		time.Sleep(time.Microsecond)
		request(t, a, profile(), rule)
	})
}
