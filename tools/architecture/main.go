// SPDX-License-Identifier: Apache-2.0

// Architecture draws docs/packages.svg: the packages of the core module, one row
// above those that they import, with arrows for imports. An import that follows from
// two others has no arrow, and neither has that of the core package.
//
//	GOWORK=off go -C tools run ./architecture -C ..
//
// Internal packages, test kits and tests are left out. With -check nothing is
// written, and a difference is an error.
package main

import (
	"errors"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

const picture = "docs/packages.svg"

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("architecture", flag.ContinueOnError)
	flags.SetOutput(stderr)
	root := flags.String("C", ".", "the root of the repository")
	check := flags.Bool("check", false, "report a difference instead of writing")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	packages, err := load(*root)
	if err != nil {
		fmt.Fprintln(stderr, "architecture:", err)
		return 1
	}
	name, text := filepath.Join(*root, filepath.FromSlash(picture)), draw(packages)
	if *check {
		if old, err := os.ReadFile(name); err != nil || string(old) != text {
			fmt.Fprintf(stderr, "%s: out of date; run: GOWORK=off go -C tools run ./architecture -C ..\n", picture)
			return 1
		}
	} else if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		fmt.Fprintln(stderr, "architecture:", err)
		return 1
	}
	fmt.Fprintf(stdout, "architecture: %d packages\n", len(packages))
	return 0
}

// pkg is a package of the core module beside the core package.
type pkg struct {
	name    string // its directory
	imports []string
	row     int // 0 if it imports the core package only
}

// outside are the directories of other modules, and those that are not drawn.
var outside = regexp.MustCompile(`^(\..+|docs|tools|bench|examples|interop|store|adapter|node_modules|testdata|internal|[a-z]+test)$`)

// load parses the imports of the packages.
func load(root string) (map[string]*pkg, error) {
	module, err := modulePath(root)
	if err != nil {
		return nil, err
	}
	packages := make(map[string]*pkg)
	err = fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && outside.MatchString(entry.Name()) && entry.Name() != "authtest":
			return fs.SkipDir
		case entry.IsDir(), path.Ext(name) != ".go", strings.HasSuffix(name, "_test.go"), path.Dir(name) == ".":
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, filepath.FromSlash(name)), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		p := packages[dir]
		if p == nil {
			p = &pkg{name: dir, row: -1}
			packages[dir] = p
		}
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			within, ok := strings.CutPrefix(imported, module+"/")
			if ok && !strings.Contains("/"+within+"/", "/internal/") && !slices.Contains(p.imports, within) {
				p.imports = append(p.imports, within)
			}
		}
		return nil
	})
	if err == nil && len(packages) == 0 {
		err = errors.New("no packages")
	}
	for _, p := range packages {
		slices.Sort(p.imports)
		setRow(packages, p)
	}
	return packages, err
}

func modulePath(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", err
	}
	m := regexp.MustCompile(`(?m)^module (\S+)$`).FindSubmatch(text)
	if m == nil {
		return "", errors.New("go.mod: no module line")
	}
	return string(m[1]), nil
}

// setRow puts a package above all that it imports. Imports have no cycles.
func setRow(packages map[string]*pkg, p *pkg) int {
	if p.row < 0 {
		p.row = 0
		for _, name := range p.imports {
			if imported := packages[name]; imported != nil {
				p.row = max(p.row, setRow(packages, imported)+1)
			}
		}
	}
	return p.row
}
