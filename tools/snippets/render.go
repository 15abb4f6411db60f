// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var comment = regexp.MustCompile(`^<!-- snippet: (\S+) -->$`)

// render returns the document with the text of every marked block replaced by what
// extract returns, and the number of those blocks. With strict set, a go block without
// a mark is an error. Errors begin with the line number.
func render(document string, strict bool, extract func(ref string) (string, error)) (string, int, error) {
	var (
		out    strings.Builder
		errs   []error
		blocks int
		ref    string // of the last snippet comment, until its block
		fence  string // of the open block
		skip   bool   // the old text of the open block
		number int
	)
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%d: "+format, append([]any{number}, args...)...))
	}
	for line := range strings.Lines(document) {
		number++
		bare := strings.TrimRight(line, "\r\n")
		switch {
		case fence != "" && closes(bare, fence):
			fence, skip = "", false
		case fence != "":
			if skip {
				continue
			}
		case opens(bare) != "":
			fence = opens(bare)
			out.WriteString(line)
			language, _, _ := strings.Cut(strings.TrimSpace(bare[len(fence):]), " ")
			if ref == "" {
				if strict && language == "go" {
					fail("a go block without a snippet comment before it")
				}
				continue
			}
			text, err := extract(ref)
			if err != nil {
				fail("%w", err)
			} else if strings.Contains(text, fence) {
				fail("%s has %s in it, which ends the block", ref, fence)
			}
			out.WriteString(text)
			ref, skip = "", true
			blocks++
			continue
		case ref != "" && bare != "":
			fail("no block after the snippet comment of %s", ref)
			ref = ""
		}
		if start := strings.TrimSpace(bare); strict && fence == "" && !strings.HasPrefix(bare, "`") &&
			(strings.HasPrefix(start, "```") || strings.HasPrefix(start, "~~~")) {
			fail("a block that is indented or fenced by tildes, which is not checked")
		}
		if fence == "" && strings.HasPrefix(strings.TrimSpace(bare), "<!-- snippet") {
			m := comment.FindStringSubmatch(bare)
			if m == nil {
				fail("malformed snippet comment")
			} else {
				ref = m[1]
			}
		}
		out.WriteString(line)
	}
	if ref != "" {
		fail("no block after the snippet comment of %s", ref)
	}
	if fence != "" {
		fail("a block is not closed")
	}
	return out.String(), blocks, errors.Join(errs...)
}

// opens returns the fence with which a line opens a block, or "".
func opens(line string) string {
	fence := line[:len(line)-len(strings.TrimLeft(line, "`"))]
	if len(fence) < 3 || strings.Contains(line[len(fence):], "`") {
		return ""
	}
	return fence
}

func closes(line, fence string) bool {
	return strings.HasPrefix(line, fence) && strings.Trim(line, "` ") == ""
}
