// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// report returns a table for each package, with the mutants below it that need an
// explanation.
func report(results []result) string {
	byPackage := make(map[string][]result)
	for _, r := range results {
		byPackage[r.Package] = append(byPackage[r.Package], r)
	}
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(byPackage)) {
		title := "gatehouse"
		if path != "." {
			title += "/" + path
		}
		b.WriteString("\n## " + title + "\n\n" + section(byPackage[path]))
	}
	return b.String()
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

// onlySurvivors leaves the mutants that problems has named as survivors. The list of
// equivalent mutants does not apply.
func (t *target) onlySurvivors(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	again := make(map[string]bool)
	for line := range strings.Lines(string(data)) {
		if _, line, ok := strings.Cut(line, "survived: "); ok {
			_, id, _ := strings.Cut(strings.TrimSpace(line), ": ")
			again[id] = true
		}
	}
	t.mutants = slices.DeleteFunc(t.mutants, func(m mutant) bool { return !again[m.ID()] })
	t.reasons = nil
	return nil
}
