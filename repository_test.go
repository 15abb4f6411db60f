// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// This file tests the structure of the repository: which packages there are, and
// which may import which. To change a rule, change it here, with a decision in
// docs/decisions.

const modulePath = "github.com/gatehouse-go/gatehouse"

// imports are the packages of the core module, and what each may import of it
// beside the core package and internal packages. Every package X may have a
// package X/Xtest, which may import X, and internal packages of its own.
var imports = map[string][]string{
	"jwtauth":        nil,
	"providers":      {"jwtauth"},
	"refresh":        {"jwtauth"},
	"revocation":     {"jwtauth"},
	"apikey":         nil,
	"oauth":          {"jwtauth", "pkce", "dpop"},
	"session":        {"cookie"},
	"signin":         {"oauth", "session", "cookie", "dpop"},
	"cookie":         nil,
	"pkce":           nil,
	"mtls":           nil,
	"dpop":           nil,
	"assertion":      {"jwtauth"},
	"spiffe":         {"jwtauth"},
	"scopes":         nil,
	"stepup":         nil,
	"tenant":         nil,
	"audit":          nil,
	"agent":          {"jwtauth", "scopes", "assertion", "spiffe", "dpop", "mtls"},
	"agent/tool":     {"agent", "agent/approval", "scopes"},
	"agent/approval": nil,
	"agent/model":    {"scopes", "tenant"},
	"agent/prompt":   {"scopes", "tenant"},
	"agent/upstream": {"cookie"},
	"agent/budget":   {"agent/model", "scopes", "tenant"},
	"authtest":       nil,

	"cmd/gatehouse-audit": {"audit"},
}

// sharedWithCore are internal packages that import the core package or others of
// the module: the one type of several packages, and kits of tests.
var sharedWithCore = []string{"internal/tokens", "internal/providertest", "internal/contract", "adapter/internal/rpctest", "adapter/internal/agentkit", "adapter/internal/webkit"}

// modules are the modules of the repository, and whether go.work has them.
var modules = map[string]bool{
	".": true, "store": true, "interop": true, "interop/llm": false, "examples": true, "bench": false, "tools": false,
	"examples/frameworks": false, "examples/migration": false,
	"adapter/a2a": true, "adapter/connect": true, "adapter/echo": true, "adapter/gin": false, "adapter/grpc": true, "adapter/mcp": true,
	"adapter/otel":    true,
	"adapter/tessera": true,
}

// requirements are the modules that the core module requires directly.
var requirements = []string{
	"github.com/golang-jwt/jwt/v5",
	"github.com/MicahParks/keyfunc/v3",
	"github.com/MicahParks/jwkset",
	"golang.org/x/crypto",
	"golang.org/x/mod",
	"golang.org/x/oauth2",
	"github.com/google/go-cmp", // in tests
}

// longFiles are the files of the library that are longer than 300 lines, and why.
var longFiles = map[string]string{}

const maxLines = 300

// source is one Go file.
type source struct {
	name   string // slash-separated, from the root of the repository
	dir    string // of name, "" for the root
	module string
	text   []byte
	file   *ast.File
	set    *token.FileSet
}

func (s source) isTest() bool { return strings.HasSuffix(s.name, "_test.go") }

// isFixture reports whether the file is input of a test.
func (s source) isFixture() bool { return slices.Contains(strings.Split(s.name, "/"), "testdata") }

func (s source) at(p token.Pos) string {
	return s.name + ":" + strconv.Itoa(s.set.Position(p).Line)
}

var all []source

// repository visits all files of the repository.
func repository(t *testing.T, visit func(name string)) {
	t.Helper()
	foreign := []string{".git", ".bin", "node_modules", "artifacts"}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains(foreign, entry.Name()):
			return fs.SkipDir
		case entry.Type().IsRegular():
			visit(filepath.ToSlash(name))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func moduleOf(name string) string {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, ok := modules[dir]; ok {
			return dir
		}
	}
	return "."
}

// isLibrary reports whether the module is for users to import.
func (s source) isLibrary() bool {
	return s.module == "." || s.module == "store" || strings.HasPrefix(s.module, "adapter/")
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text := must(os.ReadFile(filepath.FromSlash(name)))
	return text
}

// sources returns all Go files. They are read once.
func sources(t *testing.T) []source {
	t.Helper()
	if len(all) > 0 {
		return all
	}
	set := token.NewFileSet()
	repository(t, func(name string) {
		if path.Ext(name) != ".go" {
			return
		}
		s := source{name: name, dir: strings.TrimPrefix(path.Dir(name), "."), module: moduleOf(name), text: read(t, name), set: set}
		var err error
		if s.file, err = parser.ParseFile(set, name, s.text, parser.ParseComments); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	})
	if len(all) < 40 {
		t.Fatalf("only %d Go files found", len(all))
	}
	return all
}

