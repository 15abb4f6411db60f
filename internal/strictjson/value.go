// SPDX-License-Identifier: Apache-2.0

package strictjson

import (
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// String returns the text of a raw value, and false if it is not a string.
//
// Implements RFC 7519 §7.3; RFC 8414 §4.
func String(value string) (string, bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	text, err := unescape(value[1 : len(value)-1])
	return text, err == nil
}

// Strings calls element with each element of a raw value. It returns false if the
// value is not an array of strings, or if element returns false.
func Strings(value string, element func(string) bool) bool {
	s := scanner{text: value, limits: Limits{Depth: 1, Members: len(value)}}
	return s.array(1, func(value string) error {
		if text, ok := String(value); !ok || !element(text) {
			return errSyntax
		}
		return nil
	}) == nil
}

// unescape resolves the escapes of a string.
func unescape(raw string) (string, error) {
	i := strings.IndexByte(raw, '\\')
	if i < 0 {
		return raw, nil
	}
	text := make([]byte, 0, len(raw))
	for {
		text = append(text, raw[:i]...)
		raw = raw[i+1:]
		if raw == "" {
			return "", errSyntax
		}
		c := raw[0]
		raw = raw[1:]
		switch c {
		case '"', '\\', '/':
			text = append(text, c)
		case 'b':
			text = append(text, '\b')
		case 'f':
			text = append(text, '\f')
		case 'n':
			text = append(text, '\n')
		case 'r':
			text = append(text, '\r')
		case 't':
			text = append(text, '\t')
		case 'u':
			r, ok := hex4(raw)
			if !ok {
				return "", errSyntax
			}
			raw = raw[4:]
			if utf16.IsSurrogate(r) {
				if !strings.HasPrefix(raw, `\u`) {
					return "", errText
				}
				low, _ := hex4(raw[2:]) // 0, which is no surrogate, if it is malformed
				if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
					return "", errText
				}
				raw = raw[6:]
			}
			text = utf8.AppendRune(text, r)
		default:
			return "", errSyntax
		}
		if i = strings.IndexByte(raw, '\\'); i < 0 {
			return string(append(text, raw...)), nil
		}
	}
}

func hex4(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	var r rune
	for i := range 4 {
		c := s[i]
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// Fold returns name with the case of its letters folded, as encoding/json matches
// names: "ISS", "iss" and "iſſ" fold to "iss".
func Fold(name string) string { return fold(name).name }

// folded is a folded name with its hash, which is FNV-1a: fast, but without a seed.
type folded struct {
	name string
	hash uint32
}

func fold(name string) folded {
	hash := uint32(2166136261)
	for i, mapped := 0, false; i < len(name); i++ {
		c := name[i]
		if !mapped && (c >= utf8.RuneSelf || 'A' <= c && c <= 'Z') {
			name, mapped = strings.Map(foldRune, name), true // does not change the bytes before i
			c = name[i]
		}
		hash = (hash ^ uint32(c)) * 16777619
	}
	return folded{name, hash}
}

// foldRune returns the representative of all runes that r folds to: the lower-case
// ASCII letter if there is one, else the smallest rune.
func foldRune(r rune) rune {
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	if 'A' <= least && least <= 'Z' {
		return least + 'a' - 'A'
	}
	return least
}
