// SPDX-License-Identifier: Apache-2.0

// Language reports words that the project does not use, because a reader could
// not search for them or would have to guess what they stand for. The list, with
// what to write instead, is words.txt.
//
//	GOWORK=off go -C tools run ./language -C .. [PATH...]
//
// Checked are Go files, documents, migrations, scripts and pages, with the words of
// each name. With paths, only files at or below them. The exit status is 1 if a word
// is found.
package main

import (
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse/tools/internal/repo"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

//go:embed words.txt
var list string

// exempt are the files that quote the words in order to reject them.
var exempt = []string{"tools/language/words.txt", "tools/language/language_test.go"}

// texts are the extensions of the files that are read.
var texts = []string{".go", ".md", ".sql", ".lua", ".js", ".mjs", ".html", ".css", ".svg", ".yml", ".txt", ".sh"}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("language", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("C", ".", "the root of the repository")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	words, err := readWords(list)
	if err != nil {
		fmt.Fprintln(stderr, "language:", err)
		return 2
	}
	found, err := check(*root, words, flags.Args())
	if err != nil {
		fmt.Fprintln(stderr, "language:", err)
		return 2
	}
	for _, f := range found {
		fmt.Fprintln(stdout, f)
	}
	if len(found) > 0 {
		fmt.Fprintf(stderr, "language: %d words of tools/language/words.txt\n", len(found))
		return 1
	}
	return 0
}

type word struct {
	pattern *regexp.Regexp
	instead string
}

func readWords(list string) ([]word, error) {
	var words []word
	for line := range strings.Lines(list) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		expression, instead, ok := strings.Cut(line, " ## ")
		if !ok {
			return nil, fmt.Errorf("words.txt: %q: want WORD ## INSTEAD", line)
		}
		// A phrase may be broken over two lines, the second one a comment too.
		expression = strings.ReplaceAll(expression, " ", `[\s/*#-]+`)
		pattern, err := regexp.Compile(`(?i)\b(?:` + expression + `)\b`)
		if err != nil {
			return nil, fmt.Errorf("words.txt: %w", err)
		}
		words = append(words, word{pattern, instead})
	}
	return words, nil
}

// check returns a line for each word that a file below root has.
func check(root string, words []word, under []string) (found []string, err error) {
	err = repo.Files(root, func(name string) error {
		if slices.Contains(exempt, name) || !selected(name, under) || !slices.Contains(texts, path.Ext(name)) && name != ".ci/run" {
			return nil
		}
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		found = append(found, search(name, boundary.ReplaceAllString(string(source), "$1 $2"), words)...)
		return err
	})
	return found, err
}

// boundary is where a word of a name ends and the next one begins.
var boundary = regexp.MustCompile(`([a-z0-9])([A-Z])`)

func selected(name string, under []string) bool {
	return len(under) == 0 || slices.ContainsFunc(under, func(dir string) bool {
		dir = path.Clean(strings.TrimSuffix(dir, "/..."))
		return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
	})
}

// search returns a line for each word in the text of a file.
func search(name, text string, words []word) []string {
	var found []string
	for _, w := range words {
		for _, at := range w.pattern.FindAllStringIndex(text, -1) {
			line := 1 + strings.Count(text[:at[0]], "\n")
			found = append(found, fmt.Sprintf("%s:%d: %q: write %s", name, line, text[at[0]:at[1]], w.instead))
		}
	}
	return found
}