// importsOf returns what the package in a folder of the core module may import of
// it. It is not ok if there is no such package.
func importsOf(dir string) (allowed []string, ok bool) {
	if allowed, ok := imports[dir]; ok {
		return allowed, true
	}
	parent, name := path.Split(dir)
	parent = strings.TrimSuffix(parent, "/")
	if _, ok := imports[parent]; ok && name == path.Base(parent)+"test" {
		return []string{parent}, true
	}
	owner, _, within := strings.Cut(dir+"/", "/internal/")
	if _, ok := imports[owner]; ok && within {
		return nil, true
	}
	return nil, false
}

func isInternal(dir string) bool { return slices.Contains(strings.Split(dir, "/"), "internal") }

func TestImports(t *testing.T) {
	for _, s := range sources(t) {
		if s.module != "." || s.isFixture() || slices.Contains(sharedWithCore, s.dir) {
			continue
		}
		allowed, known := importsOf(s.dir)
		if s.dir != "" && !isInternal(s.dir) && !known {
			t.Errorf("%s: package %s is not in the list of imports", s.name, s.dir)
		}
		for _, spec := range s.file.Imports {
			imported := must(strconv.Unquote(spec.Path.Value))
			within, own := strings.CutPrefix(imported+"/", modulePath+"/")
			within = strings.TrimSuffix(within, "/")
			first, _, _ := strings.Cut(imported, "/")
			good := true
			switch {
			case imported == "C" || imported == "unsafe":
				good = s.isTest()
			case !own && !strings.Contains(first, "."): // standard library
			case !own && s.dir == "":
				good = s.isTest() && imported == "github.com/google/go-cmp/cmp"
			case !own && strings.HasPrefix(s.dir, "internal/"):
				good = s.isTest()
			case !own:
				good = slices.ContainsFunc(requirements, func(m string) bool { return imported == m || strings.HasPrefix(imported, m+"/") })
			case s.isTest(): // a test may import any package
			case s.dir == "" || strings.HasPrefix(s.dir, "internal/"): // the core package may use any of them
				good = strings.HasPrefix(within, "internal/")
			case within == "": // the core package
			case isInternal(within): // the go command knows who may
			default:
				good = slices.Contains(allowed, within)
			}
			if !good {
				t.Errorf("%s: imports %s", s.at(spec.Pos()), imported)
			}
		}
	}
}

