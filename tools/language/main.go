// SPDX-License-Identifier: Apache-2.0

// Language reports words that the project does not use, because a reader could
// not search for them or would have to guess what they stand for. The list, with
// what to write instead, is words.txt.
//
//	GOWORK=off go -C tools run ./language -C .. [PATH...]
//
// Checked are the comments, string literals and declared names of Go files, and
// the whole text of documents, migrations, scripts and pages. With paths, only
// files at or below them. The exit status is 1 if a word is found.
package main

import (
	_ "embed"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
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

// texts are the extensions of the files that are read as a whole.
var texts = []string{".md", ".sql", ".lua", ".js", ".mjs", ".html", ".css", ".svg", ".yml", ".txt", ".sh"}

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
		if slices.Contains(exempt, name) || !selected(name, under) {
			return nil
		}
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		switch ext := path.Ext(name); {
		case err != nil:
			return err
		case ext == ".go":
			lines, err := checkGo(name, source, words)
			found = append(found, lines...)
			return err
		case slices.Contains(texts, ext), name == ".ci/run":
			found = append(found, search(name, string(source), 1, words)...)
		}
		return nil
	})
	return found, err
}

func selected(name string, under []string) bool {
	return len(under) == 0 || slices.ContainsFunc(under, func(dir string) bool {
		dir = path.Clean(strings.TrimSuffix(dir, "/..."))
		return dir == "." || name == dir || strings.HasPrefix(name, dir+"/")
	})
}

// search returns a line for each word in text, whose first line has the number.
func search(name, text string, number int, words []word) []string {
	var found []string
	for _, w := range words {
		for _, at := range w.pattern.FindAllStringIndex(text, -1) {
			line := number + strings.Count(text[:at[0]], "\n")
			found = append(found, fmt.Sprintf("%s:%d: %q: write %s", name, line, text[at[0]:at[1]], w.instead))
		}
	}
	return found
}

// checkGo searches what people read in a Go file: comments, string literals, and
// the names that it declares, word by word.
func checkGo(name string, source []byte, words []word) ([]string, error) {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []string
	add := func(at token.Pos, text string) {
		found = append(found, search(name, text, set.Position(at).Line, words)...)
	}
	for _, group := range file.Comments {
		lines := make([]string, len(group.List))
		for i, comment := range group.List {
			lines[i] = comment.Text
		}
		add(group.Pos(), strings.Join(lines, "\n"))
	}
	ast.Inspect(file, func(n ast.Node) bool {
		var names []*ast.Ident
		switch n := n.(type) {
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				add(n.Pos(), n.Value)
			}
		case *ast.FuncDecl:
			names = []*ast.Ident{n.Name}
		case *ast.TypeSpec:
			names = []*ast.Ident{n.Name}
		case *ast.ValueSpec:
			names = n.Names
		case *ast.Field:
			names = n.Names
		}
		for _, ident := range names {
			add(ident.Pos(), split(ident.Name))
		}
		return true
	})
	return found, nil
}

var boundary = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// split puts a space between the words of a name.
func split(name string) string {
	return boundary.ReplaceAllString(strings.ReplaceAll(name, "_", " "), "$1 $2")
}
