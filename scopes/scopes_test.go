// SPDX-License-Identifier: Apache-2.0

package scopes_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/alloctest"
	"github.com/gatehouse-go/gatehouse/scopes"
)

func set(s string) gatehouse.Scopes { return must(gatehouse.ParseScopes(s)) }

// authorize calls a policy for a caller with scopes and roles.
func authorize(policy gatehouse.Policy, held string, roles ...string) error {
	p := gatehouse.Principal{Method: "jwt", Scopes: set(held), Roles: must(gatehouse.NewRoles(roles...))}
	return policy.Authorize(httptest.NewRequest("GET", "/", nil), p)
}

// wantDecision checks that a policy allows a caller, or that its refusal and its
// Scopes name exactly the needed scopes.
func wantDecision(t testing.TB, name string, policy gatehouse.Policy, needed, held string, allowed bool) {
	t.Helper()
	want := set(needed)
	if got := policy.(interface{ Scopes() gatehouse.Scopes }).Scopes(); got != want {
		t.Errorf("%s(%q).Scopes = %q, want %q", name, needed, got, want)
	}
	err := authorize(policy, held)
	if allowed {
		if err != nil {
			t.Errorf("%s(%q) for a caller with %q error = %v, want nil", name, needed, held, err)
		}
		return
	}
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok || e.Code != gatehouse.CodeInsufficientScope || e.Reason != scopes.ReasonMissing || e.Scopes != want ||
		fmt.Sprint(e.Cause) != fmt.Sprintf("scopes: needs %q, has %q", want, set(held)) {
		t.Errorf("%s(%q) for a caller with %q error = %v (%v), want insufficient_scope with %q", name, needed, held, err, errors.Unwrap(err), want)
	}
}

// Covers ASVS 5.0 §8.2.1, §10.3.2.
func TestAllAndAny(t *testing.T) {
	for _, test := range []struct {
		needed, held string
		all, some    bool
	}{
		{"a", "a", true, true},
		{"a", "a b", true, true},
		{"a b", "a b", true, true},
		{"b a", "a b c", true, true},
		{"a a", "a", true, true},
		{"a b", "a", false, true},
		{"a b", "b", false, true},
		{"b a", "c a", false, true},
		{"a", "", false, false},
		{"a", "b", false, false},
		{"a b", "", false, false},
		{"a b", "c", false, false},
		{"a:b", "a", false, false},
		{"a", "a:b", false, false},
		{"a", "A", false, false},
		{"a:b", "a:*", false, false},
		{"a:b", "*", false, false},
		{"a:b", "a:", false, false},
		{"a:b", "a:b:c", false, false},
		{"a:b a:c", "a:* a *", false, false},
	} {
		needed := strings.Fields(test.needed)
		all, some := scopes.All(needed...), scopes.Any(needed...)
		needed[0] = "changed" // the policies have copies
		wantDecision(t, "All", all, test.needed, test.held, test.all)
		wantDecision(t, "Any", some, test.needed, test.held, test.some)
	}
}

func TestHasRole(t *testing.T) {
	for _, test := range []struct {
		names, held []string
		allowed     bool
	}{
		{[]string{"editor"}, []string{"editor"}, true},
		{[]string{"owner", "Site Owner"}, []string{"Site Owner"}, true},
		{[]string{"owner", "editor"}, []string{"viewer", "owner"}, true},
		{[]string{"editor"}, nil, false},
		{[]string{"editor"}, []string{"Editor"}, false},
		{[]string{"editor"}, []string{"editors", "edit", "co editor"}, false},
		{[]string{"owner", "editor"}, []string{"viewer"}, false},
	} {
		names := append([]string(nil), test.names...)
		policy := scopes.HasRole(names...)
		names[0] = "viewer" // the policy has a copy
		err := authorize(policy, "editor owner", test.held...)
		if test.allowed {
			if err != nil {
				t.Errorf("HasRole(%q) for a caller with %q error = %v, want nil", test.names, test.held, err)
			}
			continue
		}
		want := fmt.Sprintf("scopes: needs one of the roles %q, has %q", test.names, strings.Join(slices.Sorted(slices.Values(test.held)), ", "))
		e, ok := errors.AsType[*gatehouse.Error](err)
		if !ok || e.Code != gatehouse.CodeAccessDenied || e.Reason != scopes.ReasonRoleMissing || e.Cause == nil || e.Cause.Error() != want {
			t.Errorf("HasRole(%q) for a caller with %q error = %+v, want access_denied, cause %s", test.names, test.held, err, want)
		}
	}
}

