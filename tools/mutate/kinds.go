// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// The kinds of mutants.
const (
	kindCheck     = "check"
	kindOrder     = "order"
	kindStatement = "statement"
	kindClock     = "clock"
	kindVariable  = "variable"
	kindError     = "error"
	kindBoundary  = "boundary"
	kindSlice     = "slice"
	kindLoop      = "loop"
	kindNear      = "near"
)

// boundaries are the comparisons with the other choice for equal values.
var boundaries = map[token.Token]token.Token{
	token.LSS: token.LEQ, token.LEQ: token.LSS, token.GTR: token.GEQ, token.GEQ: token.GTR,
}

// kinds adds the mutants of one function that remove no check.
func (f *finder) kinds(fn *ast.FuncType, body *ast.BlockStmt) {
	assigned := make(map[*ast.Ident]bool)
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			f.kinds(n.Type, n.Body)
			return false
		case *ast.BlockStmt:
			f.order(n.List)
			f.remove(n.List)
		case *ast.CaseClause:
			f.order(n.Body)
			f.remove(n.Body)
		case *ast.CommClause:
			f.remove(n.Body)
		case *ast.SelectorExpr:
			f.field(n)
		case *ast.BinaryExpr:
			if op, ok := boundaries[n.Op]; ok {
				f.change(n, kindBoundary, op.String(), f.raw(n.X)+" "+op.String()+" "+f.raw(n.Y))
			}
			f.equal(n)
		case *ast.RangeStmt:
			f.loop(n.Body)
		case *ast.ForStmt:
			f.loop(n.Body)
		case *ast.AssignStmt:
			for _, x := range n.Lhs {
				if id, ok := x.(*ast.Ident); ok {
					assigned[id] = true
				}
			}
		case *ast.CallExpr:
			f.call(n)
		case *ast.ReturnStmt:
			f.dropError(fn, n)
		case *ast.Ident:
			// A time that the caller hands in, such as that of the store.
			if v, ok := f.info.Uses[n].(*types.Var); ok && !v.IsField() && v.Pkg() != nil && v.Parent() != v.Pkg().Scope() && n.Name == "now" && isTime(v.Type()) {
				f.change(n, kindClock, "a day behind", n.Name+".Add(-86400e9)")
			}
			if !assigned[n] {
				f.local(n)
			}
		}
		return true
	})
}

// order swaps neighboring statements, of which both call something and neither
// declares a variable: calls, and guards that end in a jump.
func (f *finder) order(list []ast.Stmt) {
	for i := 1; i < len(list); i++ {
		a, b := list[i-1], list[i]
		if f.movable(a) && f.movable(b) && f.raw(a) != f.raw(b) && !f.reports(a, b) && !(f.setter(a) != "" && f.setter(a) == f.setter(b)) {
			f.add(a.Pos(), b.End(), head(f.text(a)), "after "+head(f.text(b)), f.raw(b)+f.between(a.End(), b.Pos())+f.raw(a))
			f.mutants[len(f.mutants)-1].kind = kindOrder
		}
	}
}

// remove leaves out statements that call, assign or count. A mutex that is left unlocked
// only stops the tests.
func (f *finder) remove(list []ast.Stmt) {
	for _, stmt := range list {
		switch stmt := stmt.(type) {
		case *ast.AssignStmt:
			if stmt.Tok == token.DEFINE || len(stmt.Lhs) == 1 && isName(stmt.Lhs[0], "_") {
				continue
			}
		case *ast.ExprStmt:
			if call, ok := stmt.X.(*ast.CallExpr); ok && isName(call.Fun, "panic") {
				continue
			}
			if text := f.raw(stmt); strings.HasSuffix(text, "Unlock()") || strings.HasSuffix(text, "Lock()") {
				continue
			}
		case *ast.IncDecStmt, *ast.GoStmt:
		case *ast.DeferStmt:
			if strings.HasSuffix(f.raw(stmt), "Unlock()") {
				continue
			}
		default:
			continue
		}
		f.add(stmt.Pos(), stmt.End(), head(f.text(stmt)), "removed", "if false { "+f.raw(stmt)+" }") // its variables are still used
		f.mutants[len(f.mutants)-1].kind = kindStatement
	}
}

