// SPDX-License-Identifier: Apache-2.0

// Package strictjson reads JSON objects that must have one meaning for every
// parser: the header and the claims of a token, and the keys of a key set.
//
// It follows RFC 8259 strictly and rejects text that parsers read differently: two
// members with one name at any depth, even if they differ in case; invalid UTF-8; and
// lone surrogates. The time is linear in the length of the text. It returns parts of the
// text and allocates only for objects with more than 32 members.
package strictjson

import (
	"errors"
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

// Object reads text, one JSON object, and calls member for each of its members in order,
// with the name without escapes and the raw text of the value. Object stops at the first
// error of member and returns it. A nil member only checks the text.
//
// Implements RFC 7515 §4, §10.12; RFC 7519 §4 (unique), §7.2 (UTF-8); RFC 8725
// §3.7.
func Object(text string, limits Limits, member func(name, value string) error) error {
	if member == nil {
		return read(text, limits, nil)
	}
	return read(text, limits, func(name string, _ folded, value string) error { return member(name, value) })
}

// Members is like [Object], but calls member with the position of the value:
// text[start:end] is its raw text. It is for callers that replace values in a text.
func Members(text string, limits Limits, member func(name string, start, end int) error) error {
	var s scanner
	if err := s.start(text, limits); err != nil {
		return err
	}
	return s.whole(s.object(1, func(name string, _ folded, value string) error {
		return member(name, s.at-len(value), s.at)
	}))
}

// Array reads text, one JSON array, and calls element with the raw text of each
// element. It is as strict as [Object].
func Array(text string, limits Limits, element func(value string) error) error {
	var s scanner
	if err := s.start(text, limits); err != nil {
		return err
	}
	return s.whole(s.array(1, element))
}

// read calls member with the folded name as well.
func read(text string, limits Limits, member func(name string, f folded, value string) error) error {
	var s scanner
	if err := s.start(text, limits); err != nil {
		return err
	}
	return s.whole(s.object(1, member))
}

// start prepares s, which is zero and large.
func (s *scanner) start(text string, limits Limits) error {
	s.text, s.limits, s.plain = text, limits, isPlain(text)
	if !s.plain && !utf8.ValidString(text) {
		return errText
	}
	s.space()
	return nil
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
