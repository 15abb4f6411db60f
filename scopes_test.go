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
var scopeGrammar = regexp.MustCompile(`^[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*$`)

// Covers RFC 6749 §3.3; RFC 6750 §3 (scope).
func TestParseScopes(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "a": "a", "a b": "a b", "b a": "a b", "a a": "a", "b a b a": "a b", "~ !": "! ~",
		"* a:* **": "* ** a:*", // names like any other
		"reports:read https://x/y.z urn:a:b #!$%&'()*+,-./": "#!$%&'()*+,-./ https://x/y.z reports:read urn:a:b",
	} {
		equal(t, fmt.Sprintf("ParseScopes(%q)", text), must(gatehouse.ParseScopes(text)).String(), want)
	}
	_, err := gatehouse.ParseScopes(" ")
	equal(t, "ParseScopes error", fmt.Sprint(err), "gatehouse: malformed scope")
	tokens := []string{"b", "a", "b"}
	equal(t, "NewScopes", must(gatehouse.NewScopes(tokens...)).String(), "a b")
	equal(t, "argument after NewScopes", tokens, []string{"b", "a", "b"})
	equal(t, "NewScopes of no token", must(gatehouse.NewScopes()), gatehouse.Scopes{})
	for _, bad := range []string{"", "a b", " a", "a\"", "a\\", "a\x7f", "a\x1f", "\u00e9"} {
		s, err := gatehouse.NewScopes("ok", bad)
		if want := fmt.Sprintf("gatehouse: malformed scope %q", bad); fmt.Sprint(err) != want || s.Len() != 0 {
			t.Errorf("NewScopes(%q) = %q, %v; want %s", bad, s, err, want)
		}
	}
}

// Properties of sets, compared with maps.
func TestScopesSetProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"a", "ab", "b", "a:b", "a:*", "*", "!", "~", "zz", "reports:read"}
	others := []string{"", " ", "a ab", "a ", "A", "report", "read", ":read", "reports:rea", "reports:read "} // of no set
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
		for _, scope := range append(others, alphabet...) {
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

// Covers RFC 6749 §3.3.
func FuzzParseScopes(f *testing.F) {
	for _, seed := range []string{
		"", "a", "b a", "a  b", " a", "a ", "a a", "a\tb", "a\nb", "\"", "a,\"b\"", "\\", `a\b`, "\u00e9", "a\u00a0b", "\xff", "a\x00", "a\x7f", " ", "a:* *", "~ !",
	} {
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
		all := slices.Collect(s.All())
		equal(t, "ParseScopes of the text form", must(gatehouse.ParseScopes(s.String())), s)
		equal(t, "NewScopes of All", must(gatehouse.NewScopes(all...)), s)
		equal(t, "Len", s.Len(), len(all))
		for token := range strings.FieldsSeq(text) {
			if !s.Has(token) || !slices.Contains(all, token) {
				t.Errorf("%q lacks %q", s, token)
			}
		}
	})
}
