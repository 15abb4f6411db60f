// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	startedTest = regexp.MustCompile(`(?m)^=== RUN   ([^/\s]+)$`)
	failedTest  = regexp.MustCompile(`(?m)^\s*--- FAIL: ([^/\s]+) `)
)

// testAll runs all tests that reach the function of a mutant, and returns which fail. A test
// in which the program ends has failed, and those after it run in another program. The
// other tests run only if none has failed.
func (t *target) testAll(ctx context.Context, o options, temp string, number int, groups ...[]*unit) (outcome string, by []*unit, err error) {
	outcome = survived
	for _, units := range groups {
		for len(units) > 0 && outcome != timedOut {
			takes := units[0].time
			var group, rest []*unit
			for _, u := range units {
				if u.program == units[0].program {
					group, takes = append(group, u), takes+u.time
				} else {
					rest = append(rest, u)
				}
			}
			got, output, err := t.run(ctx, o, temp, "mutants", number, group, o.limit(takes))
			if err != nil {
				return "", nil, err
			}
			started, failures := matches(startedTest, output), matches(failedTest, output)
			if got != survived {
				outcome = got
			}
			ended := got != survived && !strings.HasSuffix(strings.TrimSpace(output), "FAIL")
			if ended && len(started) > 0 {
				failures = append(failures, started[len(started)-1])
			}
			for _, u := range group {
				switch {
				case slices.Contains(failures, u.name):
					by = append(by, u)
				case ended && len(started) > 0 && !slices.Contains(started, u.name):
					rest = append(rest, u)
				}
			}
			units = rest
		}
		if outcome != survived {
			break
		}
	}
	return outcome, by, nil
}

// matches returns the first group of each match.
func matches(pattern *regexp.Regexp, output string) (groups []string) {
	for _, match := range pattern.FindAllStringSubmatch(output, -1) {
		groups = append(groups, match[1])
	}
	return groups
}

// printNeedless prints tests without which the others still find each mutant, the longest
// first. They may show what no mutant changes: allocations, races, how the package is used.
func (t *target) printNeedless(units []*unit, stdout io.Writer) error {
	lines := make(map[*unit]int)
	for program, dir := range t.dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil {
			return err
		}
		for _, name := range files {
			fset := token.NewFileSet()
			file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, d := range file.Decls {
				decl, ok := d.(*ast.FuncDecl)
				at := slices.IndexFunc(units, func(u *unit) bool { return ok && u.program == program && u.name == decl.Name.Name })
				if at >= 0 {
					lines[units[at]] = fset.Position(decl.End()).Line - fset.Position(decl.Pos()).Line + 1
				}
			}
		}
	}
	fmt.Fprintln(stdout, "Tests without which no more mutants would survive:")
	for _, u := range slices.SortedFunc(maps.Keys(lines), func(a, b *unit) int {
		return cmp.Or(cmp.Compare(lines[b], lines[a]), cmp.Compare(a.name, b.name), cmp.Compare(a.program, b.program))
	}) {
		if slices.ContainsFunc(t.results, func(r result) bool { return len(r.By) == 1 && r.By[0] == u }) {
			continue
		}
		for i := range t.results {
			t.results[i].By = slices.DeleteFunc(t.results[i].By, func(by *unit) bool { return by == u })
		}
		fmt.Fprintf(stdout, "\t%s, %d lines\n", u.name, lines[u])
	}
	return nil
}
