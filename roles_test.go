// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

func TestRoles(t *testing.T) {
	names := []string{"Site Owner", "editor", "\u00e9diteur", "editor", "a\u2028b"}
	r := must(gatehouse.NewRoles(names...))
	equal(t, "argument after NewRoles", names, []string{"Site Owner", "editor", "\u00e9diteur", "editor", "a\u2028b"})
	equal(t, "All", slices.Collect(r.All()), []string{"Site Owner", "a\u2028b", "editor", "\u00e9diteur"})
	equal(t, "Len", r.Len(), 4)
	for name, want := range map[string]bool{
		"Site Owner": true, "editor": true, "\u00e9diteur": true,
		"": false, "Editor": false, "Site": false, "Owner": false, "editor\n\u00e9diteur": false, "\n": false, "edit": false, "e\u0301diteur": false,
	} {
		equal(t, fmt.Sprintf("Has(%q)", name), r.Has(name), want)
		equal(t, fmt.Sprintf("Has(%q) of no roles", name), (gatehouse.Roles{}).Has(name), false)
	}
	equal(t, "roles in another order", roleSet("\u00e9diteur", "editor", "a\u2028b", "Site Owner"), r)
	for range r.All() {
		break
	}
	if empty := roleSet(); empty != (gatehouse.Roles{}) || empty.Len() != 0 || len(slices.Collect(empty.All())) != 0 {
		t.Errorf("NewRoles() = %v, want no roles", empty)
	}
	for _, bad := range []string{"", "a\nb", "a\x00", "a\x7f", "\u0085", "\xff", "a\tb"} {
		if r, err := gatehouse.NewRoles("ok", bad); r.Len() != 0 || fmt.Sprint(err) != "gatehouse: malformed role" {
			t.Errorf("NewRoles(%q) = %v, %v; want a malformed role", bad, r, err)
		}
	}
}
