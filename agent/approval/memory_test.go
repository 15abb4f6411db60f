// SPDX-License-Identifier: Apache-2.0

package approval_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/agent/approval/approvaltest"
)

func TestMemoryContract(t *testing.T) {
	approvaltest.TestStore(t, func(*testing.T) approval.Store { return approval.NewMemory(0) })
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
