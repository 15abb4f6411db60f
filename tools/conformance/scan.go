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

// requirement is one row of a page.
type requirement struct {
	key
	more, text  string
	code, tests []place
}

// place is a declaration, or a test and perhaps a case of it.
type place struct{ file, name, sub string }

func (p place) String() string { return p.file + ": " + p.name }

type scanner struct {
	known  map[string]bool // the names of the standards
	stated map[key]bool    // the requirements whose text is in their files
	set    *token.FileSet
	found  map[key]*requirement
	tested map[key][]place
	errs   []error
}

// scan reads the comments of all Go files below root.
func scan(root string, standards []standard) ([]*requirement, error) {
	s := &scanner{
		known: make(map[string]bool), stated: make(map[key]bool), set: token.NewFileSet(),
		found: make(map[key]*requirement), tested: make(map[key][]place),
	}
	for _, standard := range standards {
		s.known[standard.name] = true
		for _, t := range standard.texts {
			s.stated[t.key] = true
			s.found[t.key] = &requirement{key: t.key, more: t.more, text: t.text}
		}
	}
	err := repo.Files(root, func(name string) error {
		if path.Ext(name) != ".go" || proofs.MatchString(name) || peers.MatchString(name) && repo.IsSource(name) {
			return nil
		}
		file, err := parser.ParseFile(s.set, filepath.Join(root, filepath.FromSlash(name)), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err == nil {
			s.file(name, file)
		}
		return err
	})
	return s.join(), errors.Join(append(s.errs, err)...)
}

// The comments of tools, benchmarks, test kits and test peers quote what other
// code obeys, or what is attacked.
var (
	proofs = regexp.MustCompile(`^tools/|^bench/|(^|/)[a-z]*test/`)
	peers  = regexp.MustCompile(`^interop/`)
)

func (s *scanner) fail(file string, at token.Pos, format string, args ...any) {
	s.errs = append(s.errs, fmt.Errorf("%s:%d: "+format, append([]any{file, s.set.Position(at).Line}, args...)...))
}

func (s *scanner) file(name string, file *ast.File) {
	test := strings.HasSuffix(name, "_test.go")
	for _, group := range file.Comments {
		lines := make([]string, len(group.List))
		for i, comment := range group.List {
			lines[i] = comment.Text
		}
		if test {
			s.test(name, file, group, lines)
			continue
		}
		for _, q := range quotes(lines) {
			s.quote(name, file, group, q)
		}
		keys, err := cited("Implements", lines)
		if err != nil {
			s.fail(name, group.Pos(), "%w", err)
		}
		for _, k := range keys {
			if !s.stated[k] {
				s.fail(name, group.Pos(), "%s is not stated in tools/conformance/standards", k)
				continue
			}
			s.implemented(s.found[k], name, file, group)
		}
	}
}

// quote records a requirement that a comment quotes. Where the file of the
// standard has a text, that one counts.
func (s *scanner) quote(name string, file *ast.File, group *ast.CommentGroup, q quoted) {
	at := group.List[q.line].Pos()
	r := s.found[q.key]
	switch {
	case !s.known[q.standard]:
		s.fail(name, at, "%s has no file in tools/conformance/standards", q.standard)
		return
	case r == nil:
		r = &requirement{key: q.key, more: q.more, text: q.text}
		s.found[q.key] = r
	case !s.stated[q.key] && r.text != q.text:
		s.fail(name, at, "%s has another text at %s; give each a label: %s (label): …", q.key, r.code[0], q.key)
	}
	s.implemented(r, name, file, group)
}

func (s *scanner) implemented(r *requirement, name string, file *ast.File, group *ast.CommentGroup) {
	if p := (place{name, declaration(file, group), ""}); !slices.Contains(r.code, p) {
		r.code = append(r.code, p)
	}
}

var testName = regexp.MustCompile(`^(Test|Fuzz|Example)($|[^\p{Ll}])`)

// test records what the comment of a test covers.
func (s *scanner) test(name string, file *ast.File, group *ast.CommentGroup, lines []string) {
	keys, err := cited("Covers", lines)
	if err != nil {
		s.fail(name, group.Pos(), "%w", err)
		return
	}
	if len(keys) == 0 {
		return
	}
	fn := function(file, group)
	if fn == nil || fn.Recv != nil || !testName.MatchString(fn.Name.Name) {
		s.fail(name, group.Pos(), "Covers is not in the comment of a test, and not in a test")
		return
	}
	p := place{name, fn.Name.Name, ""}
	if fn.Doc != group {
		p.sub = s.row(fn, group)
	}
	for _, k := range keys {
		if !slices.Contains(s.tested[k], p) {
			s.tested[k] = append(s.tested[k], p)
		}
	}
}

// row returns the first string on the line of the comment, or else on the line
// after it.
func (s *scanner) row(fn *ast.FuncDecl, group *ast.CommentGroup) string {
	own, next := "", ""
	first, last := s.set.Position(group.Pos()).Line, s.set.Position(group.End()).Line
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			text, err := strconv.Unquote(lit.Value)
			switch line := s.set.Position(lit.Pos()).Line; {
			case err != nil:
			case line == first && own == "":
				own = text
			case line == last+1 && next == "":
				next = text
			}
		}
		return true
	})
	return cmp.Or(own, next)
}

