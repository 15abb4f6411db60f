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

// This file holds the house: what may stand where, and what may lean on what.
// To change a rule, change it here, with a decision in docs/decisions.

const modulePath = "github.com/gatehouse-go/gatehouse"

// rooms are the packages of the core, and what else of it each may import
// beside the hall and internal packages. Every room X may have a package
// X/Xtest, which may import X, and internal packages of its own.
var rooms = map[string][]string{
	"jwtauth":        nil,
	"apikey":         nil,
	"mtls":           nil,
	"dpop":           nil,
	"pkce":           nil,
	"cookie":         nil,
	"session":        {"cookie"},
	"oauth":          {"pkce", "cookie", "session", "jwtauth"},
	"scopes":         nil,
	"tenant":         nil,
	"audit":          nil,
	"agent":          {"jwtauth", "scopes"},
	"agent/tool":     {"agent", "audit"},
	"agent/model":    {"scopes", "tenant", "audit"},
	"agent/prompt":   {"scopes", "tenant", "audit"},
	"agent/budget":   {"scopes", "tenant", "audit"},
	"agent/upstream": {"scopes", "tenant", "audit"},
	"authtest":       nil,
}

// modules are the modules of the repository, and whether go.work has them.
var modules = map[string]bool{
	".": true, "store": true, "interop": true, "examples": true,
	"bench": false, "tools": false,
}

// requirements are the modules that the core may require directly.
var requirements = []string{
	"github.com/golang-jwt/jwt/v5",
	"github.com/MicahParks/keyfunc/v3",
	"github.com/MicahParks/jwkset",
	"golang.org/x/crypto",
	"golang.org/x/oauth2",
	"golang.org/x/time",
	"github.com/google/go-cmp", // in tests
}

// longFiles are the files that are longer than 300 lines, and why.
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

// isFixture reports whether the file is input of a test, and no part of the
// house.
func (s source) isFixture() bool { return slices.Contains(strings.Split(s.name, "/"), "testdata") }

func (s source) at(p token.Pos) string {
	return s.name + ":" + strconv.Itoa(s.set.Position(p).Line)
}

var all []source

// repository walks over all files that are ours.
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
	top, _, _ := strings.Cut(name, "/")
	if _, ok := modules[top]; ok {
		return top
	}
	return "."
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
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

// room returns the room to which a folder of the core belongs, and what it may
// import of the core. It is not ok if the house has no such place.
func room(dir string) (allowed []string, ok bool) {
	if allowed, ok := rooms[dir]; ok {
		return allowed, true
	}
	parent, name := path.Split(dir)
	parent = strings.TrimSuffix(parent, "/")
	if _, ok := rooms[parent]; ok && name == path.Base(parent)+"test" {
		return []string{parent}, true
	}
	owner, _, within := strings.Cut(dir+"/", "/internal/")
	if _, ok := rooms[owner]; ok && within {
		return nil, true
	}
	return nil, false
}

func isInternal(dir string) bool { return slices.Contains(strings.Split(dir, "/"), "internal") }

