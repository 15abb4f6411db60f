// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

// RFC 6749 §3.3: the grammar of scope.
var (
	scopeGrammar = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*$`)
	tokenGrammar = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+$`)
)

// Covers RFC 6749 §3.3.
func TestParseScopes(t *testing.T) {
	for _, test := range []struct {
		s, want string
		bad     bool
	}{
		{"", "", false},
		{"a", "a", false},
		{"a b", "a b", false},
		{"b a", "a b", false},
		{"a a", "a", false},
		{"b a b a", "a b", false},
		{"reports:read https://x/y.z urn:a:b #!$%&'()*+,-./", "#!$%&'()*+,-./ https://x/y.z reports:read urn:a:b", false},
		{"~ !", "! ~", false},
		{"* a:* **", "* ** a:*", false}, // names like any other
		{" ", "", true},
		{" a", "", true},
		{"a ", "", true},
		{"a  b", "", true},
		{"a\tb", "", true},
		{"a\nb", "", true},
		{"a,\"b\"", "", true},
		{`a\b`, "", true},
		{"a\x00", "", true},
		{"a\x7f", "", true},
		{"\u00e9", "", true},
		{"a\u00a0b", "", true},
		{"\xff", "", true},
	} {
		got, err := gatehouse.ParseScopes(test.s)
		if (err != nil) != test.bad || got.String() != test.want {
			t.Errorf("ParseScopes(%q) = %q, %v; want %q", test.s, got, err, test.want)
		}
		if err != nil && err.Error() != "gatehouse: malformed scope" {
			t.Errorf("ParseScopes(%q) error = %v", test.s, err)
		}
	}
}

// Covers RFC 6750 §3 (scope).
func TestNewScopes(t *testing.T) {
	tokens := []string{"b", "a", "b"}
	s, err := gatehouse.NewScopes(tokens...)
	if err != nil || s.String() != "a b" {
		t.Errorf("NewScopes = %q, %v", s, err)
	}
	if !slices.Equal(tokens, []string{"b", "a", "b"}) {
		t.Errorf("NewScopes changed its argument to %q", tokens)
	}
	for _, bad := range []string{"", "a b", " a", "a\"", "a\\", "a\x7f", "a\x1f", "\u00e9"} {
		if s, err := gatehouse.NewScopes("ok", bad); err == nil || s.Len() != 0 {
			t.Errorf("NewScopes(%q) = %q, %v; want an error", bad, s, err)
		}
	}
	if s, err := gatehouse.NewScopes(); err != nil || s != (gatehouse.Scopes{}) {
		t.Errorf("NewScopes = %q, %v", s, err)
	}
}

func TestScopesHas(t *testing.T) {
	s := scopeSet("a:*", "reports:read", "reports")
	for scope, want := range map[string]bool{
		"reports:read": true, "reports": true, "a:*": true,
		"": false, " ": false, "report": false, "reports:rea": false, "reports:read ": false, "reports reports:read": false,
		"Reports": false, "a:b": false, "*": false, "read": false, ":read": false,
	} {
		equal(t, fmt.Sprintf("Has(%q)", scope), s.Has(scope), want)
		if (gatehouse.Scopes{}).Has(scope) {
			t.Errorf("Has(%q) of the empty set = true", scope)
		}
	}
}

// Properties of sets, compared with maps.
func TestScopesSetProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"a", "ab", "b", "a:b", "a:*", "*", "!", "~", "zz", "reports:read"}
	draw := func() map[string]bool {
		m := map[string]bool{}
		for range random.IntN(len(alphabet)) {
			m[alphabet[random.IntN(len(alphabet))]] = true
		}
		return m
	}
	for range 2000 {
		m, n := draw(), draw()
		tokens := slices.Collect(maps.Keys(m))
		s, u := scopeSet(tokens...), scopeSet(slices.Collect(maps.Keys(n))...)

		random.Shuffle(len(tokens), func(i, j int) { tokens[i], tokens[j] = tokens[j], tokens[i] })
		again, err := gatehouse.ParseScopes(strings.Join(append(tokens, tokens...), " "))
		if err != nil || again != s {
			t.Fatalf("%q and %q are not equal", again, s)
		}
		if s.Len() != len(m) {
			t.Fatalf("Len(%q) = %d", s, s.Len())
		}
		if all := slices.Collect(s.All()); !slices.IsSorted(all) || len(all) != len(m) || strings.Join(all, " ") != s.String() {
			t.Fatalf("All(%q) = %q", s, all)
		}
		subset := true
		for _, scope := range alphabet {
			if s.Has(scope) != m[scope] {
				t.Fatalf("%q.Has(%q) is %v", s, scope, s.Has(scope))
			}
			subset = subset && (!n[scope] || m[scope])
		}
		if s.HasAll(u) != subset {
			t.Fatalf("%q.HasAll(%q) is %v", s, u, s.HasAll(u))
		}
		if (s == u) != maps.Equal(m, n) || (s == u) != (s.HasAll(u) && u.HasAll(s)) {
			t.Fatalf("%q == %q is %v", s, u, s == u)
		}
	}
}

func TestScopesAllStops(t *testing.T) {
	for scope := range scopeSet("a", "b", "c").All() {
		if scope == "b" {
			break
		}
		equal(t, "scope before b", scope, "a")
	}
	for scope := range (gatehouse.Scopes{}).All() {
		t.Errorf("All of the empty set yields %q", scope)
	}
}

// Covers RFC 6749 §3.3.
func FuzzParseScopes(f *testing.F) {
	for _, seed := range []string{"", "a", "b a", "a  b", " a", "a ", "a a", "a\tb", "\"", "\\", "\u00e9", "\xff", "a:* *", "~ !"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := gatehouse.ParseScopes(text)
		if good := text == "" || scopeGrammar.MatchString(text); good != (err == nil) {
			t.Fatalf("ParseScopes(%q) error = %v", text, err)
		}
		if err != nil {
			equal(t, "scopes with an error", s, gatehouse.Scopes{})
			return
		}
		if again, err := gatehouse.ParseScopes(s.String()); err != nil || again != s {
			t.Errorf("ParseScopes(%q) = %q, %v", s, again, err)
		}
		if again, err := gatehouse.NewScopes(slices.Collect(s.All())...); err != nil || again != s {
			t.Errorf("NewScopes(All of %q) = %q, %v", s, again, err)
		}
		n := 0
		for scope := range s.All() {
			n++
			if !s.Has(scope) || !tokenGrammar.MatchString(scope) {
				t.Errorf("All of %q yields %q", s, scope)
			}
		}
		if n != s.Len() || !s.HasAll(s) {
			t.Errorf("All of %q yields %d, Len = %d", s, n, s.Len())
		}
		for token := range strings.FieldsSeq(text) {
			if !s.Has(token) {
				t.Errorf("%q lacks %q", s, token)
			}
		}
	})
}
