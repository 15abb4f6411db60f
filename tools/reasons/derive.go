// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/token"
	"slices"
)

// maker is a function that makes an Error of its arguments.
type maker struct {
	reason  int // the index of the parameter, -1 if it is not one
	code    int
	status  int  // where the code is no parameter
	changed bool // the function assigns another code
}

// derive gives the reasons that a package uses the statuses of the codes with
// which they are returned. A use from which no code follows makes the reason one
// whose comment must name its statuses.
func (c *collector) derive(p *pkg) {
	makers := make(map[string][]maker)
	for _, file := range p.files {
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil {
				makers[fn.Name.Name] = append(makers[fn.Name.Name], c.makers(p, fn)...)
			}
		}
	}
	for _, file := range p.files {
		for _, decl := range file.Decls {
			c.deriveIn(p, makers, decl)
		}
	}
}

func (c *collector) deriveIn(p *pkg, makers map[string][]maker, decl ast.Decl) {
	known := make(map[ast.Expr]bool) // uses from which a code follows, or that need none
	changed := changesCode(decl)
	ast.Inspect(decl, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GenDecl:
			return n.Tok != token.CONST
		case *ast.CompositeLit:
			code, why, ok := errorOf(p, n)
			if status := c.status(p, code); ok && status != 0 && !changed {
				known[why] = true
				c.note(p, why, status)
			}
			if is(p, n.Type, "Event") {
				known[valueOf(n, "Reason")] = true
			}
		case *ast.CallExpr:
			for _, m := range makers[called(n)] {
				if m.reason >= len(n.Args) || m.code >= len(n.Args) {
					continue
				}
				status := m.status
				if m.code >= 0 {
					status = c.status(p, n.Args[m.code])
				}
				if status != 0 && !m.changed {
					known[n.Args[m.reason]] = true
					c.note(p, n.Args[m.reason], status)
				}
			}
		case *ast.BinaryExpr: // a comparison
			known[n.X], known[n.Y] = true, true
		case *ast.CaseClause:
			for _, x := range n.List {
				known[x] = true
			}
		case *ast.SelectorExpr:
			c.unknown(p, n, known)
			return false
		case *ast.Ident:
			c.unknown(p, n, known)
		}
		return true
	})
}

// unknown records a use of a reason from which no code follows.
func (c *collector) unknown(p *pkg, x ast.Expr, known map[ast.Expr]bool) {
	if r := c.reason(p, x); r != nil && !known[x] {
		r.unknown = append(r.unknown, c.at(x))
	}
}

// changesCode reports whether a function assigns the field Code of a value.
func changesCode(n ast.Node) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if assign, ok := n.(*ast.AssignStmt); ok {
			for _, x := range assign.Lhs {
				if selector, ok := x.(*ast.SelectorExpr); ok && selector.Sel.Name == "Code" {
					found = true
				}
			}
		}
		return !found
	})
	return found
}

// makers returns how fn makes Errors of its parameters.
func (c *collector) makers(p *pkg, fn *ast.FuncDecl) []maker {
	var params []string
	for _, field := range fn.Type.Params.List {
		for _, name := range field.Names {
			params = append(params, name.Name)
		}
	}
	index := func(x ast.Expr) int {
		if ident, ok := x.(*ast.Ident); ok {
			return slices.Index(params, ident.Name)
		}
		return -1
	}
	var found []maker
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if literal, ok := n.(*ast.CompositeLit); ok {
			if code, why, ok := errorOf(p, literal); ok && index(why) >= 0 {
				found = append(found, maker{index(why), index(code), c.status(p, code), changesCode(fn.Body)})
			}
		}
		return true
	})
	return found
}

// errorOf returns the code and the reason of a literal of gatehouse.Error.
func errorOf(p *pkg, n *ast.CompositeLit) (code, why ast.Expr, ok bool) {
	if !is(p, n.Type, "Error") {
		return nil, nil, false
	}
	code, why = valueOf(n, "Code"), valueOf(n, "Reason")
	return code, why, code != nil && why != nil
}

// valueOf returns the value of a field of a literal, nil if it has none.
func valueOf(n *ast.CompositeLit, field string) ast.Expr {
	for _, element := range n.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok && isIdent(pair.Key, field) {
			return pair.Value
		}
	}
	return nil
}

func called(n *ast.CallExpr) string {
	switch fn := n.Fun.(type) {
	case *ast.Ident:
		return fn.Name
	case *ast.SelectorExpr:
		return fn.Sel.Name
	}
	return ""
}

// status returns the status of a code variable, 0 if x is none.
func (c *collector) status(p *pkg, x ast.Expr) int {
	switch x := x.(type) {
	case *ast.Ident:
		return p.codes[x.Name]
	case *ast.SelectorExpr:
		if from, ok := x.X.(*ast.Ident); ok {
			for _, other := range c.packages {
				if status, ok := other.codes[x.Sel.Name]; ok && other.name == from.Name {
					return status
				}
			}
		}
	}
	return 0
}

// reason returns the reason that x names, nil if it names none.
func (c *collector) reason(p *pkg, x ast.Expr) *reason {
	switch x := x.(type) {
	case *ast.Ident:
		return p.reasons[x.Name]
	case *ast.SelectorExpr:
		if from, ok := x.X.(*ast.Ident); ok {
			for _, other := range c.packages {
				if other.name == from.Name && other.reasons[x.Sel.Name] != nil {
					return other.reasons[x.Sel.Name]
				}
			}
		}
	}
	return nil
}

// note gives a reason a status.
func (c *collector) note(p *pkg, why ast.Expr, status int) {
	switch r := c.reason(p, why); {
	case r == nil || slices.Contains(r.statuses, status):
	case r.stated:
		c.fail(why, "%s is returned with %d, which its comment does not name", r.name, status)
	default:
		r.statuses = append(r.statuses, status)
	}
}
