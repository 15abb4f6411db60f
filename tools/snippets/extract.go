// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	begin = regexp.MustCompile(`^\s*(?://|#) snippet: (\S+)$`)
	end   = regexp.MustCompile(`^\s*(?://|#) end snippet$`)
)

// extract returns what ref names: path#name or path.
func extract(root, ref string) (string, error) {
	path, name, _ := strings.Cut(ref, "#")
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return "", fmt.Errorf("%s: not below the root", ref)
	}
	source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		return "", err
	}
	parts, err := parts(string(source))
	if err != nil {
		return "", fmt.Errorf("%s:%w", path, err)
	}
	lines, ok := parts[name]
	if !ok {
		return "", fmt.Errorf("%s: no snippet is called %s", path, name)
	}
	text := dedent(lines)
	if text == "" {
		return "", fmt.Errorf("%s: empty", ref)
	}
	return text, nil
}

// parts returns the marked parts of a source file by their names, and under ""
// all of it. Parts do not nest.
func parts(source string) (map[string][]string, error) {
	parts := make(map[string][]string)
	open, number := "", 0
	for line := range strings.Lines(source) {
		number++
		line = strings.TrimRight(line, "\r\n")
		switch m := begin.FindStringSubmatch(line); {
		case m != nil && open != "":
			return nil, fmt.Errorf("%d: snippet inside a snippet", number)
		case m != nil:
			open = m[1]
			if _, ok := parts[open]; ok {
				return nil, fmt.Errorf("%d: a second snippet called %s", number, open)
			}
			parts[open] = nil
		case end.MatchString(line) && open == "":
			return nil, fmt.Errorf("%d: no snippet to end", number)
		case end.MatchString(line):
			open = ""
		case number == 1 && strings.Contains(line, "SPDX-License-Identifier:"):
		default:
			parts[""] = append(parts[""], line)
			if open != "" {
				parts[open] = append(parts[open], line)
			}
		}
	}
	if open != "" {
		return nil, fmt.Errorf("%d: snippet %s does not end", number, open)
	}
	return parts, nil
}

// dedent joins the lines without the blank ones at both ends and without the
// indentation that all of them share.
func dedent(lines []string) string {
	shared, first := "", true
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if first {
			shared, first = indent, false
		}
		for !strings.HasPrefix(indent, shared) {
			shared = shared[:len(shared)-1]
		}
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(strings.TrimRight(strings.TrimPrefix(line, shared), " \t") + "\n")
	}
	text := strings.Trim(b.String(), "\n")
	if text == "" {
		return ""
	}
	return text + "\n"
}
