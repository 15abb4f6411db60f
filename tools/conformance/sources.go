// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// sources looks names up in Go files, each of which is parsed once.
type sources struct {
	root  string
	files map[string]*source
}

type source struct {
	err     error
	names   map[string]bool // declarations, and members as Type.Member
	strings map[string]bool // string literals
}

func newSources(root string) *sources {
	return &sources{root: root, files: make(map[string]*source)}
}

// declared returns an error unless the file declares the name.
func (s *sources) declared(ref reference) error {
	file := s.file(ref.path)
	switch {
	case file.err != nil:
		return file.err
	case strings.HasSuffix(ref.path, "_test.go"):
		return fmt.Errorf("%s is in a test, not in the code", ref)
	case ref.sub != "" || !file.names[ref.name]:
		return fmt.Errorf("%s is not declared", ref)
	}
	return nil
}

var testName = regexp.MustCompile(`^(Test|Fuzz|Example)($|[^\p{Ll}])`)

// tested returns an error unless the file has the test, and its case.
func (s *sources) tested(ref reference) error {
	file := s.file(ref.path)
	switch {
	case file.err != nil:
		return file.err
	case !strings.HasSuffix(ref.path, "_test.go") || !testName.MatchString(ref.name):
		return fmt.Errorf("%s is not a test", ref)
	case !file.names[ref.name]:
		return fmt.Errorf("%s does not exist", ref)
	case ref.sub != "" && !file.strings[ref.sub]:
		return fmt.Errorf("%s: no such case", ref)
	}
	return nil
}

func (s *sources) file(path string) *source {
	if file, ok := s.files[path]; ok {
		return file
	}
	file := parse(s.root, path)
	s.files[path] = file
	return file
}

func parse(root, path string) *source {
	if !filepath.IsLocal(filepath.FromSlash(path)) {
		return &source{err: fmt.Errorf("%s: not below the root", path)}
	}
	tree, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, filepath.FromSlash(path)), nil, parser.SkipObjectResolution)
	if err != nil {
		return &source{err: fmt.Errorf("%s: cannot be read as Go: %w", path, err)}
	}
	file := &source{names: make(map[string]bool), strings: make(map[string]bool)}
	for _, decl := range tree.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			name := decl.Name.Name
			if decl.Recv != nil {
				name = typeName(decl.Recv.List[0].Type) + "." + name
			}
			file.names[name] = true
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				file.declare(spec)
			}
		}
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				file.strings[text] = true
			}
		}
		return true
	})
	return file
}

func (f *source) declare(spec ast.Spec) {
	switch spec := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range spec.Names {
			f.names[name.Name] = true
		}
	case *ast.TypeSpec:
		f.names[spec.Name.Name] = true
		var members *ast.FieldList
		switch t := spec.Type.(type) {
		case *ast.StructType:
			members = t.Fields
		case *ast.InterfaceType:
			members = t.Methods
		default:
			return
		}
		for _, field := range members.List {
			for _, name := range field.Names {
				f.names[spec.Name.Name+"."+name.Name] = true
			}
		}
	}
}

// typeName is the name of a receiver's type.
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
