// SPDX-License-Identifier: Apache-2.0

package text_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/internal/text"
)

func TestChecks(t *testing.T) {
	type check struct {
		name string
		is   func(string) bool
	}
	clean := check{"IsClean", func(s string) bool { return text.IsClean(s, 8) }}
	printable, visible := check{"IsPrintable", text.IsPrintable}, check{"IsVisible", text.IsVisible}
	token68, token := check{"IsToken68", text.IsToken68}, check{"IsToken", text.IsToken}
	all := []check{clean, printable, visible, token68, token}
	for _, row := range []struct {
		want  []check
		texts []string
	}{
		{all, []string{"aZ09", "-._~", "+", "12345678"}},
		{[]check{clean, printable, visible, token68}, []string{"/", "a=="}},
		{[]check{clean, printable, visible, token}, []string{"!#$%&'*^", "`|"}},
		{[]check{clean, printable, visible}, []string{"=", "a=b", "(),;:@", "<>?[]{}", "\"\\"}},
		{[]check{printable, visible, token68, token}, []string{"123456789"}},
		{[]check{clean, printable}, []string{"", "a b"}},
		{[]check{clean}, []string{"é€"}},
		{nil, []string{"\t", "a\n", "\x00", "\x1f", "\x7f", "\u0085" /* NEL */, "\u2028", "\u2029", "\xff", "é\n", "\xc0\xaf", "a\xed\xa0\x80" /* a surrogate */}},
	} {
		for _, s := range row.texts {
			for _, c := range all {
				wanted := slices.ContainsFunc(row.want, func(w check) bool { return w.name == c.name })
				if got := c.is(s); got != wanted {
					t.Errorf("%s(%q) = %t, want %t", c.name, s, got, wanted)
				}
			}
		}
	}
}

// Every byte is compared with the lists of the RFCs.
func TestBytes(t *testing.T) {
	const alphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for n := range 256 {
		c := byte(n)
		s := string([]byte{c})
		for name, test := range map[string]struct{ got, want bool }{
			"IsAlphanumeric": {text.IsAlphanumeric(c), strings.IndexByte(alphanumeric, c) >= 0},
			"IsTokenChar":    {text.IsTokenChar(c), strings.IndexByte(alphanumeric+"!#$%&'*+-.^_`|~", c) >= 0},
			"IsToken":        {text.IsToken(s), strings.IndexByte(alphanumeric+"!#$%&'*+-.^_`|~", c) >= 0},
			"IsToken68":      {text.IsToken68(s), strings.IndexByte(alphanumeric+"-._~+/", c) >= 0},
			"IsPrintable":    {text.IsPrintable(s), n >= 0x20 && n <= 0x7e},
			"IsVisible":      {text.IsVisible(s), n >= 0x21 && n <= 0x7e},
			"IsClean":        {text.IsClean(s, 1), n >= 0x20 && n <= 0x7e},
		} {
			if test.got != test.want {
				t.Errorf("%s(%#x) = %t, want %t", name, n, test.got, test.want)
			}
		}
	}
}
