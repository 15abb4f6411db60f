// SPDX-License-Identifier: Apache-2.0

// Mutate changes Go code, one place at a time, and runs the tests that should fail
// with the change. It is not part of CI, because a run takes as long as
// the tests of a package times the number of its checks.
//
//	GOWORK=off go -C tools run ./mutate -C .. . ./scopes ./jwtauth
//
// The packages are directories below -C. The source tree is never changed: the go
// command gets the changed files as an overlay, once for all mutants of a package, and
// each mutant is tested first with the tests that reach its function, the fastest first. The
// kinds of changes, of which -kinds selects some:
//
//   - check, a guard: an if or a case whose body ends in return, continue, break or
//     panic, or records an error, is never taken; if its body returns a nil
//     error, it is always taken; an if whose else refuses is always taken;
//   - check, an operand: of && it is true, of || it is false;
//   - check, a predicate: a function that returns a condition returns true, and false;
//   - order: two neighboring guards or calls change places;
//   - statement: a call or an assignment is removed;
//   - clock: time.Now, and a time that is called now, are a day behind;
//   - variable: two neighboring arguments of one type change places, and a field is read
//     in place of the one before it if both have one type, and so is a variable;
//   - error: the error of the call whose results a function returns is nil;
//   - boundary: a comparison decides the other way for equal values;
//   - slice: a slice, map or value is shared with the caller, not cloned;
//   - loop: a loop ends after its first turn, or where it would go on with the next;
//   - near: a function or comparison does nearly the same: beginnings are compared, not
//     texts, the first of several header fields is read, any error is the one that counts.
//
// With -hand it tests a list of mutants that a person has written instead:
// a wrong constant, an effect before the check that permits it, a loop that ends early.
//
// With -again it tests only the mutants that survived an earlier run, after more tests.
//
// With -needless it runs all tests that reach a mutant, not only until one fails, and lists
// those without which the others would find as many mutants.
//
// A mutant is killed if the tests fail or time out, and survives if they pass. One
// that does not compile says nothing. A survivor that no caller can distinguish
// from the original is listed in equivalent.txt with the reason. A report for each
// package goes to standard output. The exit status is 1 if a mutant survives that
// is not in the list, or if the list is out of date.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

type options struct {
	root       string
	tests      *regexp.Regexp
	with       []string
	equivalent string
	timeout    time.Duration
	parallel   int
	short      bool
	kinds      []string
	hand       string
	again      string
	needless   bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.root, "C", ".", "the directory below which the packages are")
	tests := flags.String("run", "", "run only the tests that match, for packages whose tests are slow")
	with := flags.String("with", "", "import paths or directories, with commas, of packages whose tests run together with those of the mutated one")
	flags.StringVar(&o.equivalent, "equivalent", "", "the list of equivalent mutants (default tools/mutate/equivalent.txt below -C)")
	flags.DurationVar(&o.timeout, "timeout", 0, "the time limit of one mutant (default 10 s plus five times that of the unchanged tests)")
	flags.IntVar(&o.parallel, "j", min(2, runtime.NumCPU()), "the number of mutants under test at a time")
	flags.BoolVar(&o.short, "short", true, "run the tests with -short")
	all := []string{kindCheck, kindOrder, kindStatement, kindClock, kindVariable, kindError, kindBoundary, kindSlice, kindLoop, kindNear}
	kinds := flags.String("kinds", strings.Join(all, ","), "the kinds of changes")
	flags.StringVar(&o.hand, "hand", "", "a list of mutants that are tested instead, a line each: FILE ## CODE ## REPLACEMENT")
	flags.StringVar(&o.again, "again", "", "the standard error of an earlier run: only the mutants that survived it are tested")
	flags.BoolVar(&o.needless, "needless", false, "do not stop at the first test that fails, and list the tests without which no more mutants would survive")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	for kind := range strings.SplitSeq(*kinds, ",") {
		if !slices.Contains(all, kind) {
			fmt.Fprintf(stderr, "mutate: -kinds: no kind is called %q\n", kind)
			return 2
		}
		o.kinds = append(o.kinds, kind)
	}
	if o.hand != "" {
		o.kinds = []string{kindHand}
	}
	if *with != "" {
		o.with = strings.Split(*with, ",")
	}
	if *tests != "" {
		var err error
		if o.tests, err = regexp.Compile(*tests); err != nil {
			fmt.Fprintln(stderr, "mutate: -run:", err)
			return 2
		}
	}
	if flags.NArg() == 0 {
		fmt.Fprintln(stderr, "mutate: name at least one package directory")
		return 2
	}
	root, err := filepath.Abs(o.root)
	if err == nil {
		root, err = filepath.EvalSymlinks(root)
	}
	if err != nil {
		fmt.Fprintln(stderr, "mutate:", err)
		return 2
	}
	o.root = root
	if o.equivalent == "" {
		o.equivalent = filepath.Join(root, "tools", "mutate", "equivalent.txt")
	}
	if err := mutate(ctx, o, flags.Args(), stdout); err != nil {
		fmt.Fprintln(stderr, "mutate:", err)
		return 1
	}
	return 0
}

// mutate tests the mutants and prints the report. Survivors and a stale list are
// errors.
func mutate(ctx context.Context, o options, dirs []string, stdout io.Writer) error {
	reasons, err := readEquivalent(o.equivalent)
	if err != nil {
		return err
	}
	var results []result
	var problems []error
	for _, dir := range dirs {
		p, err := loadPackage(ctx, o.root, dir, o.with...)
		if err != nil {
			return err
		}
		if o.hand == "" {
			p.reasons = reasons
		} else if err := p.handMutants(o.hand); err != nil {
			return err
		}
		if o.again != "" {
			if err := p.onlySurvivors(o.again); err != nil {
				return err
			}
		}
		temp, err := os.MkdirTemp("", "mutate")
		if err != nil {
			return err
		}
		err = p.test(ctx, o, temp, stdout)
		_ = os.RemoveAll(temp) // nothing depends on it
		if err != nil {
			return err
		}
		results = append(results, p.results...)
		problems = append(problems, p.problems()...)
	}
	fmt.Fprint(stdout, report(results))
	return errors.Join(problems...)
}
