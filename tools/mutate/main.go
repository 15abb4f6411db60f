// SPDX-License-Identifier: Apache-2.0

// Mutate removes checks from Go code, one at a time, and runs the tests that
// should notice. It stands beside CI, because a run takes as long as the tests
// of a package times the number of its checks.
//
//	GOWORK=off go -C tools run ./mutate -C .. . ./scopes ./jwtauth
//
// The packages are directories below -C. The source tree is never touched: each
// mutant is a file in a temporary directory that the go command is given as an
// overlay. What is removed:
//
//   - a guard: an if or a case whose body ends in return, continue, break or
//     panic, or records an error, is never taken; where its body returns a nil
//     error, it is always taken; an if whose else refuses is always taken;
//   - an operand of && is true, an operand of || is false;
//   - a predicate: a function that returns a condition returns true, and false.
//
// A mutant is killed when the tests fail or time out, and has survived when
// they pass. Those that survive because they change nothing that could be seen
// are listed in equivalent.txt with the reason. The exit status is 1 if a
// mutant has survived that is not in the list, or if the list is out of date.
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
	"runtime"
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
	tests      string
	with       string
	equivalent string
	report     string
	timeout    time.Duration
	parallel   int
	short      bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("mutate", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.root, "C", ".", "the directory below which the packages are")
	flags.StringVar(&o.tests, "run", "", "run only the tests that match, for packages whose tests are slow")
	flags.StringVar(&o.with, "with", "", "a package, as the go command knows it, whose tests are run beside those of the mutated one")
	flags.StringVar(&o.equivalent, "equivalent", "", "the list of equivalent mutants (default tools/mutate/equivalent.txt below -C)")
	flags.StringVar(&o.report, "o", "", "the report to update (default docs/mutation.md below -C)")
	flags.DurationVar(&o.timeout, "timeout", 0, "the time that one mutant may take (default 20 s and five times that of the unchanged tests)")
	flags.IntVar(&o.parallel, "j", min(2, runtime.NumCPU()), "the number of mutants under test at a time")
	flags.BoolVar(&o.short, "short", true, "run the tests with -short")
	if err := flags.Parse(args); err != nil {
		return 2
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
	if o.report == "" {
		o.report = filepath.Join(root, "docs", "mutation.md")
	}
	if err := mutate(ctx, o, flags.Args(), stdout); err != nil {
		fmt.Fprintln(stderr, "mutate:", err)
		return 1
	}
	return 0
}

// mutate does the work. Survivors and a stale list are errors, and the report
// is written before they are returned.
func mutate(ctx context.Context, o options, dirs []string, stdout io.Writer) error {
	reasons, err := readEquivalent(o.equivalent)
	if err != nil {
		return err
	}
	temp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(temp) }() // nothing depends on it

	var results []result
	var problems []error
	for _, dir := range dirs {
		p, err := loadPackage(ctx, o.root, dir)
		if err != nil {
			return err
		}
		p.reasons = reasons
		if err := p.test(ctx, o, temp, stdout); err != nil {
			return err
		}
		results = append(results, p.results...)
		problems = append(problems, p.problems()...)
	}
	if err := writeReport(o.report, results); err != nil {
		return err
	}
	return errors.Join(problems...)
}
