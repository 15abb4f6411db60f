// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"slices"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

func TestRoles(t *testing.T) {
	names := []string{"Site Owner", "editor", "\u00e9diteur", "editor", "a\u2028b"}
	r := must(gatehouse.NewRoles(names...))
	if names[0] != "Site Owner" || names[3] != "editor" {
		t.Errorf("NewRoles changed its argument to %q", names)
	}
	if got := slices.Collect(r.All()); r.Len() != 4 || !slices.Equal(got, []string{"Site Owner", "a\u2028b", "editor", "\u00e9diteur"}) {
		t.Errorf("Len = %d, All = %q", r.Len(), got)
	}
	for name, want := range map[string]bool{
		"Site Owner": true, "editor": true, "\u00e9diteur": true,
		"": false, "Editor": false, "Site": false, "Owner": false, "editor\n\u00e9diteur": false, "\n": false, "edit": false, "e\u0301diteur": false,
	} {
		if r.Has(name) != want || (gatehouse.Roles{}).Has(name) {
			t.Errorf("Has(%q) = %v", name, !want)
		}
	}
	equal(t, "roles in another order", roleSet("\u00e9diteur", "editor", "a\u2028b", "Site Owner"), r)
	for range r.All() {
		break
	}
	if empty := roleSet(); empty != (gatehouse.Roles{}) || empty.Len() != 0 || len(slices.Collect(empty.All())) != 0 {
		t.Errorf("NewRoles() = %v", empty)
	}
	for _, bad := range []string{"", "a\nb", "a\x00", "a\x7f", "\u0085", "\xff", "a\tb"} {
		if r, err := gatehouse.NewRoles("ok", bad); err == nil || err.Error() != "gatehouse: malformed role" || r.Len() != 0 {
			t.Errorf("NewRoles(%q) = %v, %v", bad, r, err)
		}
	}
}
