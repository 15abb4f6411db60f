// SPDX-License-Identifier: Apache-2.0

package scopes_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/scopes"
)

const malformed = " is not one scope of RFC 6749, section 3.3"

func TestCatalogue(t *testing.T) {
	descriptions := map[string]string{"b": "B", "a": "A", "c": "C"}
	c := must(scopes.NewCatalogue(descriptions))
	descriptions["d"], descriptions["a"] = "D", "changed" // the catalogue has a copy
	c.Names()[0] = "x"                                    // the caller has a copy too
	if got, want := c.Names(), []string{"a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("Names = %q, want %q", got, want)
	}
	for name, want := range map[string]string{"a": "A", "c": "C", "d": "", "": "", "A": "", "a b": ""} {
		if got, ok := c.Describe(name); got != want || ok != (want != "") {
			t.Errorf("Describe(%q) = %q, %t, want %q, %t", name, got, ok, want, want != "")
		}
	}
}

func TestNewCatalogueErrors(t *testing.T) {
	for _, test := range []struct {
		descriptions map[string]string
		want         string
	}{
		{nil, "scopes: catalogue: at least one scope is required"},
		{map[string]string{}, "scopes: catalogue: at least one scope is required"},
		{map[string]string{"a": ""}, `scopes: catalogue: "a": description required`},
		{
			map[string]string{"": "x", "a b": "x", "a\"": "x", "\u00e9": "x", "ok": "x"},
			`scopes: catalogue: ""` + malformed + "\n" + `scopes: catalogue: "a b"` + malformed + "\n" +
				`scopes: catalogue: "a\""` + malformed + "\n" + `scopes: catalogue: "é"` + malformed,
		},
		{map[string]string{"a\n": ""}, `scopes: catalogue: "a\n"` + malformed + "\n" + `scopes: catalogue: "a\n": description required`},
	} {
		c, err := scopes.NewCatalogue(test.descriptions)
		if c != nil || err == nil || err.Error() != test.want {
			t.Errorf("NewCatalogue(%q) error = %v, want\n%s", test.descriptions, err, test.want)
		}
	}
	for _, wild := range []string{"*", "**", "*:*", "a:*", "a:**", "a.*", "a/*", "*:read", "a:*:b", "a*", "*a"} {
		c, err := scopes.NewCatalogue(map[string]string{"ok": "Fine", wild: "Everything"})
		if want := `scopes: catalogue: "` + wild + `" has a wildcard: name each scope`; c != nil || err == nil || err.Error() != want {
			t.Errorf("NewCatalogue(%q) error = %v, want %s", wild, err, want)
		}
	}
}

func TestCatalogueParse(t *testing.T) {
	c := must(scopes.NewCatalogue(map[string]string{"reports:write": "Write reports", "reports:read": "Read reports", "users:read": "List users"}))
	for _, test := range []struct{ s, want, err string }{
		{"", "", ""},
		{"reports:read", "reports:read", ""},
		{"users:read reports:write reports:read users:read", "reports:read reports:write users:read", ""},
		{"reports:delete", "", `scopes: unknown scope "reports:delete"`},
		{"reports:read reports:share", "", `scopes: unknown scope "reports:share"`},
		{"reports:read reports:delete", "", `scopes: unknown scope "reports:delete"`},
		{"Reports:read", "", `scopes: unknown scope "Reports:read"`},
		{"reports", "", `scopes: unknown scope "reports"`},
		{"reports:*", "", `scopes: unknown scope "reports:*"`},
		{"*", "", `scopes: unknown scope "*"`},
		{strings.Repeat("x", 1<<16), "", `scopes: unknown scope "` + strings.Repeat("x", 64) + `"`},
		{"reports:read  users:read", "", "gatehouse: malformed scope"},
		{" reports:read", "", "gatehouse: malformed scope"},
		{"reports:read\tusers:read", "", "gatehouse: malformed scope"},
		{"reports:read,users:read", "", `scopes: unknown scope "reports:read,users:read"`},
		{"\"reports:read\"", "", "gatehouse: malformed scope"},
	} {
		got, err := c.Parse(test.s)
		if got.String() != test.want || (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
			t.Errorf("Parse(%.80q) = %q, %v, want %q, %s", test.s, got, err, test.want, test.err)
		}
	}
}