func TestPoliciesPanic(t *testing.T) {
	i := must(scopes.NewImplications(map[string][]string{"a": {"b"}}))
	for name, policy := range map[string]func(...string) gatehouse.Policy{
		"All": scopes.All, "Any": scopes.Any, "implied All": i.All, "implied Any": i.Any,
	} {
		message := "scopes: " + strings.TrimPrefix(name, "implied ") + ": "
		wantPanic(t, message+"at least one scope is required", func() { policy() })
		wantPanic(t, message+"at least one scope is required", func() { policy([]string{}...) })
		for _, invalid := range []string{"", " ", "a b", "a\"", "a\\", "a\n", "\u00e9"} {
			wantPanic(t, fmt.Sprintf("%s%q%s", message, invalid, malformed), func() { policy("a", invalid) })
		}
		for _, wild := range []string{"*", "a:*", "**"} {
			wantPanic(t, fmt.Sprintf("%s%q has a wildcard: name each scope", message, wild), func() { policy("a", wild) })
		}
	}
	wantPanic(t, "scopes: HasRole: at least one role is required", func() { scopes.HasRole([]string{}...) })
	for _, invalid := range []string{"", "a\nb", "\xff"} {
		wantPanic(t, fmt.Sprintf("scopes: HasRole: %q is not a role: a role is UTF-8 without control characters, and not empty", invalid), func() { scopes.HasRole("a", invalid) })
	}
}

func wantPanic(t *testing.T, message string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := recover(); got != message {
			t.Errorf("panic = %v, want %q", got, message)
		}
	}()
	f()
}

func TestImplications(t *testing.T) {
	implied := map[string][]string{
		"data:admin": {"data:write", "data:delete"},
		"data:write": {"data:read"},
		"audit:read": {"data:read"},
		"idle":       {},
	}
	i := must(scopes.NewImplications(implied))
	implied["data:read"] = []string{"data:admin"} // i has a copy
	implied["data:write"][0] = "everything"

	for _, test := range []struct {
		held, needed string
		all, some    bool
	}{
		{"data:write", "data:read", true, true},
		{"data:admin", "data:read", true, true}, // through data:write
		{"data:admin", "data:read data:write data:delete data:admin", true, true},
		{"audit:read data:delete", "data:read data:delete", true, true},
		{"data:read", "data:read", true, true},
		{"data:write", "data:read data:delete", false, true},
		{"data:read", "data:write", false, false}, // not in the other direction
		{"data:read", "data:admin", false, false},
		{"data:delete", "data:read", false, false},
		{"audit:read", "data:write", false, false},
		{"data:*", "data:read", false, false},
		{"data", "data:read", false, false},
		{"idle", "data:read everything", false, false},
		{"", "data:read", false, false},
		{"unknown", "unknown", true, true},
	} {
		needed := strings.Fields(test.needed)
		wantDecision(t, "implied All", i.All(needed...), test.needed, test.held, test.all) // which names no implying scope
		wantDecision(t, "implied Any", i.Any(needed...), test.needed, test.held, test.some)
		for _, scope := range needed {
			if got, want := i.Grants(set(test.held), scope), authorize(i.All(scope), test.held) == nil; got != want {
				t.Errorf("Grants(%q, %q) = %t, want %t as All", test.held, scope, got, want)
			}
		}
	}
	wantDecision(t, "All", scopes.All("data:read"), "data:read", "data:write data:admin", false)
	if (scopes.Implications{}).Grants(set("data:write"), "data:read") || i.Grants(set("a"), "") {
		t.Error("Grants without an implication = true, want false")
	}
}

