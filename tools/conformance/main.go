// SPDX-License-Identifier: Apache-2.0

// Conformance holds docs/conformance.md against the code. The document is
// written by hand: a table per standard, whose rows name a requirement, the code
// that obeys it and the tests that show it. Conformance does not judge whether
// they do; it fails when a name in the document leads nowhere.
//
//	GOWORK=off go -C tools run ./conformance -C ..
//
// A row has four cells:
//
//	| 3.1 | what the standard says | `gate.go#Gate.authenticate` | `gate_test.go#TestGate/no token` |
//
// Code is a file and a declaration in it: a function, a type, a constant, a
// variable, or Type.Member for a method or a field. A test is a file and a Test,
// Fuzz or Example function in it, and may name a case of it, which must be a
// string in that file. A requirement on somebody else has a code cell that
// begins with "— " and says whose it is, and "—" for its test.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("C", ".", "the directory below which the files are")
	document := flags.String("document", "docs/conformance.md", "the document, below -C")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	text, err := os.ReadFile(filepath.Join(*root, filepath.FromSlash(*document)))
	if err != nil {
		fmt.Fprintln(stderr, "conformance:", err)
		return 1
	}
	count, err := check(*root, string(text))
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(stderr, "%s:%s\n", *document, strings.TrimRight(line, "\n"))
		}
		return 1
	}
	fmt.Fprintf(stdout, "conformance: %d requirements of %d standards, %d names of code, %d of tests\n",
		count.rows, count.standards, count.code, count.tests)
	return 0
}

type counts struct{ standards, rows, code, tests int }

// check follows every name in the document. Its errors begin with line numbers.
func check(root, document string) (counts, error) {
	rows, err := readRows(document)
	if err != nil {
		return counts{}, err
	}
	var (
		n         counts
		errs      []error
		sources   = newSources(root)
		standards = make(map[string]bool)
	)
	fail := func(r row, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%d: %w", r.line, err))
		}
	}
	for _, r := range rows {
		n.rows++
		standards[r.standard] = true
		if reason, ok := strings.CutPrefix(r.code, "— "); ok {
			if strings.TrimSpace(reason) == "" || r.test != "—" {
				fail(r, errors.New("a requirement on somebody else needs a reason, and — for its test"))
			}
			continue
		}
		code, err := references(r.code)
		fail(r, err)
		for _, ref := range code {
			n.code++
			fail(r, sources.declared(ref))
		}
		tests, err := references(r.test)
		fail(r, err)
		for _, ref := range tests {
			n.tests++
			fail(r, sources.tested(ref))
		}
	}
	if n.rows == 0 {
		errs = append(errs, errors.New("1: no requirements"))
	}
	n.standards = len(standards)
	return n, errors.Join(errs...)
}
