// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"strings"
)

// key names a requirement.
type key struct{ standard, section, label string }

func (k key) String() string {
	if k.label == "" {
		return k.standard + " " + k.section
	}
	return k.standard + " " + k.section + " (" + k.label + ")"
}

// The names of standards, whether listed or not.
const names = `RFC \d+(?:bis)?|OIDC [A-Z][A-Za-z-]*(?: Logout)?|ASVS \d\.\d`

var (
	// begins matches the first line of a requirement: citation, more sections, label, colon.
	begins = regexp.MustCompile(`^(` + names + `) (§\S+?)((?:, §\S+?)*)(?: \(([^()]+)\))?:(?: |$)(.*)$`)
	// single matches one citation of an Implements or Covers paragraph.
	single = regexp.MustCompile(`^(?:(` + names + `) )?(§[^\s,;]+)(?: \(([^()]+)\))?$`)
)

// quoted is a requirement as a comment has it.
type quoted struct {
	key
	more string // the other sections that say the same, as in the citation
	text string
	line int // of the paragraph, from 0 in the comment
}

// quotes returns the requirements that a comment quotes. Its lines still have
// their slashes.
func quotes(comment []string) []quoted {
	var (
		found  []quoted
		open   bool
		indent string
	)
	for i, line := range comment {
		line = strings.TrimPrefix(line, "//")
		text := strings.TrimSpace(line)
		space := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		switch m := begins.FindStringSubmatch(text); {
		case m != nil:
			found = append(found, quoted{key{m[1], m[2], m[4]}, strings.TrimPrefix(m[3], ", "), m[5], i})
			open, indent = true, space
		case text == "", space != indent:
			open = false
		case open:
			last := &found[len(found)-1]
			last.text = strings.TrimSpace(last.text + " " + text)
		}
	}
	return found
}

// cited returns the requirements that a comment names in its paragraphs that begin
// with the word.
func cited(word string, comment []string) ([]key, error) {
	var keys []key
	paragraph := ""
	for _, line := range append(comment, "//") {
		text := strings.TrimSpace(strings.TrimPrefix(line, "//"))
		begins := opening.MatchString(text)
		if paragraph != "" && (text == "" || begins) {
			found, err := list(word, paragraph)
			if err != nil {
				return nil, err
			}
			keys, paragraph = append(keys, found...), ""
		}
		switch {
		case paragraph != "":
			paragraph += " " + text
		case begins && strings.HasPrefix(text, word+" "):
			paragraph = text
		}
	}
	return keys, nil
}

// opening matches the beginning of a paragraph that names requirements.
var opening = regexp.MustCompile(`^(?:Implements|Covers) (?:` + names + `) `)

// list reads "Covers RFC 6750 §2, §3.1 (a, b); RFC 9110 §11.1.".
func list(word, paragraph string) ([]key, error) {
	text, ok := strings.CutSuffix(strings.TrimPrefix(paragraph, word+" "), ".")
	if !ok {
		return nil, fmt.Errorf("%q does not end with a full stop", paragraph)
	}
	var keys []key
	standard := ""
	for _, part := range parts(text) {
		m := single.FindStringSubmatch(part)
		if m == nil || m[1] == "" && standard == "" {
			return nil, fmt.Errorf("%q is not of the form STANDARD §SECTION (LABEL)", part)
		}
		if m[1] != "" {
			standard = m[1]
		}
		if m[3] == "" {
			keys = append(keys, key{standard, m[2], ""})
			continue
		}
		for label := range strings.SplitSeq(m[3], ",") {
			keys = append(keys, key{standard, m[2], strings.TrimSpace(label)})
		}
	}
	return keys, nil
}

// parts splits at commas and semicolons outside of parentheses.
func parts(text string) []string {
	depth := 0
	fields := strings.FieldsFunc(text, func(r rune) bool {
		switch r {
		case '(':
			depth++
		case ')':
			depth--
		}
		return depth == 0 && (r == ',' || r == ';')
	})
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	return fields
}
