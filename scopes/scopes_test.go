// SPDX-License-Identifier: Apache-2.0

package scopes_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/scopes"
)

func set(t testing.TB, s string) gatehouse.Scopes {
	t.Helper()
	parsed, err := gatehouse.ParseScopes(s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func implications(t testing.TB, implied map[string][]string) scopes.Implications {
	t.Helper()
	i, err := scopes.NewImplications(implied)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// ask has a policy decide about a caller with scopes and roles.
func ask(t testing.TB, policy gatehouse.Policy, held string, roles ...string) error {
	t.Helper()
	r, err := gatehouse.NewRoles(roles...)
	if err != nil {
		t.Fatal(err)
	}
	return policy(httptest.NewRequest("GET", "/", nil), gatehouse.Principal{Method: gatehouse.MethodJWT, Scopes: set(t, held), Roles: r})
}

// insufficient checks that err is the refusal that names exactly these scopes.
func insufficient(t testing.TB, err error, needed string) {
	t.Helper()
	if cause := errors.Unwrap(err); cause == nil || !strings.HasPrefix(cause.Error(), fmt.Sprintf("needs %q, has ", needed)) {
		t.Errorf("the operator is told %v", cause)
	}
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok || e.Code != gatehouse.CodeInsufficientScope || e.Reason != gatehouse.ReasonScope || e.Scopes.String() != needed || e.Status() != 403 {
		t.Errorf("%+v, want insufficient_scope with %q", err, needed)
	}
}

func TestAll(t *testing.T) {
	for _, test := range []struct {
		needed, held string
		allowed      bool
	}{
		{"a", "a", true},
		{"a", "a b", true},
		{"a b", "a b", true},
		{"b a", "a b c", true},
		{"a a", "a", true},
		{"a", "", false},
		{"a", "b", false},
		{"a b", "a", false},
		{"a b", "b", false},
		{"a b", "", false},
		{"a:b", "a", false},
		{"a", "a:b", false},
		{"a", "A", false},
		{"a:b", "a:*", false},
		{"a:b", "*", false},
		{"a:b", "a:", false},
		{"a:b", "a:b:c", false},
	} {
		needed := strings.Fields(test.needed)
		policy := scopes.All(needed...)
		needed[0] = "changed" // of no effect any more
		err := ask(t, policy, test.held)
		if test.allowed && err != nil {
			t.Errorf("All(%q) of %q: %v", test.needed, test.held, err)
		}
		if !test.allowed {
			insufficient(t, err, set(t, test.needed).String())
		}
	}
}

func TestAny(t *testing.T) {
	for _, test := range []struct {
		needed, held string
		allowed      bool
	}{
		{"a", "a", true},
		{"a b", "a", true},
		{"a b", "b", true},
		{"b a", "c a", true},
		{"a", "", false},
		{"a b", "", false},
		{"a b", "c", false},
		{"a:b a:c", "a:* a *", false},
	} {
		needed := strings.Fields(test.needed)
		policy := scopes.Any(needed...)
		needed[0] = "changed"
		err := ask(t, policy, test.held)
		if test.allowed && err != nil {
			t.Errorf("Any(%q) of %q: %v", test.needed, test.held, err)
		}
		if !test.allowed {
			insufficient(t, err, set(t, test.needed).String())
		}
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
		names[0] = "viewer" // of no effect any more
		err := ask(t, policy, "editor owner", test.held...)
		if test.allowed {
			if err != nil {
				t.Errorf("HasRole(%q) of %q: %v", test.names, test.held, err)
			}
			continue
		}
		e, ok := errors.AsType[*gatehouse.Error](err)
		if !ok || !reflect.DeepEqual(e, &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: gatehouse.ReasonRole}) {
			t.Errorf("HasRole(%q) of %q: %+v", test.names, test.held, err)
		}
	}
}

// A policy that cannot have been meant ends the program when it is made.
func TestPoliciesPanic(t *testing.T) {
	i := implications(t, map[string][]string{"a": {"b"}})
	for name, policy := range map[string]func(...string) gatehouse.Policy{
		"All": scopes.All, "Any": scopes.Any, "implied All": i.All, "implied Any": i.Any,
	} {
		message := "scopes: " + strings.TrimPrefix(name, "implied ") + ": "
		mustPanic(t, message+"no scopes", func() { policy() })
		for _, bad := range []string{"", " ", "a b", "a\"", "a\\", "a\n", "\u00e9"} {
			mustPanic(t, fmt.Sprintf("%s%q is malformed: one scope for each argument", message, bad), func() { policy("a", bad) })
		}
		for _, wild := range []string{"*", "a:*", "**"} {
			mustPanic(t, fmt.Sprintf("%s%q: there are no wildcards, name each scope", message, wild), func() { policy("a", wild) })
		}
	}
	mustPanic(t, "scopes: HasRole: no roles", func() { scopes.HasRole() })
	for _, bad := range []string{"", "a\nb", "\xff"} {
		mustPanic(t, "scopes: HasRole: malformed role", func() { scopes.HasRole("a", bad) })
	}
}

func mustPanic(t *testing.T, message string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := recover(); got != message {
			t.Errorf("panic %v, want %q", got, message)
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
	i := implications(t, implied)
	implied["data:read"] = []string{"data:admin"} // of no effect any more
	implied["data:write"][0] = "everything"

	for _, test := range []struct {
		held, needed string
		all, some    bool
	}{
		{"data:write", "data:read", true, true},
		{"data:admin", "data:read", true, true}, // by way of data:write
		{"data:admin", "data:read data:write data:delete data:admin", true, true},
		{"audit:read data:delete", "data:read data:delete", true, true},
		{"data:read", "data:read", true, true},
		{"data:write", "data:read data:delete", false, true},
		{"data:read", "data:write", false, false}, // not the other way
		{"data:read", "data:admin", false, false},
		{"data:delete", "data:read", false, false},
		{"audit:read", "data:write", false, false},
		{"data:*", "data:read", false, false},
		{"data", "data:read", false, false},
		{"idle", "data:read everything", false, false},
		{"", "data:read", false, false},
		{"unknown", "unknown", true, true}, // what is not mentioned stands for itself
	} {
		needed := strings.Fields(test.needed)
		if err := ask(t, i.All(needed...), test.held); test.all != (err == nil) {
			t.Errorf("All(%q) of %q: %v", test.needed, test.held, err)
		} else if err != nil {
			insufficient(t, err, set(t, test.needed).String()) // and not what implies it
		}
		if err := ask(t, i.Any(needed...), test.held); test.some != (err == nil) {
			t.Errorf("Any(%q) of %q: %v", test.needed, test.held, err)
		} else if err != nil {
			insufficient(t, err, set(t, test.needed).String())
		}
		for _, scope := range needed {
			if got, want := i.Grants(set(t, test.held), scope), ask(t, i.All(scope), test.held) == nil; got != want {
				t.Errorf("Grants(%q, %q): %v", test.held, scope, got)
			}
		}
	}

	// Nothing is implied where nothing is said.
	if err := ask(t, scopes.All("data:read"), "data:write data:admin"); err == nil {
		t.Error("an implication out of nothing")
	}
	if (scopes.Implications{}).Grants(set(t, "data:write"), "data:read") || i.Grants(set(t, "a"), "") {
		t.Error("a grant out of nothing")
	}
}

func TestNewImplicationsRefuses(t *testing.T) {
	for _, test := range []struct {
		implied map[string][]string
		want    string
	}{
		{map[string][]string{"a": {"a"}}, `scopes: implications of "a": it implies itself`},
		{
			map[string][]string{"a": {"b"}, "b": {"a"}, "c": {"a"}},
			"scopes: implications of \"a\": it implies itself\nscopes: implications of \"b\": it implies itself",
		},
		{
			map[string][]string{"a": {"x", "b"}, "b": {"c"}, "c": {"y", "a"}},
			"scopes: implications of \"a\": it implies itself\nscopes: implications of \"b\": it implies itself\nscopes: implications of \"c\": it implies itself",
		},
		{
			map[string][]string{"*": {"a"}, "b:*": {"c"}, "d": {"d:*", "**", "a*b"}},
			"scopes: implications of \"*\": \"*\" has a wildcard, and there are none\n" +
				"scopes: implications of \"b:*\": \"b:*\" has a wildcard, and there are none\n" +
				"scopes: implications of \"d\": \"d:*\" has a wildcard, and there are none\n" +
				"scopes: implications of \"d\": \"**\" has a wildcard, and there are none\n" +
				"scopes: implications of \"d\": \"a*b\" has a wildcard, and there are none",
		},
		{
			map[string][]string{"": {"a"}, "b": {"c d"}},
			"scopes: implications of \"\": \"\" is malformed\nscopes: implications of \"b\": \"c d\" is malformed",
		},
	} {
		i, err := scopes.NewImplications(test.implied)
		if err == nil || err.Error() != test.want || !reflect.DeepEqual(i, scopes.Implications{}) {
			t.Errorf("%v\n%v, want\n%s", test.implied, err, test.want)
		}
	}
	for _, none := range []map[string][]string{nil, {}, {"a": nil}} {
		if i, err := scopes.NewImplications(none); err != nil || i.Grants(set(t, "a"), "b") {
			t.Errorf("%v: %v", none, err)
		}
	}
}

// The closure, against one that is computed in the dullest way.
func TestImplicationsAreTransitive(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const n = 8
	name := func(i int) string { return fmt.Sprint("s", i) }
	for range 300 {
		var implies [n][n]bool
		implied := map[string][]string{}
		for range random.IntN(14) {
			// Mostly downhill, so that many have no cycle.
			from, to := random.IntN(n), random.IntN(n)
			if from < to && random.IntN(10) > 0 {
				from, to = to, from
			}
			implies[from][to] = true
			implied[name(from)] = append(implied[name(from)], name(to))
		}
		for k := range n { // Warshall
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
			t.Fatalf("%v: %v", implied, err)
		}
		if cyclic {
			continue
		}
		for i := range n {
			for j := range n {
				if got.Grants(set(t, name(i)), name(j)) != (i == j || implies[i][j]) {
					t.Fatalf("%v: %s and %s", implied, name(i), name(j))
				}
			}
		}
	}
}

// The way of a request that is let in costs no memory.
func TestPoliciesDoNotAllocate(t *testing.T) {
	i := implications(t, map[string][]string{"data:write": {"data:read"}, "data:admin": {"data:write"}})
	roles, err := gatehouse.NewRoles("editor", "owner", "viewer")
	if err != nil {
		t.Fatal(err)
	}
	p := gatehouse.Principal{Method: gatehouse.MethodJWT, Scopes: set(t, "a b c d data:write"), Roles: roles}
	r := httptest.NewRequest("GET", "/", nil)
	for name, policy := range map[string]gatehouse.Policy{
		"All": scopes.All("a", "d", "data:write"), "Any": scopes.Any("x", "y", "d"), "HasRole": scopes.HasRole("admin", "viewer"),
		"implied All": i.All("a", "data:read"), "implied Any": i.Any("x", "data:read"),
	} {
		if got := testing.AllocsPerRun(1000, func() {
			if err := policy(r, p); err != nil {
				t.Error(err)
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
	if got := testing.AllocsPerRun(1000, func() { i.Grants(p.Scopes, "data:read") }); got != 0 {
		t.Errorf("Grants: %v allocations", got)
	}
	denied := scopes.All("x")
	if got := testing.AllocsPerRun(1000, func() { _ = denied(r, p) }); got > 2 {
		t.Errorf("a denial: %v allocations", got)
	}
}
