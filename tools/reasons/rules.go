// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/token"
)

// hold checks that the reasons and codes of the library are closed sets: no
// value of either is made at run time.
func (c *collector) hold(p *pkg) {
	for _, file := range p.files {
		calls := make(map[ast.Expr]bool) // NewCode where it may stand
		for _, decl := range file.Decls {
			if decl, ok := decl.(*ast.GenDecl); ok && decl.Tok == token.VAR {
				for _, spec := range decl.Specs {
					for _, value := range spec.(*ast.ValueSpec).Values {
						if call, ok := value.(*ast.CallExpr); ok {
							calls[call.Fun] = true
						}
					}
				}
			}
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if p.dir == "." && n.Name.Name == "NewCode" {
					return false
				}
			case *ast.SelectorExpr, *ast.Ident:
				if x := n.(ast.Expr); is(p, x, "NewCode") && !calls[x] {
					c.fail(n, "NewCode outside of the declaration of a package-level variable")
				}
				_, selector := n.(*ast.SelectorExpr)
				return !selector // its parts are no names of their own
			case *ast.CallExpr:
				if is(p, n.Fun, "Reason") {
					c.fail(n, "a reason is converted from a string")
				}
			case *ast.DeclStmt:
				c.holdLocal(p, n)
			case *ast.AssignStmt:
				for i, x := range n.Lhs {
					if c.isCode(p, x) {
						c.fail(n, "a code is assigned")
					}
					if selector, ok := x.(*ast.SelectorExpr); ok && selector.Sel.Name == "Reason" && i < len(n.Rhs) {
						c.holdLiteral(n.Rhs[i])
					}
				}
			case *ast.UnaryExpr:
				if n.Op == token.AND && c.isCode(p, n.X) {
					c.fail(n, "the address of a code is taken")
				}
			case *ast.KeyValueExpr:
				if isIdent(n.Key, "Reason") {
					c.holdLiteral(n.Value)
				}
			}
			return true
		})
	}
}

func (c *collector) holdLiteral(x ast.Expr) {
	if literal, ok := x.(*ast.BasicLit); ok && literal.Value != `""` {
		c.fail(x, "the reason %s is no constant", literal.Value)
	}
}

// holdLocal rejects constants of the type Reason inside of functions.
func (c *collector) holdLocal(p *pkg, n *ast.DeclStmt) {
	decl, ok := n.Decl.(*ast.GenDecl)
	if !ok || decl.Tok != token.CONST {
		return
	}
	for _, spec := range decl.Specs {
		if is(p, spec.(*ast.ValueSpec).Type, "Reason") {
			c.fail(spec, "a reason is declared in a function")
		}
	}
}

// isCode reports whether x is a code variable of p or of another package. It is
// found by its name: no package has a variable of its own of that name.
func (c *collector) isCode(p *pkg, x ast.Expr) bool {
	switch x := x.(type) {
	case *ast.Ident:
		_, ok := p.codes[x.Name]
		return ok
	case *ast.SelectorExpr:
		from, ok := x.X.(*ast.Ident)
		if !ok {
			return false
		}
		for _, other := range c.packages {
			if _, ok := other.codes[x.Sel.Name]; ok && other.name == from.Name {
				return true
			}
		}
	}
	return false
}

func isIdent(x ast.Expr, name string) bool {
	ident, ok := x.(*ast.Ident)
	return ok && ident.Name == name
}
