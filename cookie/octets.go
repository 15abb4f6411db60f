// SPDX-License-Identifier: Apache-2.0

package cookie

import "strings"

// RFC 9110 §5.6.2: tchar, of which a cookie-name is made.
func isTokenChar(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// isCookieValue reports whether s is made of what a cookie can carry.
//
//	RFC 6265bis §4.1.1: cookie-octet = %x21 / %x23-2B / %x2D-3A / %x3C-5B / %x5D-7E
//	; US-ASCII characters excluding CTLs, whitespace, DQUOTE, comma, semicolon,
//	; and backslash
//
// A value in DQUOTEs is not read: some readers strip them and others do not.
func isCookieValue(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c <= 0x20, c >= 0x7f, c == '"', c == ',', c == ';', c == '\\':
			return false
		}
	}
	return true
}