// join puts the tests to the requirements and reports what does not match.
func (s *scanner) join() []*requirement {
	for _, k := range slices.SortedFunc(maps.Keys(s.tested), compareKeys) {
		if s.found[k] == nil {
			for _, p := range s.tested[k] {
				s.errs = append(s.errs, fmt.Errorf("%s: covers %s, which is neither quoted nor stated", p, k))
			}
			continue
		}
		s.found[k].tests = s.tested[k]
	}
	rows := slices.SortedFunc(maps.Values(s.found), func(a, b *requirement) int { return compareKeys(a.key, b.key) })
	for _, r := range rows {
		if len(r.code) == 0 {
			s.errs = append(s.errs, fmt.Errorf("%s: no comment in the code implements it", r.key))
		}
		if len(r.tests) == 0 {
			s.errs = append(s.errs, fmt.Errorf("%s: no test covers it", r.key))
		}
	}
	return rows
}

// compareKeys orders sections by their numbers.
func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.standard, b.standard), compareSections(a.section, b.section), cmp.Compare(a.label, b.label))
}

var digits = regexp.MustCompile(`\d+|\D+`)

func compareSections(a, b string) int {
	return slices.CompareFunc(digits.FindAllString(a, -1), digits.FindAllString(b, -1), func(a, b string) int {
		x, err1 := strconv.Atoi(a)
		y, err2 := strconv.Atoi(b)
		if err1 == nil && err2 == nil {
			return cmp.Compare(x, y)
		}
		return cmp.Compare(a, b)
	})
}

// function returns the function that the comment documents or stands in.
func function(file *ast.File, group *ast.CommentGroup) *ast.FuncDecl {
	for _, decl := range file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && (fn.Doc == group || fn.Pos() <= group.Pos() && group.End() <= fn.End()) {
			return fn
		}
	}
	return nil
}

// declaration names what the comment documents or stands in: a function, a type
// or a member of it, a constant, a variable, or else the package.
func declaration(file *ast.File, group *ast.CommentGroup) string {
	if fn := function(file, group); fn != nil {
		if fn.Recv != nil {
			return typeName(fn.Recv.List[0].Type) + "." + fn.Name.Name
		}
		return fn.Name.Name
	}
	within := func(n ast.Node, docs ...*ast.CommentGroup) bool {
		return slices.Contains(docs, group) || n.Pos() <= group.Pos() && group.End() <= n.End()
	}
	for _, decl := range file.Decls {
		decl, ok := decl.(*ast.GenDecl)
		if !ok || decl.Tok == token.IMPORT || !within(decl, decl.Doc) && !behind(decl, group) {
			continue
		}
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				if within(spec, spec.Doc, spec.Comment) || behind(decl, group) {
					return spec.Names[0].Name
				}
			case *ast.TypeSpec:
				if within(spec, spec.Doc, spec.Comment) || len(decl.Specs) == 1 {
					return spec.Name.Name + member(spec, within)
				}
			}
		}
		// The comment of a group, or one before a spec: the first name stands for it.
		if spec, ok := decl.Specs[0].(*ast.ValueSpec); ok {
			return spec.Names[0].Name
		}
	}
	return "package " + file.Name.Name
}

// behind reports whether the comment follows a declaration on its line.
func behind(decl *ast.GenDecl, group *ast.CommentGroup) bool {
	for _, spec := range decl.Specs {
		if value, ok := spec.(*ast.ValueSpec); ok && value.Comment == group {
			return true
		}
	}
	return false
}

func member(spec *ast.TypeSpec, within func(ast.Node, ...*ast.CommentGroup) bool) string {
	var fields []*ast.Field
	switch t := spec.Type.(type) {
	case *ast.StructType:
		fields = t.Fields.List
	case *ast.InterfaceType:
		fields = t.Methods.List
	}
	for _, field := range fields {
		if within(field, field.Doc, field.Comment) && len(field.Names) > 0 {
			return "." + field.Names[0].Name
		}
	}
	return ""
}

func typeName(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.StarExpr:
		return typeName(x.X)
	case *ast.IndexExpr:
		return typeName(x.X)
	case *ast.IndexListExpr:
		return typeName(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}
