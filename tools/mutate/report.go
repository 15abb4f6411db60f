// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
)

const preamble = `# Mutation

Every check that guards something must be covered by a test that fails without
it. This file says how far that holds. It is written by tools/mutate, which
removes the checks of a package one at a time and runs its tests:

    GOWORK=off go -C tools run ./mutate -C .. . ./scopes ./jwtauth

What is removed: an if or a case that ends in a refusal is never taken, one that
ends in a nil error is always taken, an operand of && is true, an operand of ||
is false, a function that returns a condition returns true and false.

A mutant is killed when the tests fail or time out. One that does not compile
says nothing. One that cannot be told from the original by anything that a
caller sees is equivalent; each of those is listed with the reason. A survivor
is a check without a test.
`

// writeReport brings the sections of the packages under test up to date and
// leaves those of other packages as they are.
func writeReport(name string, results []result) error {
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	sections := parseSections(string(old))
	byPackage := make(map[string][]result)
	for _, r := range results {
		byPackage[r.Package] = append(byPackage[r.Package], r)
	}
	for path, results := range byPackage {
		sections[heading(path)] = section(results)
	}
	var b strings.Builder
	b.WriteString(preamble)
	for _, path := range slices.Sorted(maps.Keys(sections)) {
		b.WriteString("\n## " + path + "\n\n" + strings.TrimSpace(sections[path]) + "\n")
	}
	return os.WriteFile(name, []byte(b.String()), 0o644)
}

func heading(path string) string {
	if path == "." {
		return "gatehouse"
	}
	return "gatehouse/" + path
}

func parseSections(report string) map[string]string {
	sections := make(map[string]string)
	for i, part := range strings.Split(report, "\n## ") {
		if title, body, ok := strings.Cut(part, "\n"); ok && i > 0 {
			sections[title] = body
		}
	}
	return sections
}

// tally counts the mutants of one file.
type tally struct{ all, killed, timedOut, notCompiling, equivalent, survived int }

func (t *tally) add(r result) {
	t.all++
	switch {
	case r.Outcome == killed:
		t.killed++
	case r.Outcome == timedOut:
		t.timedOut++
	case r.Outcome == notCompiling:
		t.notCompiling++
	case r.Reason != "":
		t.equivalent++
	default:
		t.survived++
	}
}

func section(results []result) string {
	var total tally
	files := make(map[string]*tally)
	for _, r := range results {
		if files[r.File] == nil {
			files[r.File] = new(tally)
		}
		files[r.File].add(r)
		total.add(r)
	}
	var b strings.Builder
	b.WriteString("| file | mutants | killed | timed out | not compiling | equivalent | survived |\n")
	b.WriteString("|---|---:|---:|---:|---:|---:|---:|\n")
	row := func(name string, t tally) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d | %d | %d |\n",
			name, t.all, t.killed, t.timedOut, t.notCompiling, t.equivalent, t.survived)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		row(name, *files[name])
	}
	row("all", total)

	list(&b, "Survived:", results, func(r result) bool { return r.Outcome == survived && r.Reason == "" })
	list(&b, "Equivalent:", results, func(r result) bool { return r.Outcome == survived && r.Reason != "" })
	list(&b, "Not compiling:", results, func(r result) bool { return r.Outcome == notCompiling })
	return b.String()
}

func list(b *strings.Builder, title string, results []result, want func(result) bool) {
	var lines []string
	for _, r := range results {
		if want(r) {
			// Two back quotes, because the source may hold one.
			line := fmt.Sprintf("- %s:%d %s: `` %s `` is %s", r.File, r.Line, r.Func, r.Source, r.Change)
			if r.Reason != "" {
				line += ": " + r.Reason
			}
			lines = append(lines, line)
		}
	}
	if len(lines) > 0 {
		fmt.Fprintf(b, "\n%s\n\n%s\n", title, strings.Join(lines, "\n"))
	}
}
