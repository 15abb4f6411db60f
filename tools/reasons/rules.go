// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/token"
	"strings"
)

// check holds the reasons and codes of the library to be closed sets: no value
// of either is made at run time.
func (c *collector) check(p *pkg) {
	for _, file := range p.files {
		initial := make(map[ast.Expr]bool) // the functions that package-level variables are initialized with
		for _, decl := range file.Decls {
			decl, ok := decl.(*ast.GenDecl)
			for i := 0; ok && decl.Tok == token.VAR && i < len(decl.Specs); i++ {
				for _, value := range decl.Specs[i].(*ast.ValueSpec).Values {
					if call, ok := value.(*ast.CallExpr); ok {
						initial[call.Fun] = true
					}
				}
			}
		}
		ast.Inspect(file, func(n ast.Node) bool { return c.node(p, initial, n) })
	}
}

func (c *collector) node(p *pkg, initial map[ast.Expr]bool, n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		return p.dir != "." || n.Name.Name != "NewCode"
	case *ast.SelectorExpr:
		c.constructor(p, initial, n)
		return false // its parts are no names of their own
	case *ast.Ident:
		c.constructor(p, initial, n)
	case *ast.CallExpr:
		if is(p, n.Fun, "Reason") {
			c.fail(n, "a reason is converted from a string")
		}
	case *ast.DeclStmt:
		if decl, ok := n.Decl.(*ast.GenDecl); ok && decl.Tok == token.CONST {
			for _, spec := range decl.Specs {
				if is(p, spec.(*ast.ValueSpec).Type, "Reason") {
					c.fail(spec, "a reason is declared in a function")
				}
			}
		}
	case *ast.AssignStmt:
		for i, x := range n.Lhs {
			if c.status(p, x) != "" {
				c.fail(n, "a code is assigned")
			}
			if selector, ok := x.(*ast.SelectorExpr); ok && selector.Sel.Name == "Reason" && i < len(n.Rhs) {
				c.literal(n.Rhs[i])
			}
		}
	case *ast.UnaryExpr:
		if n.Op == token.AND && c.status(p, n.X) != "" {
			c.fail(n, "the address of a code is taken")
		}
	case *ast.CompositeLit:
		c.composite(p, n)
	}
	return true
}

func (c *collector) constructor(p *pkg, initial map[ast.Expr]bool, x ast.Expr) {
	if is(p, x, "NewCode") && !initial[x] {
		c.fail(x, "NewCode outside of the declaration of a package-level variable")
	}
}

func (c *collector) literal(x ast.Expr) {
	if literal, ok := x.(*ast.BasicLit); ok && literal.Value != `""` {
		c.fail(x, "the reason %s is no constant", literal.Value)
	}
}

// composite checks a literal that has a reason, and its status if it has a code.
func (c *collector) composite(p *pkg, n *ast.CompositeLit) {
	status := ""
	var r *reason
	for _, element := range n.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		switch key, _ := pair.Key.(*ast.Ident); {
		case key != nil && key.Name == "Code":
			status = c.status(p, pair.Value)
		case key != nil && key.Name == "Reason":
			c.literal(pair.Value)
			if q, name := c.named(p, pair.Value); q != nil {
				r = q.reasons[name]
			}
		}
	}
	if r != nil && status != "" && r.status != "" && !strings.Contains(r.status, status) {
		c.fail(n, "%s is returned with %s, which its comment does not name", r.name, status)
	}
}

// status returns the status of a code variable, "" if x is none.
func (c *collector) status(p *pkg, x ast.Expr) string {
	if q, name := c.named(p, x); q != nil {
		return q.codes[name]
	}
	return ""
}

// named returns the package in which the name x is declared, and the name.
func (c *collector) named(p *pkg, x ast.Expr) (*pkg, string) {
	switch x := x.(type) {
	case *ast.Ident:
		return p, x.Name
	case *ast.SelectorExpr:
		if from, ok := x.X.(*ast.Ident); ok {
			for _, q := range c.packages {
				if q.name == from.Name && (q.codes[x.Sel.Name] != "" || q.reasons[x.Sel.Name] != nil) {
					return q, x.Sel.Name
				}
			}
		}
	}
	return nil, ""
}
