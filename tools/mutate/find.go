// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// mutant is one change of one file.
type mutant struct {
	File   string // below the root, with slashes
	Line   int
	Func   string
	Source string // what is changed, on one line
	Change string // what it becomes, such as true, false, removed
	Same   int    // how many mutants before it in the file are called the same

	decl        *ast.FuncDecl // with the change
	start, end  int           // the bytes that are replaced
	replacement string
	kind        string
}

// ID names a mutant without its line, so that the list of equivalent mutants
// outlives an edit above it.
func (m mutant) ID() string {
	id := fmt.Sprintf("%s %s: %s => %s", m.File, m.Func, m.Source, m.Change)
	if m.Same > 0 {
		id += fmt.Sprintf(" (%d)", m.Same+1)
	}
	return id
}

// find returns the mutants of one file in the order of their places.
func find(name string, source []byte, fset *token.FileSet, file *ast.File, pkg *types.Package, info *types.Info) []mutant {
	f := &finder{name: name, source: source, fset: fset, pkg: pkg, info: info}
	for _, decl := range file.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
			f.decl = fn
			f.walk(fn.Type, fn.Body)
			f.kinds(fn.Type, fn.Body)
		}
	}
	slices.SortStableFunc(f.mutants, func(a, b mutant) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(b.end, a.end), cmp.Compare(a.replacement, b.replacement))
	})
	f.mutants = slices.CompactFunc(f.mutants, func(a, b mutant) bool {
		return a.start == b.start && a.end == b.end && a.replacement == b.replacement
	})
	seen := make(map[string]int)
	for i := range f.mutants {
		id := f.mutants[i].ID()
		f.mutants[i].Same = seen[id]
		seen[id]++
	}
	return f.mutants
}

type finder struct {
	name    string
	source  []byte
	fset    *token.FileSet
	pkg     *types.Package
	info    *types.Info
	decl    *ast.FuncDecl
	mutants []mutant
}

// walk looks through the body of one function. A function literal inside has
// results of its own, so it is walked on its own.
func (f *finder) walk(fn *ast.FuncType, body *ast.BlockStmt) {
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			f.walk(n.Type, n.Body)
			return false
		case *ast.IfStmt:
			f.guard(fn, n.Cond, n.Body.List)
			if block, ok := n.Else.(*ast.BlockStmt); ok && refuses(block.List) && !accepts(fn, block.List) {
				f.on(n.Cond)
			}
		case *ast.SwitchStmt:
			f.cases(fn, n.Body, n.Tag == nil)
		case *ast.TypeSwitchStmt:
			f.cases(fn, n.Body, false)
		case *ast.ReturnStmt:
			f.predicates(fn, n)
		case *ast.ForStmt:
			// The condition of a loop is no guard, and a loop without one does
			// not end.
			if n.Init != nil {
				f.walk(fn, &ast.BlockStmt{List: []ast.Stmt{n.Init}})
			}
			f.walk(fn, n.Body)
			return false
		case *ast.BinaryExpr:
			switch n.Op {
			case token.LAND:
				f.operand(n.X, f.on, token.LAND)
				f.operand(n.Y, f.on, token.LAND)
			case token.LOR:
				f.operand(n.X, f.off, token.LOR)
				f.operand(n.Y, f.off, token.LOR)
			}
		}
		return true
	})
}

// operand mutates x unless it is itself a chain of the same operator, whose
// operands get their turn.
func (f *finder) operand(x ast.Expr, change func(ast.Expr), op token.Token) {
	if b, ok := ast.Unparen(x).(*ast.BinaryExpr); ok && b.Op == op {
		return
	}
	change(x)
}

// guard mutates a condition with the statements that it guards.
func (f *finder) guard(fn *ast.FuncType, cond ast.Expr, body []ast.Stmt) {
	switch {
	case !refuses(body):
	case accepts(fn, body):
		f.on(cond)
	default:
		f.off(cond)
	}
}

func (f *finder) cases(fn *ast.FuncType, body *ast.BlockStmt, conditions bool) {
	for i, stmt := range body.List {
		clause, ok := stmt.(*ast.CaseClause)
		if !ok || !refuses(clause.Body) {
			continue
		}
		end := body.Rbrace
		if i+1 < len(body.List) {
			end = body.List[i+1].Pos()
		}
		switch {
		case conditions && clause.List != nil:
			for _, cond := range clause.List {
				f.guard(fn, cond, clause.Body)
			}
		case accepts(fn, clause.Body):
			// Without it more would be refused, not less.
		case clause.List == nil:
			f.add(clause.Body[0].Pos(), end, "default", "removed", "")
		case len(clause.List) == 1:
			f.add(clause.Pos(), end, "case "+f.text(clause.List[0]), "removed", "")
		default:
			for j, value := range clause.List {
				start, end := value.Pos(), value.End()
				if j+1 < len(clause.List) {
					end = clause.List[j+1].Pos()
				} else {
					start = clause.List[j-1].End()
				}
				f.add(start, end, "case "+f.text(value), "removed", "")
			}
		}
	}
}

// predicates mutates the results of type bool. The operands of && and || are
// mutated elsewhere.
func (f *finder) predicates(fn *ast.FuncType, ret *ast.ReturnStmt) {
	types := resultTypes(fn)
	if len(types) != len(ret.Results) {
		return
	}
	for i, x := range ret.Results {
		if !isName(types[i], "bool") || isName(x, "true") || isName(x, "false") {
			continue
		}
		if b, ok := ast.Unparen(x).(*ast.BinaryExpr); ok && (b.Op == token.LAND || b.Op == token.LOR) {
			continue
		}
		f.on(x)
		f.off(x)
	}
}

// on and off keep the expression in place, so that what it declares stays used
// and what it does is still done.
func (f *finder) on(x ast.Expr) {
	f.add(x.Pos(), x.End(), f.text(x), "true", "(("+f.raw(x)+") || true)")
}

func (f *finder) off(x ast.Expr) {
	f.add(x.Pos(), x.End(), f.text(x), "false", "(("+f.raw(x)+") && false)")
}

func (f *finder) add(start, end token.Pos, source, change, replacement string) {
	f.mutants = append(f.mutants, mutant{
		File: f.name, Line: f.fset.Position(start).Line, Func: funcName(f.decl), decl: f.decl, Source: source, Change: change,
		start: f.fset.Position(start).Offset, end: f.fset.Position(end).Offset, replacement: replacement, kind: kindCheck,
	})
}

func (f *finder) raw(n ast.Node) string { return f.between(n.Pos(), n.End()) }

func (f *finder) between(start, end token.Pos) string {
	return string(f.source[f.fset.Position(start).Offset:f.fset.Position(end).Offset])
}

func (f *finder) text(n ast.Node) string { return strings.Join(strings.Fields(f.raw(n)), " ") }

func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	recv := fn.Recv.List[0].Type
	if star, ok := recv.(*ast.StarExpr); ok {
		recv = star.X
	}
	switch generic := recv.(type) {
	case *ast.IndexExpr:
		recv = generic.X
	case *ast.IndexListExpr:
		recv = generic.X
	}
	if id, ok := recv.(*ast.Ident); ok {
		return id.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}
