// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// unit is one test, example or fuzz test with its seeds.
type unit struct {
	program int // of compile
	name    string
	time    time.Duration
	blocks  map[string][]block // what it runs, by file
	passes  bool               // in the program with mutants
}

var isTest = regexp.MustCompile(`^(Test|Fuzz|Example)`)

// block is a part of a file without branches, as the cover tool sees it.
type block struct{ from, to position }

type position struct{ line, column int }

func (p position) before(other position) bool {
	return p.line < other.line || p.line == other.line && p.column < other.column
}

// units lists the tests of all programs and runs each alone, to see what it reaches and
// how long it takes, and whether it passes in the program with mutants.
func (t *target) units(ctx context.Context, o options, temp string) ([]*unit, error) {
	var all []*unit
	for i := range 1 + len(o.with) {
		if _, err := os.Stat(program(temp, "cover", i)); errors.Is(err, fs.ErrNotExist) {
			continue // it has no tests
		}
		out, err := exec.CommandContext(ctx, program(temp, "cover", i), "-test.list=.").CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", t.path, err, out)
		}
		for name := range strings.FieldsSeq(string(out)) {
			// The program also prints benchmarks, and a warning that it has no directory for coverage.
			if isTest.MatchString(name) && (o.tests == nil || o.tests.MatchString(name)) {
				all = append(all, &unit{program: i, name: name})
			}
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: has no tests", t.path)
	}
	err := o.each(len(all), func(i int) error {
		u := all[i]
		profile := filepath.Join(temp, "profile"+strconv.Itoa(i))
		start := time.Now()
		outcome, output, err := t.run(ctx, o, temp, "cover", 0, []*unit{u}, cmp.Or(o.timeout, 10*time.Minute), "-test.coverprofile="+profile)
		if err != nil {
			return err
		}
		if outcome != survived {
			return fmt.Errorf("%s: %s of the unchanged package does not pass:\n%s", t.path, u.name, output)
		}
		u.time = time.Since(start)
		text, err := os.ReadFile(profile)
		if err != nil {
			return err
		}
		u.blocks = covered(string(text))
		outcome, _, err = t.run(ctx, o, temp, "mutants", 0, []*unit{u}, o.limit(u.time))
		u.passes = outcome == survived
		return err
	})
	slices.SortStableFunc(all, func(a, b *unit) int { return cmp.Compare(a.time, b.time) })
	return all, err
}

// covered reads the blocks of a profile that were run: lines "package/file.go:1.2,3.4 5 6",
// of which the last number counts the runs.
func covered(profile string) map[string][]block {
	blocks := map[string][]block{}
	for line := range strings.Lines(profile) {
		at, ranges, _ := strings.Cut(strings.TrimSpace(line), ":")
		var b block
		var statements, runs int
		n, err := fmt.Sscanf(ranges, "%d.%d,%d.%d %d %d", &b.from.line, &b.from.column, &b.to.line, &b.to.column, &statements, &runs)
		if err == nil && n == 6 && runs > 0 {
			blocks[path.Base(at)] = append(blocks[path.Base(at)], b)
		}
	}
	return blocks
}

// reaching returns the tests that run the function of a mutant, and the others, whose
// processes may run it: each the fastest first.
func (t *target) reaching(units []*unit, decl *ast.FuncDecl) (list, others []*unit) {
	begin, end := t.fset.Position(decl.Body.Pos()), t.fset.Position(decl.Body.End())
	from, to := position{begin.Line, begin.Column}, position{end.Line, end.Column}
	inside := func(b block) bool { return !b.from.before(from) && !to.before(b.to) }
	for _, u := range units {
		if slices.ContainsFunc(u.blocks[path.Base(begin.Filename)], inside) {
			list = append(list, u)
		} else {
			others = append(others, u)
		}
	}
	return list, others
}

// run runs tests of one program with one mutant, or with none if it is 0.
func (t *target) run(ctx context.Context, o options, temp, name string, mutant int, units []*unit, limit time.Duration, flags ...string) (outcome, output string, err error) {
	names := make([]string, len(units))
	for i, u := range units {
		names[i] = u.name
	}
	args := append([]string{"-test.timeout=" + limit.String(), "-test.run=^(" + strings.Join(names, "|") + ")$"}, flags...)
	if o.needless {
		args = append(args, "-test.v")
	} else {
		args = append(args, "-test.failfast")
	}
	if o.short {
		args = append(args, "-test.short")
	}
	// The tests end themselves at their limit.
	ctx, cancel := context.WithTimeout(ctx, limit+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(temp, name, units[0].program), args...)
	cmd.Dir = t.dirs[units[0].program]
	cmd.Env = append(os.Environ(), variable+"="+strconv.Itoa(mutant))
	// A group of its own, so that what the tests have started ends with them.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	output = out.String()
	switch _, failed := errors.AsType[*exec.ExitError](err); {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // something that it started runs on
		return survived, output, nil
	case strings.Contains(output, "panic: test timed out"), errors.Is(ctx.Err(), context.DeadlineExceeded):
		return timedOut, output, nil
	case failed:
		return killed, output, nil
	}
	return "", output, err
}
