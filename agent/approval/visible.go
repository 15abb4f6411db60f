// SPDX-License-Identifier: Apache-2.0

package approval

import (
	"fmt"
	"html/template"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is the maximum number of combining marks of one character: more of them cover
// the lines above and below.
const maxMarks = 3

// visible returns untrusted text as HTML in which every character can be seen. It writes
// characters that are invisible, or change the shape or order of others, as escapes that
// look different from text: control, format and bidirectional characters, line and
// paragraph separators, spaces other than U+0020, unassigned characters, variation
// selectors, and more than maxMarks combining marks. Line feeds are escapes that also
// begin a line if lines is true.
func visible(s string, lines bool) template.HTML {
	var b strings.Builder
	plain, marks := 0, 0
	for i, r := range s {
		size := utf8.RuneLen(r)
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			size = 1 // not UTF-8
		}
		if unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		if size != 1 || r != utf8.RuneError {
			if marks <= maxMarks && !isInvisible(r) {
				continue
			}
		}
		b.WriteString(template.HTMLEscapeString(s[plain:i]))
		if r == '\n' && lines {
			b.WriteString(`<b class="esc lf">\n</b>` + "\n")
		} else {
			b.WriteString(`<b class="esc">` + escapeOf(s[i:i+size], r) + `</b>`)
		}
		plain = i + size
	}
	b.WriteString(template.HTMLEscapeString(s[plain:]))
	return template.HTML(b.String()) //nolint:gosec // all text in it is escaped
}

// isInvisible reports whether a character has no visible shape.
func isInvisible(r rune) bool {
	const braille = '\u2800' // is blank
	return r != ' ' && (!unicode.IsGraphic(r) || unicode.Is(unicode.Zs, r)) || r == braille ||
		unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

func escapeOf(s string, r rune) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case r == utf8.RuneError && len(s) == 1:
		return fmt.Sprintf(`\x%02x`, s[0])
	case r > 0xffff:
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}
