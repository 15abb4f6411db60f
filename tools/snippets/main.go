// SPDX-License-Identifier: Apache-2.0

// Snippets copies code that is compiled and tested into Markdown files.
//
//	GOWORK=off go -C tools run ./snippets -C ..
//
// A comment before a fenced block names the source of its text:
//
//	<!-- snippet: examples/quickstart/main.go#gate -->
//
// In the source, comment lines of either style enclose the part. It loses the
// indentation that all its lines share:
//
//	// snippet: gate
//	gate, err := gatehouse.New(config)
//	// end snippet
//
// Without #name the block is the whole file, except for its SPDX line and its
// markers. With -check nothing is written, and a difference is an error. In
// README.md every go block must have such a comment; elsewhere a block without the
// comment is not changed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gatehouse-go/gatehouse/tools/internal/repo"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("snippets", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("C", ".", "the directory whose Markdown files are read")
	check := flags.Bool("check", false, "report differences instead of writing")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	documents, err := markdown(*root)
	if err == nil && len(documents) == 0 {
		err = errors.New("no Markdown files")
	}
	if err != nil {
		fmt.Fprintln(stderr, "snippets:", err)
		return 1
	}
	blocks := 0
	var errs []error
	for _, name := range documents {
		n, err := sync(*root, name, *check)
		blocks += n
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(stderr, err)
		return 1
	}
	fmt.Fprintf(stdout, "snippets: %d blocks in %d files\n", blocks, len(documents))
	return 0
}

// markdown returns the Markdown files below root, with slashes.
func markdown(root string) (names []string, err error) {
	err = repo.Files(root, func(name string) error {
		if strings.HasSuffix(name, ".md") {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// sync writes or checks one document and returns the number of its blocks that
// have a source.
func sync(root, name string, check bool) (int, error) {
	old, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return 0, err
	}
	text, blocks, err := render(string(old), name == "README.md", func(ref string) (string, error) {
		return extract(root, ref)
	})
	if err != nil {
		return blocks, fmt.Errorf("%s:%w", name, err)
	}
	return blocks, repo.Update(root, name, text, "snippets", check)
}
