// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
)

// TestApprovalPages: a list is the same with pages of any size, also if some approvals were
// created at the same time, and others do not match.
func TestApprovalPages(t *testing.T) {
	t.Parallel()
	client, b := newBudgets(t)
	whole := b.store.Approvals()
	operator, err := gatehouse.NewRoles("operator")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 24 {
		a := approval.Approval{ID: fmt.Sprintf("%c%d", 'z'-i, i), Rule: approval.Rule{Roles: operator}}
		a.Call = approval.Call{Tenant: "acme", Subject: gatehouse.Key{Subject: "alice"}, Actor: gatehouse.Key{Subject: fmt.Sprint("agent ", i*i%5)}, Tool: "pay", Arguments: fmt.Sprint(i)}
		if i%4 == 3 {
			a.Rule = approval.Rule{Consent: true} // of alice
		}
		if _, _, err := whole.Request(t.Context(), a, approval.Limits{Lifetime: time.Hour, Pending: 100, Bytes: 1000}, false); err != nil {
			t.Fatal(err)
		}
		if err := client.ZAdd(t.Context(), whole.base+":tenant:acme", redis.Z{Score: float64(1000 + i/5), Member: a.ID}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	list := func(page, limit int) (ids []string) {
		a := *whole
		a.page = page
		found, err := a.List(t.Context(), approval.Filter{Tenant: "acme", Decider: gatehouse.Key{Subject: "oscar"}, Roles: operator}, limit, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range found {
			ids = append(ids, a.ID)
		}
		return ids
	}
	all := list(approvalPage, 100)
	if len(all) != 18 {
		t.Fatalf("List = %q, want the 18 that match", all)
	}
	for _, page := range []int{1, 2, 5, 7, 24} {
		for limit := range len(all) + 2 {
			if got := list(page, limit); !slices.Equal(got, all[:min(limit, len(all))]) {
				t.Errorf("List(%d) with pages of %d = %q, want the first of %q", limit, page, got, all)
			}
		}
	}
	// The script that reads the records checks them again.
	if _, _, err := whole.Decide(t.Context(), "acme", all[0], approval.Decision{Decider: gatehouse.Key{Subject: "otto"}}); err != nil {
		t.Fatal(err)
	}
	oscar := gatehouse.Key{Subject: "oscar"}.String()
	found, err := whole.many(t.Context(), "list", listApprovalsScript, "acme", oscar, 1, "operator", 1000, all[0], all[1])
	if err != nil || len(found) != 1 || found[0].ID != all[1] {
		t.Errorf("list of an approval that was denied meanwhile = %v, %v, want the other one only", found, err)
	}
}
