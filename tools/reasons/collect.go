// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/gatehouse-go/gatehouse/tools/internal/repo"
)

const corePackage = "gatehouse"

// reason is one constant.
type reason struct{ pkg, name, value, meaning, status, operator, at string }

// pkg is one directory.
type pkg struct {
	dir, name string
	files     []*ast.File
	codes     map[string]string // the status of each code variable
	reasons   map[string]*reason
}

type collector struct {
	set      *token.FileSet
	root     string
	packages map[string]*pkg // by directory
	errs     []error
}

// outside matches the directories that are no part of the library.
var outside = regexp.MustCompile(`^(tools|bench|examples|interop)/`)

// collect parses the packages below root, without tests, and checks the rules.
func collect(root string) ([]*reason, error) {
	c := &collector{set: token.NewFileSet(), root: root, packages: make(map[string]*pkg)}
	if err := repo.Files(root, c.parse); err != nil {
		return nil, err
	}
	dirs := slices.Sorted(maps.Keys(c.packages))
	for _, dir := range dirs {
		c.declarations(c.packages[dir])
	}
	var reasons []*reason
	for _, dir := range dirs {
		c.check(c.packages[dir])
		reasons = slices.AppendSeq(reasons, maps.Values(c.packages[dir].reasons))
	}
	slices.SortFunc(reasons, func(a, b *reason) int {
		// The core package first.
		core := cmp.Compare(strings.Count(b.pkg, corePackage), strings.Count(a.pkg, corePackage))
		return cmp.Or(core, strings.Compare(a.pkg, b.pkg), strings.Compare(a.value, b.value))
	})
	seen := make(map[string]*reason)
	for _, r := range reasons {
		if other := seen[r.value]; other != nil {
			c.errs = append(c.errs, fmt.Errorf("%s: %q is also the value of %s.%s", r.at, r.value, other.pkg, other.name))
		}
		seen[r.value] = r
	}
	slices.SortFunc(c.errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return reasons, errors.Join(c.errs...)
}

func (c *collector) parse(name string) error {
	if !repo.IsSource(name) || outside.MatchString(name) {
		return nil
	}
	file, err := parser.ParseFile(c.set, filepath.Join(c.root, filepath.FromSlash(name)), nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir := path.Dir(name)
	if c.packages[dir] == nil {
		c.packages[dir] = &pkg{dir: dir, name: file.Name.Name, codes: make(map[string]string), reasons: make(map[string]*reason)}
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

// is reports whether x names a declaration of the core package, as seen from p.
func is(p *pkg, x ast.Expr, name string) bool {
	if selector, ok := x.(*ast.SelectorExpr); ok {
		from, ok := selector.X.(*ast.Ident)
		return ok && from.Name == corePackage && selector.Sel.Name == name
	}
	ident, ok := x.(*ast.Ident)
	return ok && p.dir == "." && ident.Name == name
}

// declarations finds the reasons and codes that a package declares.
func (c *collector) declarations(p *pkg) {
	for _, file := range p.files {
		for _, decl := range file.Decls {
			decl, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range decl.Specs {
				value, ok := spec.(*ast.ValueSpec)
				switch {
				case ok && decl.Tok == token.CONST && is(p, value.Type, "Reason"):
					c.reason(p, decl, value)
				case ok && decl.Tok == token.VAR:
					for i, x := range value.Values {
						if call, ok := x.(*ast.CallExpr); ok && is(p, call.Fun, "NewCode") && len(call.Args) > 0 {
							p.codes[value.Names[i].Name] = statusOf(call.Args[0])
						}
					}
				}
			}
		}
	}
}

var (
	comment = regexp.MustCompile(`^(\w+): (.+?)\. Status: (none|\d{3}(?:, \d{3})*)\. Operator: (.+)\.$`)
	snake   = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
)

func (c *collector) reason(p *pkg, decl *ast.GenDecl, spec *ast.ValueSpec) {
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
	if !snake.MatchString(r.value) {
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
		c.fail(spec, "%s: the comment is not of the form: %s: MEANING. Status: 401, 403. Operator: WHAT TO DO.", r.name, r.name)
		return
	}
	r.meaning, r.status, r.operator = m[2], m[3], m[4]
}

// statusOf returns the status that the first argument of NewCode names.
func statusOf(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.BasicLit:
		return x.Value
	case *ast.SelectorExpr:
		return statuses[x.Sel.Name]
	}
	return ""
}

// statuses are the names of package net/http that codes have.
var statuses = map[string]string{
	"StatusBadRequest": "400", "StatusUnauthorized": "401", "StatusForbidden": "403", "StatusNotFound": "404",
	"StatusMethodNotAllowed": "405", "StatusTooManyRequests": "429", "StatusServiceUnavailable": "503",
}
