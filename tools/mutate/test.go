// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// The outcomes of a mutant.
const (
	killed       = "killed"
	timedOut     = "timed out"
	notCompiling = "not compiling"
	survived     = "survived"
)

type result struct {
	mutant
	Package string // its directory below the root, with slashes
	Outcome string
	Reason  string  // why it is equivalent, "" if it is not listed
	By      []*unit // with -needless the tests that fail, else nil
}

// limit is how long tests may take that took d without a mutant.
func (o options) limit(d time.Duration) time.Duration {
	if o.timeout > 0 {
		return o.timeout
	}
	return (10*time.Second + 5*d).Round(time.Second)
}

// each calls f with 0 to n-1, o.parallel at a time.
func (o options) each(n int, f func(i int) error) error {
	errs := make([]error, n)
	slots := make(chan struct{}, max(1, o.parallel))
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = f(i)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// test runs the tests once as they are, and for each mutant those that reach it.
func (t *target) test(ctx context.Context, o options, temp string, stdout io.Writer) error {
	mutants := slices.DeleteFunc(t.mutants, func(m mutant) bool { return !slices.Contains(o.kinds, m.kind) })
	if output, err := t.compile(ctx, temp, "cover", "-cover", "-coverpkg="+t.path); err != nil {
		return fmt.Errorf("%w\n%s", err, output)
	}
	bad, err := t.buildMutants(ctx, temp, mutants)
	if err != nil {
		return err
	}
	units, err := t.units(ctx, o, temp)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%s: %d mutants, %d tests\n", t.path, len(mutants), len(units))
	for _, u := range units {
		if !u.passes {
			fmt.Fprintf(stdout, "%s fails in a program with mutants, and is left out\n", u.name)
		}
	}
	units = slices.DeleteFunc(units, func(u *unit) bool { return !u.passes })

	t.results = make([]result, len(mutants))
	var print sync.Mutex
	err = o.each(len(mutants), func(i int) error {
		m := mutants[i]
		r := result{mutant: m, Package: t.dir, Reason: t.reasons[m.ID()], Outcome: notCompiling}
		if !bad[i] {
			var err error
			reaching, others := t.reaching(units, m.decl)
			if o.needless {
				r.Outcome, r.By, err = t.testAll(ctx, o, temp, i+1, reaching, others)
			} else {
				r.Outcome, err = t.testMutant(ctx, o, temp, i+1, append(reaching, others...))
			}
			if err != nil {
				return err
			}
		}
		t.results[i] = r
		print.Lock()
		defer print.Unlock()
		fmt.Fprintf(stdout, "%-13s %s:%d %s: %s => %s\n", r.Outcome, m.File, m.Line, m.Func, m.Source, m.Change)
		return ctx.Err()
	})
	if o.needless && err == nil {
		return t.printNeedless(units, stdout)
	}
	return err
}

// testMutant runs tests in groups, each of one program and about as long as all before it.
func (t *target) testMutant(ctx context.Context, o options, temp string, number int, units []*unit) (string, error) {
	var past time.Duration
	for len(units) > 0 {
		var group, rest []*unit
		var takes time.Duration
		for _, u := range units {
			if len(group) > 0 && (u.program != group[0].program || takes+u.time > max(past, 100*time.Millisecond)) {
				rest = append(rest, u)
				continue
			}
			group, takes = append(group, u), takes+u.time
		}
		if outcome, _, err := t.run(ctx, o, temp, "mutants", number, group, o.limit(takes)); err != nil || outcome != survived {
			return outcome, err
		}
		past, units = past+takes, rest
	}
	return survived, nil
}

// problems says what needs a person: survivors, and lines of the list that do
// not hold.
func (t *target) problems() []error {
	var errs []error
	seen := make(map[string]bool)
	for _, r := range t.results {
		seen[r.ID()] = true
		switch {
		case r.Outcome == survived && r.Reason == "":
			errs = append(errs, fmt.Errorf("survived: %s:%d: %s", r.File, r.Line, r.ID()))
		case r.Outcome != survived && r.Reason != "":
			errs = append(errs, fmt.Errorf("listed as equivalent but %s: %s", r.Outcome, r.ID()))
		}
	}
	for id := range t.reasons {
		file, _, _ := strings.Cut(id, " ")
		if dir := path.Dir(filepath.ToSlash(file)); dir == t.dir && !seen[id] {
			errs = append(errs, fmt.Errorf("listed as equivalent but there is no such mutant: %s", id))
		}
	}
	return errs
}
