// SPDX-License-Identifier: Apache-2.0

// Package strictjson reads JSON objects that must have one meaning for every
// parser: the header and the claims of a token, and the keys of a key set.
//
// It follows RFC 8259 strictly and rejects text that parsers read differently: two
// members of one name at any depth, also if only their case differs, invalid UTF-8
// and lone surrogates. It reads the text once and returns parts of it, without
// allocations.
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
	return read(text, limits, func(name, _, value string) error { return member(name, value) })
}

// read calls member with the folded name as well.
func read(text string, limits Limits, member func(name, folded, value string) error) error {
	if !utf8.ValidString(text) {
		return errText
	}
	s := scanner{text: text, limits: limits}
	s.space()
	if err := s.object(1, member); err != nil {
		return err
	}
	s.space()
	if s.at != len(s.text) {
		return errSyntax
	}
	return nil
}

type scanner struct {
	text    string
	at      int
	limits  Limits
	members int

	// The folded names of the members of the open objects, innermost last. The
	// array keeps the first ones on the stack.
	names [32]string
	more  []string
	count int
}

func (s *scanner) name(n int) string {
	if n < len(s.names) {
		return s.names[n]
	}
	return s.more[n-len(s.names)]
}

func (s *scanner) push(name string) {
	if s.count < len(s.names) {
		s.names[s.count] = name
	} else {
		s.more = append(s.more[:s.count-len(s.names)], name)
	}
	s.count++
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

func (s *scanner) object(depth int, member func(name, folded, value string) error) error {
	if depth > s.limits.Depth {
		return errLimit
	}
	if !s.take('{') {
		return errSyntax
	}
	outer := s.count
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
		folded := Fold(name)
		for n := outer; n < s.count; n++ {
			if s.name(n) == folded {
				return errDuplicate
			}
		}
		s.push(folded)
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
			if err := member(name, folded, s.text[start:s.at]); err != nil {
				return err
			}
		}
		s.space()
		if s.take('}') {
			s.count = outer
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