func TestModules(t *testing.T) {
	var found, listed []string
	repository(t, func(name string) {
		if path.Base(name) == "go.mod" {
			found = append(found, path.Dir(name))
		}
	})
	for _, dir := range found {
		if _, ok := modules[dir]; !ok {
			t.Errorf("%s/go.mod: is not in the list of modules", dir)
		}
		want := path.Join(modulePath, dir)
		if text := read(t, path.Join(dir, "go.mod")); !regexp.MustCompile(`(?m)^module ` + regexp.QuoteMeta(want) + `$`).Match(text) {
			t.Errorf("%s/go.mod: the module is not %s", dir, want)
		} else if bytes.Contains(text, []byte("\ntoolchain ")) {
			t.Errorf("%s/go.mod: has a toolchain line", dir)
		}
	}
	for line := range strings.SplitSeq(string(read(t, "go.work")), "\n") {
		if dir, ok := strings.CutPrefix(strings.TrimSpace(line), "."); ok {
			listed = append(listed, path.Clean("./"+dir))
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(modules)) {
		equal(t, dir+": in go.work", slices.Contains(listed, dir), modules[dir])
		if !slices.Contains(found, dir) {
			t.Errorf("%s: has no go.mod", dir)
		}
	}
	equal(t, "modules of go.work", len(listed), len(slices.DeleteFunc(slices.Collect(maps.Values(modules)), func(in bool) bool { return !in })))
}

func TestRequirements(t *testing.T) {
	line := regexp.MustCompile(`(?m)^(?:require|\t)\s*([^\s()]+\.[^\s()]+) v\S+(.*)$`)
	text := string(read(t, "go.mod"))
	if strings.Contains(text, "\nreplace ") || strings.Contains(text, "\nexclude ") {
		t.Error("go.mod: replaces or excludes a module, which means nothing to users")
	}
	var direct []string
	for _, match := range line.FindAllStringSubmatch(text, -1) {
		if !strings.Contains(match[2], "// indirect") {
			direct = append(direct, match[1])
		}
	}
	want := slices.Sorted(slices.Values(requirements))
	if slices.Sort(direct); !slices.Equal(direct, want) {
		t.Errorf("go.mod requires %q, want %q", direct, want)
	}
	// The expression must find every form of a requirement.
	const sample = "require a.example/b v1.2.3\nrequire (\n\tc.example/d/v5 v5.0.0\n\te.example/f v0.0.0 // indirect\n)\n"
	if got := line.FindAllStringSubmatch(sample, -1); len(got) != 3 || got[1][1] != "c.example/d/v5" || got[2][2] != " // indirect" {
		t.Errorf("the sample reads as %q", got)
	}
}

func TestFiles(t *testing.T) {
	const spdx = "// SPDX-License-Identifier: Apache-2.0\n\n"
	vague := regexp.MustCompile(`^(utils?|common|types|helpers?|misc|base|shared)$`)
	long := map[string]bool{}
	for _, s := range sources(t) {
		if !bytes.HasPrefix(s.text, []byte(spdx)) {
			t.Errorf("%s: must begin with the SPDX line and an empty line", s.name)
		}
		if lines := bytes.Count(s.text, []byte("\n")); lines > maxLines && !s.isTest() && s.isLibrary() {
			long[s.name] = true
			if longFiles[s.name] == "" {
				t.Errorf("%s: %d lines: split it, or add it to longFiles with the reason", s.name, lines)
			}
		}
		for _, name := range append(strings.Split(s.dir, "/"), s.file.Name.Name, strings.TrimSuffix(path.Base(s.name), ".go")) {
			if vague.MatchString(name) {
				t.Errorf("%s: the name %s does not say what is in it", s.name, name)
			}
		}
	}
	for name := range longFiles {
		if !long[name] {
			t.Errorf("longFiles: %s is not long", name)
		}
	}
}

// Every public package has its documentation in one file, and a tested example.
func TestDocs(t *testing.T) {
	documented, example := map[string]int{}, map[string]bool{}
	for _, s := range sources(t) {
		if !s.isLibrary() || isInternal(s.dir) || s.isFixture() || s.file.Name.Name == "main" {
			continue
		}
		switch {
		case s.isTest():
			// What needs a *testing.T is shown by a test in example_test.go.
			example[s.dir] = example[s.dir] || path.Base(s.name) == "example_test.go" || bytes.Contains(s.text, []byte("\nfunc Example"))
		case s.file.Doc != nil:
			documented[s.dir]++
		default:
			documented[s.dir] += 0
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(documented)) {
		equal(t, "./"+dir+": files with package documentation", documented[dir], 1)
		if !example[dir] {
			t.Errorf("./%s: has no tested example", dir)
		}
	}
}

// exported returns the exported names that a file declares: of types, functions,
// methods, fields, constants and variables.
func (s source) exported() []*ast.Ident {
	var names []*ast.Ident
	add := func(idents ...*ast.Ident) {
		for _, ident := range idents {
			if ident.IsExported() {
				names = append(names, ident)
			}
		}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			add(n.Name)
			return false
		case *ast.TypeSpec:
			add(n.Name)
		case *ast.ValueSpec:
			add(n.Names...)
		case *ast.StructType:
			for _, field := range n.Fields.List {
				add(field.Names...)
			}
		case *ast.InterfaceType:
			for _, method := range n.Methods.List {
				add(method.Names...)
			}
		}
		return true
	})
	return names
}

// A setting that weakens the protection has a name that says so, and a row in
// SECURITY.md.
func TestNames(t *testing.T) {
	weakening := regexp.MustCompile(`^(Insecure|Allow|Unsafe)([A-Z0-9_]|$)`)
	banned := regexp.MustCompile(`^(Skip|Disable|Get|With)[A-Z0-9]`)
	security, _ := os.ReadFile("SECURITY.md") // absent, it names nothing
	for _, s := range sources(t) {
		if s.isTest() || s.isFixture() || s.module == "bench" || s.module == "tools" {
			continue
		}
		for _, ident := range s.exported() {
			if weakening.MatchString(ident.Name) && !regexp.MustCompile(`\b`+ident.Name+`\b`).Match(security) {
				t.Errorf("%s: SECURITY.md does not name %s", s.at(ident.Pos()), ident.Name)
			}
			if banned.MatchString(ident.Name) {
				t.Errorf("%s: %s: the prefixes Skip, Disable, Get and With are not used", s.at(ident.Pos()), ident.Name)
			}
		}
	}
}

