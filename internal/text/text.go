// SPDX-License-Identifier: Apache-2.0

// Package text checks the characters of text from outside: of claims, headers,
// tokens and configuration.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// IsClean reports whether s is UTF-8 without control characters and line
// separators and has at most limit bytes. Stores can keep such text, and logs can
// show it on one line. The empty text is clean.
func IsClean(s string, limit int) bool {
	if len(s) > limit {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
				return unicode.IsControl(r) || r == '\u2028' || r == '\u2029'
			})
		}
	}
	return true
}

// IsPrintable reports whether s is printable ASCII, space included. The empty
// text is printable.
func IsPrintable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e {
			return false
		}
	}
	return true
}

// IsVisible reports whether s is one or more visible ASCII characters, space not
// included.
//
//	RFC 6749 appendix A: VSCHAR = %x20-7E, which a token has without the space
func IsVisible(s string) bool { return s != "" && IsPrintable(s) && strings.IndexByte(s, ' ') < 0 }

// IsToken68 reports whether s is a b64token, which RFC 9110 calls token68.
//
//	RFC 6750 §2.1 (grammar): b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" /
//	"~" / "+" / "/" ) *"="
func IsToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if c := s[i]; !IsAlphanumeric(c) && strings.IndexByte("-._~+/", c) < 0 {
			return false
		}
	}
	return s != ""
}

// IsToken reports whether s is a token of RFC 9110: the name of a header, a
// scheme or a cookie.
//
//	RFC 9110 §5.6.2: token = 1*tchar
func IsToken(s string) bool {
	for i := range len(s) {
		if !IsTokenChar(s[i]) {
			return false
		}
	}
	return s != ""
}

// IsTokenChar reports whether c is a tchar of RFC 9110 §5.6.2.
func IsTokenChar(c byte) bool {
	return IsAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// IsAlphanumeric reports whether c is an ASCII letter or digit.
func IsAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
