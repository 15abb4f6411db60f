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
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
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
	found, err := check(os.DirFS(*root), words, flags.Args())
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

// check returns a line for each word that a file of the tree has.
func check(tree fs.FS, words []word, under []string) ([]string, error) {
	var found []string
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && (entry.Name() != ".ci" && entry.Name()[0] == '.' || entry.Name() == "node_modules"):
			return fs.SkipDir
		case entry.IsDir(), !selected(name, under), slices.Contains(exempt, name):
			return nil
		case path.Ext(name) == ".go":
			lines, err := checkGo(tree, name, words)
			found = append(found, lines...)
			return err
		case slices.Contains(texts, path.Ext(name)), name == ".ci/run":
			text, err := fs.ReadFile(tree, name)
			found = append(found, search(name, string(text), 1, words)...)
			return err
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
func checkGo(tree fs.FS, name string, words []word) ([]string, error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		if strings.Contains(name, "testdata/") {
			return nil, nil // input of a test that need not be Go
		}
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
	names := make(map[token.Pos]bool)
	declare := func(ident *ast.Ident) {
		if ident != nil && !names[ident.Pos()] {
			names[ident.Pos()] = true
			add(ident.Pos(), split(ident.Name))
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				add(n.Pos(), n.Value)
			}
		case *ast.FuncDecl:
			declare(n.Name)
		case *ast.TypeSpec:
			declare(n.Name)
		case *ast.ValueSpec:
			for _, ident := range n.Names {
				declare(ident)
			}
		case *ast.Field:
			for _, ident := range n.Names {
				declare(ident)
			}
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
