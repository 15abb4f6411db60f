// SPDX-License-Identifier: Apache-2.0

// Reasons writes docs/reasons.md, the operator's table of every reason for which
// a request is refused: reason, package, status, meaning, what to do.
//
//	GOWORK=off go -C tools run ./reasons -C ..
//
// A reason is a package-level constant of the type gatehouse.Reason, whose value
// begins with the name of its package, with a comment of this form:
//
//	// ReasonExpired: the token has expired. Status: 401. Operator: nothing; the client refreshes it.
//	ReasonExpired gatehouse.Reason = "jwtauth_expired"
//
// A reason of events that refuse no request has "Status: none."
//
// Reasons also checks that reasons and codes are closed sets: a reason is a
// literal, is unique and is never converted from a string; a code comes from
// gatehouse.NewCode in a package-level variable that is never assigned, and NewCode
// is never used as a value. Where a literal of gatehouse.Error has both, the status
// of the code must be one of those in the comment. With -check nothing is written.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gatehouse-go/gatehouse/tools/internal/repo"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

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
	if err == nil {
		err = repo.Update(*root, "docs/reasons.md", render(reasons), "reasons", *check)
	}
	if err != nil {
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

| reason | package | status | meaning | operator |
|---|---|---|---|---|
`

func render(reasons []*reason) string {
	var b strings.Builder
	b.WriteString(preface)
	cell := strings.NewReplacer("|", `\|`)
	for _, r := range reasons {
		status := strings.Replace(r.status, "none", "—", 1)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.value, r.pkg, status, cell.Replace(r.meaning), cell.Replace(r.operator))
	}
	return b.String()
}
