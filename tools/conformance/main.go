// SPDX-License-Identifier: Apache-2.0

// Conformance writes docs/conformance: a page for each standard, with the
// requirements, the code that obeys them and the tests that show it.
//
//	GOWORK=off go -C tools run ./conformance -C ..
//
// The code and the tests are found by their comments. A comment quotes a
// requirement at the line that obeys it, in a paragraph that begins with a
// citation and a colon, or names those that a declaration obeys:
//
//	// RFC 6750 §3.1 (invalid_token): "expired, revoked, malformed, or invalid
//	// for other reasons", with status 401.
//
//	// Implements RFC 7636 §4.1 (fresh), §4.2 (S256); RFC 9700 §2.1.1 (public).
//
// The words in parentheses are a label, where a section has several requirements.
// A test names what it covers, in the comment of its function or beside the row of
// a table, whose first string is the case:
//
//	// Covers RFC 6750 §2, §3.1 (invalid_token, invalid_request); RFC 9110 §11.1.
//
// The directory standards has a file for each standard: the text of the
// requirements that no comment quotes, those that another party fulfils, and the
// departures. A requirement without code or without a test is an error, and so is
// a citation of one that does not exist. With -check nothing is written, and a
// page that differs is an error.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/gatehouse-go/gatehouse/tools/internal/repo"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const directory = "docs/conformance/"

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("C", ".", "the root of the repository")
	check := flags.Bool("check", false, "report differences instead of writing")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	summary, err := generate(*root, *check)
	if err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	fmt.Fprintln(stdout, summary)
	return 0
}

// generate writes or checks the pages below root.
func generate(root string, check bool) (summary string, err error) {
	standards, err := readStandards(os.DirFS(filepath.Join(root, "tools", "conformance", "standards")))
	if err != nil {
		return "", err
	}
	found, err := scan(root, standards)
	if err != nil {
		return "", err
	}
	pages := render(standards, found)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		errs = append(errs, repo.Update(root, directory+name, pages[name], "conformance", check))
	}
	entries, err := os.ReadDir(filepath.Join(root, filepath.FromSlash(directory)))
	for _, entry := range entries {
		if _, ok := pages[entry.Name()]; !ok {
			errs = append(errs, fmt.Errorf("%s%s: no standard has this page; delete it", directory, entry.Name()))
		}
	}
	tests := make(map[string]bool)
	for _, r := range found {
		for _, t := range r.tests {
			tests[t.file+t.name] = true
		}
	}
	return fmt.Sprintf("conformance: %d requirements of %d standards, covered by %d tests", len(found), len(standards), len(tests)), errors.Join(append(errs, err)...)
}