func TestHouseImports(t *testing.T) {
	for _, s := range sources(t) {
		if s.module != "." || s.isFixture() {
			continue
		}
		allowed, known := room(s.dir)
		if s.dir != "" && !isInternal(s.dir) && !known {
			t.Errorf("%s: the house has no room %s", s.name, s.dir)
		}
		for _, spec := range s.file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			within, ours := strings.CutPrefix(imported+"/", modulePath+"/")
			within = strings.TrimSuffix(within, "/")
			first, _, _ := strings.Cut(imported, "/")
			good := true
			switch {
			case imported == "C" || imported == "unsafe":
				good = s.isTest()
			case !ours && !strings.Contains(first, "."): // standard library
			case !ours && s.dir == "":
				good = false
			case !ours:
				good = slices.ContainsFunc(requirements, func(m string) bool { return imported == m || strings.HasPrefix(imported, m+"/") })
			case s.isTest(): // a test may look into any room
			case s.dir == "":
				good = within == "internal/safeurl"
			case within == "": // the hall
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

// Internal packages lean on nothing but the standard library and each other, so
// that the hall may use any of them.
func TestHouseInternal(t *testing.T) {
	for _, s := range sources(t) {
		if s.module != "." || !strings.HasPrefix(s.dir, "internal/") || s.isTest() {
			continue
		}
		for _, spec := range s.file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if first, _, _ := strings.Cut(imported, "/"); strings.Contains(first, ".") && !strings.HasPrefix(imported, modulePath+"/internal/") {
				t.Errorf("%s: imports %s", s.at(spec.Pos()), imported)
			}
		}
	}
}

func TestHouseModules(t *testing.T) {
	var found, listed []string
	repository(t, func(name string) {
		if path.Base(name) == "go.mod" {
			found = append(found, path.Dir(name))
		}
	})
	for _, dir := range found {
		if _, ok := modules[dir]; !ok {
			t.Errorf("%s/go.mod: the house has no such module", dir)
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
		if inWork := slices.Contains(listed, dir); inWork != modules[dir] {
			t.Errorf("%s: in go.work: %v, want %v", dir, inWork, modules[dir])
		}
		if !slices.Contains(found, dir) {
			t.Errorf("%s: has no go.mod", dir)
		}
	}
	if want := 4; len(listed) != want {
		t.Errorf("go.work names %q", listed)
	}
}

func TestHouseRequirements(t *testing.T) {
	line := regexp.MustCompile(`(?m)^(?:require|\t)\s*([^\s()]+\.[^\s()]+) v\S+(.*)$`)
	text := string(read(t, "go.mod"))
	if strings.Contains(text, "\nreplace ") || strings.Contains(text, "\nexclude ") {
		t.Error("go.mod: replaces or excludes a module, which means nothing to users")
	}
	for _, match := range line.FindAllStringSubmatch(text, -1) {
		if module := match[1]; !strings.Contains(match[2], "// indirect") && !slices.Contains(requirements, module) {
			t.Errorf("go.mod: requires %s", module)
		}
	}
	// The expression must see what there is to see.
	const sample = "require a.example/b v1.2.3\nrequire (\n\tc.example/d/v5 v5.0.0\n\te.example/f v0.0.0 // indirect\n)\n"
	if got := line.FindAllStringSubmatch(sample, -1); len(got) != 3 || got[1][1] != "c.example/d/v5" || got[2][2] != " // indirect" {
		t.Errorf("the sample reads as %q", got)
	}
}

func TestHouseFiles(t *testing.T) {
	const spdx = "// SPDX-License-Identifier: Apache-2.0\n\n"
	vague := regexp.MustCompile(`^(utils?|common|types|helpers?|misc|base|shared)$`)
	long := map[string]bool{}
	for _, s := range sources(t) {
		if !bytes.HasPrefix(s.text, []byte(spdx)) {
			t.Errorf("%s: does not begin with the licence and an empty line", s.name)
		}
		if lines := bytes.Count(s.text, []byte("\n")); lines > maxLines && !s.isTest() {
			long[s.name] = true
			if longFiles[s.name] == "" {
				t.Errorf("%s: %d lines; cut it, or say in longFiles why not", s.name, lines)
			}
		}
		for _, name := range append(strings.Split(s.dir, "/"), s.file.Name.Name, strings.TrimSuffix(path.Base(s.name), ".go")) {
			if vague.MatchString(name) {
				t.Errorf("%s: %s says nothing", s.name, name)
			}
		}
	}
	for name := range longFiles {
		if !long[name] {
			t.Errorf("longFiles: %s is not long", name)
		}
	}
}

// Every package for users says in its doc.go, and only there, what to call
// first, and shows it in an example that is tested.
func TestHouseDocs(t *testing.T) {
	type docs struct{ doc, example bool }
	packages := map[string]docs{}
	for _, s := range sources(t) {
		if s.module != "." && s.module != "store" || isInternal(s.dir) || s.isFixture() || s.file.Name.Name == "main" {
			continue
		}
		p := packages[s.dir]
		switch base := path.Base(s.name); {
		case base == "doc.go" && s.file.Doc != nil:
			p.doc = true
		case base == "example_test.go":
			p.example = true
		case s.file.Doc != nil && !s.isTest():
			t.Errorf("%s: the package is described in doc.go", s.name)
		}
		packages[s.dir] = p
	}
	for _, dir := range slices.Sorted(maps.Keys(packages)) {
		if !packages[dir].doc {
			t.Errorf("./%s: has no doc.go that describes it", dir)
		}
		if !packages[dir].example {
			t.Errorf("./%s: has no example_test.go", dir)
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

// What weakens the house has a name that says so, and a row in SECURITY.md.
func TestHouseNames(t *testing.T) {
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
				t.Errorf("%s: %s is no name of this house", s.at(ident.Pos()), ident.Name)
			}
		}
	}
}

// A sleep is a guess about how long something takes. In a bubble of
// testing/synctest it is none: there it moves the clock.
func TestHouseNeverSleeps(t *testing.T) {
	for _, s := range sources(t) {
		for _, decl := range s.file.Decls {
			var sleeps []token.Pos
			bubble := false
			ast.Inspect(decl, func(n ast.Node) bool {
				if selector, ok := n.(*ast.SelectorExpr); ok {
					from, _ := selector.X.(*ast.Ident)
					if from != nil && from.Name == "time" && selector.Sel.Name == "Sleep" {
						sleeps = append(sleeps, n.Pos())
					}
					bubble = bubble || from != nil && from.Name == "synctest"
				}
				return true
			})
			for _, at := range sleeps {
				if !bubble {
					t.Errorf("%s: sleeps", s.at(at))
				}
			}
		}
	}
}

// What is left to do is an issue, not a comment.
func TestHouseIsFinished(t *testing.T) {
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
