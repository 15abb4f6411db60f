// SPDX-License-Identifier: Apache-2.0

package gatehouse

import "strings"

// Challenge is one challenge of a WWW-Authenticate header, RFC 9110 section
// 11.6.1: a scheme and its parameters.
type Challenge struct {
	Scheme string
	Params []Param
}

// Param is one authentication parameter. Name must be a token of RFC 9110;
// Value is written as a quoted-string, whatever it holds.
type Param struct{ Name, Value string }

// String returns the challenge as it goes into the header.
//
// Every value is quoted: RFC 9110 §11.2 asks recipients to take a token and a
// quoted-string alike, and RFC 6750 §3 knows only the quoted form.
func (c Challenge) String() string {
	var b strings.Builder
	b.WriteString(c.Scheme)
	for i, p := range c.Params {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte(' ')
		b.WriteString(p.Name)
		b.WriteByte('=')
		writeQuoted(&b, p.Value)
	}
	return b.String()
}

// writeQuoted writes s as a quoted-string.
//
//	RFC 9110 §5.6.4: quoted-pair = "\" ( HTAB / SP / VCHAR / obs-text )
//
// What is neither VCHAR nor SP becomes "?", so that no value can end a line or
// be read in two charsets.
func writeQuoted(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r > 0x7e:
			b.WriteByte('?')
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