// field reads the next field of one type in place of a field.
func (f *finder) field(n *ast.SelectorExpr) {
	selection := f.info.Selections[n]
	if selection == nil || selection.Kind() != types.FieldVal || len(selection.Index()) != 1 {
		return
	}
	of := selection.Recv().Underlying()
	if pointer, ok := of.(*types.Pointer); ok {
		of = pointer.Elem().Underlying()
	}
	fields, ok := of.(*types.Struct)
	if !ok {
		return
	}
	for i := 1; i < fields.NumFields(); i++ {
		other := fields.Field((selection.Index()[0] + i) % fields.NumFields())
		if types.Identical(other.Type(), selection.Type()) && (other.Exported() || other.Pkg() == f.pkg) {
			f.change(n, kindVariable, other.Name(), f.raw(n.X)+"."+other.Name())
			return
		}
	}
}

// local reads another variable of the function in place of one of its type: the one that was
// declared last before it, or the next one. Errors and contexts stay.
func (f *finder) local(n *ast.Ident) {
	v, ok := f.info.Uses[n].(*types.Var)
	if !ok || v.IsField() || v.Parent() == nil || v.Parent() == f.pkg.Scope() || v.Parent() == types.Universe {
		return
	}
	if t := v.Type().String(); t == "error" || t == "context.Context" {
		return
	}
	var before, after *types.Var
	inner := f.pkg.Scope().Innermost(n.Pos())
	for scope := inner; scope != nil && scope != f.pkg.Scope(); scope = scope.Parent() {
		for _, name := range scope.Names() {
			other, ok := scope.Lookup(name).(*types.Var)
			if _, visible := inner.LookupParent(name, n.Pos()); !ok || other == v || visible != other || !types.Identical(other.Type(), v.Type()) {
				continue
			}
			switch {
			case other.Pos() > v.Pos() && (after == nil || other.Pos() < after.Pos()):
				after = other
			case other.Pos() < v.Pos() && (before == nil || other.Pos() > before.Pos()):
				before = other
			}
		}
	}
	if before == nil {
		before = after
	}
	if before != nil {
		f.change(n, kindVariable, before.Name(), before.Name())
	}
}

// loop ends a loop after its first turn, and where it would go on with the next.
func (f *finder) loop(body *ast.BlockStmt) {
	if len(body.List) == 0 {
		return
	}
	last := body.List[len(body.List)-1]
	switch last.(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
	default:
		f.add(last.Pos(), last.End(), head(f.text(last)), "the only turn", f.raw(last)+"; break")
		f.mutants[len(f.mutants)-1].kind = kindLoop
	}
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ForStmt, *ast.RangeStmt, *ast.FuncLit, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
			return false
		case *ast.BranchStmt:
			if n.Tok == token.CONTINUE && n.Label == nil {
				f.add(n.Pos(), n.End(), "continue", "break", "break")
				f.mutants[len(f.mutants)-1].kind = kindLoop
			}
		}
		return true
	})
}

// equal compares only the beginnings of two texts that are no constants.
func (f *finder) equal(n *ast.BinaryExpr) {
	if n.Op != token.EQL && n.Op != token.NEQ || !f.isString(n.X) || f.info.Types[n.X].Value != nil || f.info.Types[n.Y].Value != nil {
		return
	}
	prefix := "func(a, b string) bool { return len(a) >= len(b) && a[:len(b)] == b }(string(" + f.raw(n.X) + "), string(" + f.raw(n.Y) + "))"
	if n.Op == token.NEQ {
		prefix = "!" + prefix
	}
	f.change(n, kindNear, "prefix", prefix)
}

func (f *finder) isString(x ast.Expr) bool {
	basic, ok := f.info.TypeOf(x).Underlying().(*types.Basic)
	return ok && basic.Info()&types.IsString != 0
}

