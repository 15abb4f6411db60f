// SPDX-License-Identifier: Apache-2.0

package strictjson

import "strings"

// isPlain reports whether text has only the characters of ASCII from space on, and
// no backslash: then no string needs a check of its characters. It tests eight bytes
// at a time: each term sets the high bit of a byte that is below 0x20, above 0x7f or
// a backslash.
func isPlain(text string) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; len(text) >= 8; text = text[8:] {
		w := uint64(text[0]) | uint64(text[1])<<8 | uint64(text[2])<<16 | uint64(text[3])<<24 |
			uint64(text[4])<<32 | uint64(text[5])<<40 | uint64(text[6])<<48 | uint64(text[7])<<56
		slash := w ^ ones*'\\'
		if (w|(w-ones*0x20)&^w|(slash-ones)&^slash)&high != 0 {
			return false
		}
	}
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c > 0x7f || c == '\\' {
			return false
		}
	}
	return true
}

type scanner struct {
	text    string
	at      int
	limits  Limits
	members int
	plain   bool // see isPlain

	// The folded names of the first members of the open objects, innermost last.
	// The array keeps the first ones on the stack.
	names [maxListed]string
	more  []string
	count int
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	if s.peek() == c {
		s.at++
		return true
	}
	return false
}

func (s *scanner) object(depth int, member func(name string, f folded, value string) error) error {
	if depth > s.limits.Depth {
		return errLimit
	}
	if !s.take('{') {
		return errSyntax
	}
	names := members{outer: s.count}
	s.space()
	if s.take('}') {
		return nil
	}
	for {
		if s.members++; s.members > s.limits.Members {
			return errLimit
		}
		name, escaped, err := s.string()
		if err != nil {
			return err
		}
		if escaped {
			if name, err = unescape(name); err != nil {
				return err
			}
		}
		f := fold(name)
		if !names.add(s, f) {
			return errDuplicate
		}
		s.space()
		if !s.take(':') {
			return errSyntax
		}
		s.space()
		start := s.at
		if err := s.value(depth); err != nil {
			return err
		}
		if member != nil {
			if err := member(name, f, s.text[start:s.at]); err != nil {
				return err
			}
		}
		s.space()
		if s.take('}') {
			s.count = names.outer
			return nil
		}
		if !s.take(',') {
			return errSyntax
		}
		s.space()
	}
}

func (s *scanner) value(depth int) error {
	switch c := s.peek(); {
	case c == '"':
		raw, escaped, err := s.string()
		if err != nil || !escaped {
			return err
		}
		_, err = unescape(raw)
		return err
	case c == '{':
		return s.object(depth+1, nil)
	case c == '[':
		return s.array(depth+1, nil)
	case c == '-' || '0' <= c && c <= '9':
		return s.number()
	}
	for _, literal := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(s.text[s.at:], literal) {
			s.at += len(literal)
			return nil
		}
	}
	return errSyntax
}

func (s *scanner) array(depth int, element func(value string) error) error {
	if depth > s.limits.Depth {
		return errLimit
	}
	if !s.take('[') {
		return errSyntax
	}
	s.space()
	if s.take(']') {
		return nil
	}
	for {
		if s.members++; s.members > s.limits.Members {
			return errLimit
		}
		start := s.at
		if err := s.value(depth); err != nil {
			return err
		}
		if element != nil {
			if err := element(s.text[start:s.at]); err != nil {
				return err
			}
		}
		s.space()
		if s.take(']') {
			return nil
		}
		if !s.take(',') {
			return errSyntax
		}
		s.space()
	}
}

// string returns the raw text between the quotes, and whether it has escapes.
func (s *scanner) string() (raw string, escaped bool, err error) {
	if !s.take('"') {
		return "", false, errSyntax
	}
	rest := s.text[s.at:]
	if s.plain {
		end := strings.IndexByte(rest, '"')
		if end < 0 {
			return "", false, errSyntax
		}
		s.at += end + 1
		return rest[:end], false, nil
	}
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '"':
			s.at += i + 1
			return rest[:i], escaped, nil
		case c == '\\':
			escaped = true
			i++
		case c < 0x20:
			return "", false, errSyntax
		}
	}
	return "", false, errSyntax
}

func (s *scanner) digits() bool {
	start := s.at
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.at++
	}
	return s.at > start
}

// RFC 8259 §6: number = [ minus ] int [ frac ] [ exp ]
func (s *scanner) number() error {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return errSyntax
	}
	if s.take('.') && !s.digits() {
		return errSyntax
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return errSyntax
		}
	}
	return nil
}
