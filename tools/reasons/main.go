// SPDX-License-Identifier: Apache-2.0

// Reasons writes docs/reasons.md, the operator's table of every reason for which
// a request is refused: reason, package, status, meaning, what to do.
//
//	GOWORK=off go -C tools run ./reasons -C ..
//
// A reason is a package-level constant of the type gatehouse.Reason, whose value
// begins with the name of its package, with a comment of this form:
//
//	// ReasonExpired: the token has expired. Operator: nothing; the client refreshes it.
//	ReasonExpired gatehouse.Reason = "jwtauth_expired"
//
// The statuses are those of the codes beside the reason in literals of
// gatehouse.Error, also where a function gets the reason as an argument. Where the
// code depends on more, the comment names them before the operator, as "Status:
// 401, 403." or, for a reason of events only, "Status: none."
//
// Reasons also holds the rules of reasons and codes: a reason is a literal, is
// unique and is never converted from a string; a code comes from gatehouse.NewCode
// in a package-level variable that is never assigned, and NewCode is never used as
// a value. With -check nothing is written.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const document = "docs/reasons.md"

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("reasons", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("C", ".", "the root of the repository")
	check := flags.Bool("check", false, "report a difference instead of writing")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	reasons, err := collect(*root)
	if err == nil && len(reasons) == 0 {
		err = errors.New("no reasons found")
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	name, text := filepath.Join(*root, filepath.FromSlash(document)), render(reasons)
	if *check {
		if old, err := os.ReadFile(name); err != nil || string(old) != text {
			fmt.Fprintf(stderr, "%s: out of date; run: GOWORK=off go -C tools run ./reasons -C ..\n", document)
			return 1
		}
	} else if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	fmt.Fprintf(stdout, "reasons: %d\n", len(reasons))
	return 0
}

const preface = `<!-- Written by tools/reasons from the comments of the constants. Do not edit. -->

# Reasons

Every event about a refusal has one of these reasons. They are for operators: the
response to the caller carries the coarser error code, which does not reveal which
check failed. A reason can be a metric label, because the set is closed. Those
without a status are reasons of other events.

`

func render(reasons []*reason) string {
	var b strings.Builder
	b.WriteString(preface)
	b.WriteString("| reason | package | status | meaning | operator |\n|---|---|---|---|---|\n")
	for _, r := range reasons {
		statuses := make([]string, len(r.statuses))
		for i, s := range r.statuses {
			statuses[i] = strconv.Itoa(s)
		}
		if len(statuses) == 0 {
			statuses = []string{"—"} // of events only
		}
		cell := func(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.value, r.pkg, strings.Join(statuses, ", "), cell(r.meaning), cell(r.operator))
	}
	return b.String()
}

// byPackage orders reasons by package, the core package first, and by value.
func byPackage(reasons []*reason) {
	slices.SortFunc(reasons, func(a, b *reason) int {
		if a.pkg != b.pkg {
			if a.pkg == corePackage || b.pkg != corePackage && a.pkg < b.pkg {
				return -1
			}
			return 1
		}
		return strings.Compare(a.value, b.value)
	})
}