// near takes a function for one that does nearly the same.
func (f *finder) near(n *ast.CallExpr, fun *ast.SelectorExpr) {
	switch {
	case f.isFunc(fun, "strings", "HasPrefix") || f.isFunc(fun, "strings", "HasSuffix"):
		f.change(n, kindNear, "contains", "strings.Contains("+f.between(n.Args[0].Pos(), n.End()))
	case f.isFunc(fun, "strings", "EqualFold"):
		f.change(n, kindNear, "==", "("+f.raw(n.Args[0])+" == "+f.raw(n.Args[1])+")")
	case f.isFunc(fun, "context", "WithoutCancel"):
		f.change(n, kindNear, "canceled", f.raw(n.Args[0]))
	case f.isFunc(fun, "errors", "Is"):
		f.change(n, kindNear, "any error", "("+f.raw(n)+" || "+f.raw(n.Args[0])+" != nil)")
	case fun.Sel.Name == "Values" && f.info.TypeOf(fun.X).String() == "net/http.Header":
		f.change(n, kindNear, "the first", "func(v []string) []string { return v[:min(1, len(v))] }("+f.raw(n)+")")
	}
}

// reports says whether the order of two statements is only that of a text: both call one
// function of a variable, such as one that collects errors, or one of them does and the
// other assigns what it does not read.
func (f *finder) reports(a, b ast.Stmt) bool {
	switch x, y := f.reporter(a), f.reporter(b); {
	case x == nil:
		return y != nil && !f.assigns(a, b)
	case y == nil:
		return !f.assigns(b, a)
	default:
		return x == y
	}
}

// reporter returns the variable whose function a statement calls, nil if it is another one.
func (f *finder) reporter(stmt ast.Stmt) types.Object {
	if stmt, ok := stmt.(*ast.ExprStmt); ok {
		if call, ok := stmt.X.(*ast.CallExpr); ok {
			if id, ok := call.Fun.(*ast.Ident); ok {
				if v, ok := f.info.Uses[id].(*types.Var); ok {
					return v
				}
			}
		}
	}
	return nil
}

// setter returns what a statement sets a name of, such as the header of a response: the
// order of two names does not count.
func (f *finder) setter(stmt ast.Stmt) string {
	if stmt, ok := stmt.(*ast.ExprStmt); ok {
		if call, ok := stmt.X.(*ast.CallExpr); ok && len(call.Args) == 2 {
			if fun, ok := call.Fun.(*ast.SelectorExpr); ok && fun.Sel.Name == "Set" {
				return f.raw(fun.X)
			}
		}
	}
	return ""
}

// assigns reports whether a is no assignment, or assigns what b reads.
func (f *finder) assigns(a, b ast.Stmt) bool {
	stmt, ok := a.(*ast.AssignStmt)
	return !ok || slices.ContainsFunc(stmt.Lhs, func(x ast.Expr) bool { return strings.Contains(f.raw(b), f.raw(x)) })
}

func (f *finder) movable(stmt ast.Stmt) bool {
	switch stmt := stmt.(type) {
	case *ast.IfStmt:
		if stmt.Else != nil || len(stmt.Body.List) == 0 {
			return false
		}
		switch stmt.Body.List[len(stmt.Body.List)-1].(type) {
		case *ast.ReturnStmt, *ast.BranchStmt:
			return f.calls(stmt.Cond) || stmt.Init != nil && f.calls(stmt.Init)
		}
	case *ast.AssignStmt:
		return stmt.Tok == token.ASSIGN && f.calls(stmt)
	case *ast.ExprStmt:
		return f.calls(stmt)
	}
	return false
}

// calls reports whether a function is called that is not built in.
func (f *finder) calls(n ast.Node) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			kind := f.info.Types[call.Fun]
			found = found || !kind.IsBuiltin() && !kind.IsType()
		}
		return !found
	})
	return found
}

