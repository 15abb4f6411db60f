// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
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
)

const corePackage = "gatehouse"

// reason is one constant.
type reason struct {
	pkg, name, value  string
	meaning, operator string
	statuses          []int    // sorted
	stated            bool     // by the comment
	unknown           []string // uses from which no status follows
	at                string
}

// pkg is one directory.
type pkg struct {
	dir, name string
	files     []*ast.File
	codes     map[string]int     // the status of each code variable
	reasons   map[string]*reason // by the name of the constant
}

type collector struct {
	set      *token.FileSet
	root     string
	packages map[string]*pkg // by directory
	errs     []error
}

// collect parses the packages below root, without tests, and checks the rules.
func collect(root string) ([]*reason, error) {
	c := &collector{set: token.NewFileSet(), root: root, packages: make(map[string]*pkg)}
	if err := fs.WalkDir(os.DirFS(root), ".", c.visit); err != nil {
		return nil, err
	}
	dirs := slices.Sorted(maps.Keys(c.packages))
	for _, dir := range dirs {
		c.declare(c.packages[dir])
	}
	var reasons []*reason
	byValue := make(map[string]*reason)
	for _, dir := range dirs {
		p := c.packages[dir]
		c.hold(p)
		c.derive(p)
		for _, r := range p.reasons {
			reasons = append(reasons, r)
		}
	}
	byPackage(reasons)
	for _, r := range reasons {
		if other := byValue[r.value]; other != nil {
			c.errs = append(c.errs, fmt.Errorf("%s: %q is also the value of %s.%s", r.at, r.value, other.pkg, other.name))
		}
		byValue[r.value] = r
		switch {
		case r.stated:
		case len(r.unknown) > 0:
			c.errs = append(c.errs, fmt.Errorf("%s: %s: no status follows from its use in %s; name it in the comment before the operator: Status: 401. or Status: none.", r.at, r.name, r.unknown[0]))
		case len(r.statuses) == 0:
			c.errs = append(c.errs, fmt.Errorf("%s: %s: is not used with a code; name the status in the comment before the operator: Status: 401. or Status: none.", r.at, r.name))
		}
		slices.Sort(r.statuses)
	}
	slices.SortFunc(c.errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return reasons, errors.Join(c.errs...)
}

// outside are the directories that are no part of the library.
var outside = []string{"tools", "bench", "examples", "interop"}

func (c *collector) visit(name string, entry fs.DirEntry, err error) error {
	switch {
	case err != nil:
		return err
	case entry.IsDir() && name != "." && (entry.Name()[0] == '.' || entry.Name() == "node_modules" || entry.Name() == "testdata" || slices.Contains(outside, name)):
		return fs.SkipDir
	case entry.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go"):
		return nil
	}
	file, err := parser.ParseFile(c.set, filepath.Join(c.root, filepath.FromSlash(name)), nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	if c.packages[dir] == nil {
		c.packages[dir] = &pkg{dir: dir, name: file.Name.Name, codes: make(map[string]int), reasons: make(map[string]*reason)}
	}
	c.packages[dir].files = append(c.packages[dir].files, file)
	return nil
}

func (c *collector) at(n ast.Node) string {
	p := c.set.Position(n.Pos())
	name, err := filepath.Rel(c.root, p.Filename)
	if err != nil {
		name = p.Filename
	}
	return filepath.ToSlash(name) + ":" + strconv.Itoa(p.Line)
}

func (c *collector) fail(n ast.Node, format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("%s: "+format, append([]any{c.at(n)}, args...)...))
}

// is reports whether x is the name of the core package, as seen from p.
func is(p *pkg, x ast.Expr, name string) bool {
	if selector, ok := x.(*ast.SelectorExpr); ok {
		from, ok := selector.X.(*ast.Ident)
		return ok && from.Name == corePackage && selector.Sel.Name == name
	}
	ident, ok := x.(*ast.Ident)
	return ok && p.dir == "." && ident.Name == name
}

// declare finds the reasons and codes that a package declares.
func (c *collector) declare(p *pkg) {
	for _, file := range p.files {
		for _, decl := range file.Decls {
			decl, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range decl.Specs {
				value, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				switch {
				case decl.Tok == token.CONST && is(p, value.Type, "Reason"):
					c.declareReason(p, decl, value)
				case decl.Tok == token.VAR:
					c.declareCodes(p, value)
				}
			}
		}
	}
}

var comment = regexp.MustCompile(`^(\w+): (.+?)\.(?: Status: (none|[0-9, ]+)\.)? Operator: (.+)\.$`)

func (c *collector) declareReason(p *pkg, decl *ast.GenDecl, spec *ast.ValueSpec) {
	if len(spec.Names) != 1 || len(spec.Values) != 1 {
		c.fail(spec, "a reason needs a declaration and a comment of its own")
		return
	}
	r := &reason{pkg: p.name, name: spec.Names[0].Name, at: c.at(spec)}
	p.reasons[r.name] = r
	literal, ok := spec.Values[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		c.fail(spec, "%s: the value is not a string literal", r.name)
		return
	}
	r.value, _ = strconv.Unquote(literal.Value)
	if !regexp.MustCompile(`^[a-z]+(_[a-z0-9]+)*$`).MatchString(r.value) {
		c.fail(spec, "%s: %q is not lower-case words joined by underscores", r.name, r.value)
	}
	if p.dir != "." && !strings.HasPrefix(r.value, p.name+"_") {
		c.fail(spec, "%s: %q does not begin with %q", r.name, r.value, p.name+"_")
	}
	doc := spec.Doc
	if doc == nil && !decl.Lparen.IsValid() {
		doc = decl.Doc
	}
	m := comment.FindStringSubmatch(strings.Join(strings.Fields(doc.Text()), " "))
	if m == nil || m[1] != r.name {
		c.fail(spec, "%s: the comment is not of the form: %s: MEANING. Operator: WHAT TO DO.", r.name, r.name)
		return
	}
	r.meaning, r.operator = m[2], m[4]
	for _, text := range strings.FieldsFunc(m[3], func(c rune) bool { return c < '0' || c > '9' }) {
		status, _ := strconv.Atoi(text)
		r.statuses = append(r.statuses, status)
	}
	r.stated = m[3] != ""
}

func (c *collector) declareCodes(p *pkg, spec *ast.ValueSpec) {
	for i, value := range spec.Values {
		call, ok := value.(*ast.CallExpr)
		if !ok || !is(p, call.Fun, "NewCode") {
			continue
		}
		if len(call.Args) > 0 {
			p.codes[spec.Names[i].Name] = statusOf(call.Args[0])
		}
	}
}

// statusOf returns the status that an expression names.
func statusOf(x ast.Expr) int {
	switch x := x.(type) {
	case *ast.BasicLit:
		status, _ := strconv.Atoi(x.Value)
		return status
	case *ast.SelectorExpr:
		return statuses[x.Sel.Name]
	}
	return 0
}

// statuses are the names of package net/http that codes may have.
var statuses = map[string]int{
	"StatusBadRequest": 400, "StatusUnauthorized": 401, "StatusPaymentRequired": 402, "StatusForbidden": 403, "StatusNotFound": 404,
	"StatusMethodNotAllowed": 405, "StatusConflict": 409, "StatusRequestEntityTooLarge": 413, "StatusUnsupportedMediaType": 415,
	"StatusUnprocessableEntity": 422, "StatusTooManyRequests": 429, "StatusServiceUnavailable": 503,
}
