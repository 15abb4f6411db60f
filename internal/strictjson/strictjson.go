// SPDX-License-Identifier: Apache-2.0

// Package strictjson reads JSON objects that must have one meaning for every
// parser: the header and the claims of a token, and the keys of a key set.
//
// It follows RFC 8259 strictly and rejects text that parsers read differently: two
// members of one name at any depth, also if only their case differs, invalid UTF-8
// and lone surrogates. The time is linear in the length of the text. It returns
// parts of the text and allocates only for objects with more than 32 members.
package strictjson

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// Limits are the limits of an object.
type Limits struct {
	Depth   int // of nested objects and arrays, the object itself being 1
	Members int // of all objects and arrays in total
}

var (
	errSyntax    = errors.New("strictjson: malformed JSON object")
	errLimit     = errors.New("strictjson: nested too deep or too many members")
	errDuplicate = errors.New("strictjson: duplicate member")
	errText      = errors.New("strictjson: invalid UTF-8 or lone surrogate")
)

// Object reads text, one JSON object, and calls member for each of its members in
// order, with the name without escapes and the raw text of the value. An error of
// member ends the reading. A nil member only checks the text.
//
// Implements RFC 7515 §4, §10.12; RFC 7519 §4 (unique), §7.2 (UTF-8); RFC 8725
// §3.7.
func Object(text string, limits Limits, member func(name, value string) error) error {
	if member == nil {
		return read(text, limits, nil)
	}
	return read(text, limits, func(name string, _ folded, value string) error { return member(name, value) })
}

// Members is like [Object], but calls member with the place of the value, so that
// text[start:end] is its raw text: for a reader that replaces values of a text.
func Members(text string, limits Limits, member func(name string, start, end int) error) error {
	s, err := newScanner(text, limits)
	if err != nil {
		return err
	}
	return s.whole(s.object(1, func(name string, _ folded, value string) error {
		return member(name, s.at-len(value), s.at)
	}))
}

// Array reads text, one JSON array, and calls element with the raw text of each
// element. It is as strict as [Object].
func Array(text string, limits Limits, element func(value string) error) error {
	s, err := newScanner(text, limits)
	if err != nil {
		return err
	}
	return s.whole(s.array(1, element))
}

// read calls member with the folded name as well.
func read(text string, limits Limits, member func(name string, f folded, value string) error) error {
	s, err := newScanner(text, limits)
	if err != nil {
		return err
	}
	return s.whole(s.object(1, member))
}

func newScanner(text string, limits Limits) (scanner, error) {
	s := scanner{text: text, limits: limits, plain: isPlain(text)}
	if !s.plain && !utf8.ValidString(text) {
		return s, errText
	}
	s.space()
	return s, nil
}

// whole returns err, or an error if there is text after the value that was read.
func (s *scanner) whole(err error) error {
	if err != nil {
		return err
	}
	if s.space(); s.at != len(s.text) {
		return errSyntax
	}
	return nil
}

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
