// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// row is one requirement.
type row struct {
	line                     int
	standard, section, quote string
	code, test               string
}

// readRows returns the rows of every table below a second-level heading.
func readRows(document string) ([]row, error) {
	var (
		rows     []row
		errs     []error
		standard string
		number   int
		body     bool // past the two head lines of a table
	)
	for line := range strings.Lines(document) {
		number++
		line = strings.TrimSpace(line)
		if title, ok := strings.CutPrefix(line, "## "); ok {
			standard = title
		}
		if !strings.HasPrefix(line, "|") {
			body = false
			continue
		}
		if strings.HasPrefix(line, "|---") {
			body = true
			continue
		}
		if !body || standard == "" {
			continue
		}
		cells := cells(line)
		if len(cells) != 4 {
			errs = append(errs, fmt.Errorf("%d: %d cells, want 4", number, len(cells)))
			continue
		}
		r := row{number, standard, cells[0], cells[1], cells[2], cells[3]}
		if r.section == "" || r.quote == "" {
			errs = append(errs, fmt.Errorf("%d: no section or no requirement", number))
		}
		rows = append(rows, r)
	}
	return rows, errors.Join(errs...)
}

// cells splits a row of a table. A bar in a cell is written \|.
func cells(line string) []string {
	const bar = "\x00"
	line = strings.ReplaceAll(line, `\|`, bar)
	line = strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|")
	var cells []string
	for cell := range strings.SplitSeq(line, "|") {
		cells = append(cells, strings.TrimSpace(strings.ReplaceAll(cell, bar, "|")))
	}
	return cells
}

// reference is path#name, or path#name/case of a test.
type reference struct{ path, name, sub string }

func (r reference) String() string {
	if r.sub != "" {
		return r.path + "#" + r.name + "/" + r.sub
	}
	return r.path + "#" + r.name
}

var (
	span  = regexp.MustCompile("`[^`]*`")
	shape = regexp.MustCompile("^`([^`#]+\\.go)#([\\pL_][\\pL\\pN_.]*)(?:/([^`]+))?`$")
)

// references returns what the code spans of a cell refer to. Between them there
// is nothing but commas and breaks.
func references(cell string) ([]reference, error) {
	if rest := strings.Trim(span.ReplaceAllString(cell, ""), " ,"); rest != "" {
		return nil, fmt.Errorf("%q is neither a reference nor a comma", rest)
	}
	var refs []reference
	for _, text := range span.FindAllString(cell, -1) {
		m := shape.FindStringSubmatch(text)
		if m == nil {
			return nil, fmt.Errorf("%s is not of the form `path.go#Name`", text)
		}
		refs = append(refs, reference{m[1], m[2], m[3]})
	}
	if len(refs) == 0 {
		return nil, errors.New("a cell without a reference")
	}
	return refs, nil
}