func (f *finder) call(n *ast.CallExpr) {
	fun, _ := ast.Unparen(n.Fun).(*ast.SelectorExpr)
	switch {
	case fun == nil:
	case f.isFunc(fun, "time", "Now"):
		f.change(n, kindClock, "a day behind", "time.Now().Add(-24*time.Hour)")
	case (fun.Sel.Name == "Before" || fun.Sel.Name == "After") && len(n.Args) == 1 && isTime(f.info.TypeOf(fun.X)):
		f.change(n, kindBoundary, "or equal", "!"+f.raw(n.Args[0])+"."+fun.Sel.Name+"("+f.raw(fun.X)+")")
	case len(n.Args) == 1 && (f.isFunc(fun, "slices", "Clone") || f.isFunc(fun, "maps", "Clone") || f.isFunc(fun, "bytes", "Clone")):
		f.change(n, kindSlice, "shared", f.raw(n.Args[0]))
	case (fun.Sel.Name == "Clone" || fun.Sel.Name == "clone") && len(n.Args) == 0 && f.same(fun.X, n):
		f.change(n, kindSlice, "shared", f.raw(fun.X))
	}
	if fun != nil {
		f.near(n, fun)
	}
	switch { // where the order of the arguments has no effect, or only on a text
	case f.info.Types[n.Fun].IsBuiltin() && (isName(n.Fun, "min") || isName(n.Fun, "max")),
		f.isFunc(fun, "fmt", "Errorf"), f.isFunc(fun, "errors", "Is"), f.isFunc(fun, "strings", "EqualFold"), f.isFunc(fun, "slices", "Equal"):
		return
	}
	for i := 1; i < len(n.Args); i++ {
		a, b := n.Args[i-1], n.Args[i]
		if plain(a) && plain(b) && f.same(a, b) && f.raw(a) != f.raw(b) {
			f.add(n.Pos(), n.End(), f.text(n), f.text(a)+" and "+f.text(b)+" swapped",
				f.between(n.Pos(), a.Pos())+f.raw(b)+f.between(a.End(), b.Pos())+f.raw(a)+f.between(b.End(), n.End()))
			f.mutants[len(f.mutants)-1].kind = kindVariable
		}
	}
}

// plain reports whether x is a variable or a field.
func plain(x ast.Expr) bool {
	switch x := ast.Unparen(x).(type) {
	case *ast.Ident:
		return x.Name != "nil" && x.Name != "true" && x.Name != "false"
	case *ast.SelectorExpr:
		return plain(x.X)
	}
	return false
}

// dropError loses the error of the call that ends a function. What only makes an
// error belongs to a guard.
func (f *finder) dropError(fn *ast.FuncType, ret *ast.ReturnStmt) {
	results := resultTypes(fn)
	if len(results) == 0 || len(results) != len(ret.Results) || !isName(results[len(results)-1], "error") {
		return
	}
	last := ret.Results[len(ret.Results)-1]
	call, ok := ast.Unparen(last).(*ast.CallExpr)
	if !ok {
		return
	}
	if fun, _ := call.Fun.(*ast.SelectorExpr); !f.isFunc(fun, "errors", "New") && !f.isFunc(fun, "fmt", "Errorf") {
		f.change(last, kindError, "nil", "func(error) error { return nil }("+f.raw(last)+")")
	}
}

func (f *finder) change(n ast.Expr, kind, change, replacement string) {
	f.add(n.Pos(), n.End(), f.text(n), change, replacement)
	f.mutants[len(f.mutants)-1].kind = kind
}

func (f *finder) isFunc(sel *ast.SelectorExpr, path, name string) bool {
	if sel == nil {
		return false
	}
	fn, ok := f.info.Uses[sel.Sel].(*types.Func)
	return ok && sel.Sel.Name == name && fn.Pkg() != nil && fn.Pkg().Path() == path && fn.Signature().Recv() == nil
}

func (f *finder) same(a, b ast.Expr) bool {
	x, y := f.info.TypeOf(a), f.info.TypeOf(b)
	return x != nil && y != nil && types.Identical(x, y)
}

func isTime(t types.Type) bool { return t != nil && t.String() == "time.Time" }

// head shortens a statement to what names it.
func head(text string) string {
	const limit = 60
	if len(text) > limit {
		return text[:limit] + "…"
	}
	return text
}
