// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"regexp"
)

// refuses reports whether a body leaves the straight way: it ends in a jump or
// a panic, or does something about an error.
func refuses(body []ast.Stmt) bool {
	if len(body) == 0 {
		return false
	}
	switch last := body[len(body)-1].(type) {
	case *ast.ReturnStmt, *ast.BranchStmt:
		return true
	case *ast.ExprStmt, *ast.AssignStmt:
		return aboutErrors(last)
	}
	return false
}

var errorWords = regexp.MustCompile(`(?i)^panic$|err|fail|fatal|exit|refus|reject|invalid|problem|deny|drop|bad`)

func aboutErrors(n ast.Node) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && errorWords.MatchString(id.Name) {
			found = true
		}
		return !found
	})
	return found
}

// accepts reports whether a body ends in the return of a nil error.
func accepts(fn *ast.FuncType, body []ast.Stmt) bool {
	ret, ok := body[len(body)-1].(*ast.ReturnStmt)
	types := resultTypes(fn)
	if !ok || len(ret.Results) == 0 || len(types) != len(ret.Results) {
		return false
	}
	last := types[len(types)-1]
	if star, ok := last.(*ast.StarExpr); ok {
		last = star.X
	}
	if sel, ok := last.(*ast.SelectorExpr); ok {
		last = sel.Sel
	}
	return isName(ret.Results[len(ret.Results)-1], "nil") && (isName(last, "error") || isName(last, "Error"))
}

// resultTypes has one entry for each result.
func resultTypes(fn *ast.FuncType) []ast.Expr {
	if fn.Results == nil {
		return nil
	}
	var types []ast.Expr
	for _, field := range fn.Results.List {
		for range max(1, len(field.Names)) {
			types = append(types, field.Type)
		}
	}
	return types
}

func isName(x ast.Expr, name string) bool {
	id, ok := x.(*ast.Ident)
	return ok && id.Name == name
}