func TestNewImplicationsErrors(t *testing.T) {
	const itself, wildcard = " implies itself", " has a wildcard: name each scope"
	of := func(scope, err string) string { return fmt.Sprintf("scopes: implications of %q:%s", scope, err) }
	for _, test := range []struct {
		implied map[string][]string
		want    []string
	}{
		{map[string][]string{"a": {"a"}}, []string{of("a", itself)}},
		{map[string][]string{"a": {"b"}, "b": {"a"}, "c": {"a"}}, []string{of("a", itself), of("b", itself)}},
		{map[string][]string{"a": {"x", "b"}, "b": {"c"}, "c": {"y", "a"}}, []string{of("a", itself), of("b", itself), of("c", itself)}},
		{map[string][]string{"*": {"a"}, "b:*": {"c"}, "d": {"d:*", "**", "a*b"}}, []string{
			of("*", ` "*"`+wildcard), of("b:*", ` "b:*"`+wildcard), of("d", ` "d:*"`+wildcard), of("d", ` "**"`+wildcard), of("d", ` "a*b"`+wildcard),
		}},
		{map[string][]string{"": {"a"}, "b": {"c d"}}, []string{of("", ` ""`+malformed), of("b", ` "c d"`+malformed)}},
	} {
		i, err := scopes.NewImplications(test.implied)
		if want := strings.Join(test.want, "\n"); err == nil || err.Error() != want || !reflect.DeepEqual(i, scopes.Implications{}) {
			t.Errorf("NewImplications(%v) error =\n%v\nwant\n%s", test.implied, err, want)
		}
	}
	for _, none := range []map[string][]string{nil, {}, {"a": nil}} {
		if i, err := scopes.NewImplications(none); err != nil || i.Grants(set("a"), "b") {
			t.Errorf("NewImplications(%v) error = %v, want nil and no implication", none, err)
		}
	}
}

// The transitive closure, compared with that of Warshall's algorithm.
func TestImplicationsAreTransitive(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const n = 8
	name := func(i int) string { return fmt.Sprint("s", i) }
	for range 300 {
		var implies [n][n]bool
		implied := map[string][]string{}
		for range random.IntN(14) {
			// Mostly from higher to lower, so that many have no cycle.
			from, to := random.IntN(n), random.IntN(n)
			if from < to && random.IntN(10) > 0 {
				from, to = to, from
			}
			implies[from][to] = true
			implied[name(from)] = append(implied[name(from)], name(to))
		}
		for k := range n {
			for i := range n {
				for j := range n {
					implies[i][j] = implies[i][j] || implies[i][k] && implies[k][j]
				}
			}
		}
		cyclic := false
		for i := range n {
			cyclic = cyclic || implies[i][i]
		}
		got, err := scopes.NewImplications(implied)
		if cyclic != (err != nil) {
			t.Fatalf("NewImplications(%v) error = %v, want one for a cycle: %t", implied, err, cyclic)
		}
		for i := range n {
			for j := range n {
				if want := i == j || implies[i][j]; !cyclic && got.Grants(set(name(i)), name(j)) != want {
					t.Fatalf("%v: Grants(%s, %s) = %t, want %t", implied, name(i), name(j), !want, want)
				}
			}
		}
	}
}

func TestPoliciesDoNotAllocate(t *testing.T) {
	i := must(scopes.NewImplications(map[string][]string{"data:write": {"data:read"}, "data:admin": {"data:write"}}))
	roles := must(gatehouse.NewRoles("editor", "owner", "viewer"))
	p := gatehouse.Principal{Method: "jwt", Scopes: set("a b c d data:write"), Roles: roles}
	r := httptest.NewRequest("GET", "/", nil)
	for name, policy := range map[string]gatehouse.Policy{
		"All": scopes.All("a", "d", "data:write"), "Any": scopes.Any("x", "y", "d"), "HasRole": scopes.HasRole("admin", "viewer"),
		"implied All": i.All("a", "data:read"), "implied Any": i.Any("x", "data:read"),
	} {
		t.Run(name, func(t *testing.T) {
			alloctest.AtMost(t, 0, func() {
				if err := policy.Authorize(r, p); err != nil {
					t.Error(err)
				}
			})
		})
	}
	alloctest.AtMost(t, 0, func() { i.Grants(p.Scopes, "data:read") })
	denied := scopes.All("x")
	alloctest.AtMost(t, 2, func() { _ = denied.Authorize(r, p) })
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