// A sleep guesses how long something takes, and is allowed only in a bubble of
// testing/synctest, where it moves the clock. In tests that includes the wait for a timer
// outside of a select statement. A planted fault may be late.
func TestNoSleeps(t *testing.T) {
	type declaration struct {
		from   source
		node   ast.Decl
		bubble bool // it names synctest
	}
	packages := make(map[string]map[string][]declaration) // by directory and name
	for _, s := range sources(t) {
		directory := path.Dir(s.name)
		if packages[directory] == nil {
			packages[directory] = make(map[string][]declaration)
		}
		for _, decl := range s.file.Decls {
			name := ""
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				name = decl.Name.Name
				if decl.Recv != nil { // the type is named where its methods are called
					receiver := decl.Recv.List[0].Type
					if pointer, ok := receiver.(*ast.StarExpr); ok {
						receiver = pointer.X
					}
					if ident, ok := receiver.(*ast.Ident); ok {
						name = ident.Name
					}
				}
			case *ast.GenDecl:
				if v, ok := decl.Specs[0].(*ast.ValueSpec); ok { // a table
					name = v.Names[0].Name
				}
			}
			packages[directory][name] = append(packages[directory][name], declaration{s, decl, mentions(decl, "synctest")})
		}
	}
	for _, declarations := range packages {
		// A helper is in a bubble if every declaration that names it is.
		var bubble func(name string, seen []string) bool
		bubble = func(name string, seen []string) bool {
			found := false
			for other, all := range declarations {
				for _, d := range all {
					if other == name && d.bubble {
						return true
					}
					if name == "" || other == name || slices.Contains(seen, other) || !mentions(d.node, name) {
						continue
					}
					if !d.bubble && !bubble(other, append(seen, name)) {
						return false
					}
					found = true
				}
			}
			return found
		}
		for name, all := range declarations {
			for _, d := range all {
				late := strings.HasSuffix(d.from.name, "faulty_internal_test.go")
				for _, at := range sleeps(d.node, d.from.isTest() && !late) {
					if !d.bubble && !bubble(name, nil) {
						t.Errorf("%s: sleeps", d.from.at(at))
					}
				}
			}
		}
	}
}

// mentions reports whether a declaration has an identifier. The name of a function is
// not in its body.
func mentions(decl ast.Node, name string) (found bool) {
	if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.TYPE {
		return false
	}
	if f, ok := decl.(*ast.FuncDecl); ok {
		if f.Body == nil {
			return false
		}
		decl = f.Body
	}
	ast.Inspect(decl, func(n ast.Node) bool {
		ident, ok := n.(*ast.Ident)
		found = found || ok && ident.Name == name
		return !found
	})
	return found
}

// sleeps returns the calls of time.Sleep in a declaration and, if timers is set, the waits
// for timers.
func sleeps(decl ast.Decl, timers bool) (found []token.Pos) {
	selects := make(map[ast.Node]bool)
	ast.Inspect(decl, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CommClause:
			selects[n.Comm] = true
			if s, ok := n.Comm.(*ast.ExprStmt); ok {
				selects[s.X] = true
			}
		case *ast.SelectorExpr:
			from, _ := n.X.(*ast.Ident)
			if from != nil && from.Name == "time" && (n.Sel.Name == "Sleep" || timers && n.Sel.Name == "Tick") {
				found = append(found, n.Pos())
			}
		case *ast.UnaryExpr:
			if n.Op != token.ARROW || !timers || selects[n] {
				break
			}
			selector, _ := n.X.(*ast.SelectorExpr)
			if call, ok := n.X.(*ast.CallExpr); ok {
				selector, _ = call.Fun.(*ast.SelectorExpr)
			}
			if selector != nil && (selector.Sel.Name == "After" || selector.Sel.Name == "C") {
				found = append(found, n.Pos())
			}
		}
		return true
	})
	return found
}

// Unfinished work belongs into an issue, not into a comment.
func TestNoUnfinishedWork(t *testing.T) {
	words := []string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"}
	texts := []string{".go", ".md", ".yml", ".yaml", ".sh", ".sql", ".lua", ".js", ".mjs", ".html", ".mod", ".work"}
	part := func(c byte) bool { return c == '_' || unicode.IsLetter(rune(c)) || unicode.IsDigit(rune(c)) }
	repository(t, func(name string) {
		if !slices.Contains(texts, path.Ext(name)) && name != ".ci/run" {
			return
		}
		text := read(t, name)
		for _, word := range words {
			for at := 0; ; at += len(word) {
				n := bytes.Index(text[at:], []byte(word))
				if n < 0 {
					break
				}
				at += n
				end := at + len(word)
				if at > 0 && part(text[at-1]) || end < len(text) && part(text[end]) {
					continue // within a longer word
				}
				t.Errorf("%s:%d: %s", name, 1+bytes.Count(text[:at], []byte("\n")), word)
			}
		}
	})
}

// The core package is closed for change: it knows no scheme, header or package
// beside what RFC 9110 and RFC 6750 define for every resource server.
func TestCoreKnowsNoCredential(t *testing.T) {
	names := regexp.MustCompile(`(?i)^"(apikey|x-api-key|dpop|client-cert|jkt|x5t#s256)"$`)
	for _, s := range sources(t) {
		if s.dir != "" || s.isTest() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && names.MatchString(literal.Value) {
				t.Errorf("%s: the core package names %s", s.at(n.Pos()), literal.Value)
			}
			return true
		})
	}
}
