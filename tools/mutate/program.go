// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// variable is the environment variable with the number of the mutant that runs, from 1.
const variable = "GATEHOUSE_MUTANT"

// selection is the file that a program with mutants has besides those of its package.
const selection = `package %s

import (
	gatehouseOS "os"
	gatehouseStrconv "strconv"
)

var gatehouseMutant, _ = gatehouseStrconv.Atoi(gatehouseOS.Getenv("` + variable + `"))
`

// buildMutants compiles the tests with all mutants: a function with mutants begins with a
// switch to a copy of it for each. What does not compile is reported by number.
func (t *target) buildMutants(ctx context.Context, temp string, mutants []mutant) (bad map[int]bool, err error) {
	bad = make(map[int]bool)
	for {
		replace := map[string]string{}
		write := func(name, text string) error {
			changed := filepath.Join(temp, strconv.Itoa(len(replace))+".go")
			replace[filepath.Join(t.root, filepath.FromSlash(name))] = changed
			return os.WriteFile(changed, []byte(text), 0o600)
		}
		err := write(filepath.Join(t.dir, "gatehouse_mutant.go"), fmt.Sprintf(selection, t.name))
		for name := range t.sources {
			err = errors.Join(err, write(name, t.withMutants(name, mutants, bad)))
		}
		list, jsonErr := json.Marshal(map[string]any{"Replace": replace})
		overlay := filepath.Join(temp, "overlay.json")
		if err := errors.Join(err, jsonErr, os.WriteFile(overlay, list, 0o600)); err != nil {
			return nil, err
		}
		output, err := t.compile(ctx, temp, "mutants", "-gcflags=-e", "-overlay="+overlay)
		if err == nil {
			return bad, nil
		}
		before := len(bad)
		for _, match := range mutantFile.FindAllStringSubmatch(output, -1) {
			number, _ := strconv.Atoi(match[1]) // digits
			bad[number-1] = true
		}
		if len(bad) == before {
			return nil, fmt.Errorf("%w\n%s", err, output)
		}
	}
}

// compile builds the test programs of the package and of those that test it.
func (t *target) compile(ctx context.Context, temp, name string, flags ...string) (output string, err error) {
	for i, dir := range t.dirs {
		cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"test", "-c", "-vet=off", "-o", program(temp, name, i)}, flags)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			return string(out), fmt.Errorf("go test -c in %s: %w", dir, err)
		}
	}
	return "", nil
}

// program is the path of the tests of the package, which is 0, or of one that tests it.
func program(temp, name string, of int) string {
	return filepath.Join(temp, name+strconv.Itoa(of))
}

var mutantFile = regexp.MustCompile(`gatehouse_mutant_(\d+)\.go:`)

// edit replaces a part of a file.
type edit struct {
	start, end int
	text       string
}

// apply returns the source from start to end with the edits, of which none overlap.
func apply(source []byte, start, end int, edits ...edit) string {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var b strings.Builder
	for _, e := range edits {
		b.Write(source[start:e.start])
		b.WriteString(e.text)
		start = e.end
	}
	b.Write(source[start:end])
	return b.String()
}

// withMutants returns a file of the package with its mutants.
func (t *target) withMutants(name string, mutants []mutant, bad map[int]bool) string {
	source := t.sources[name]
	cases := map[*ast.FuncDecl]string{}
	var copies strings.Builder
	for i, m := range mutants {
		if m.File != name || bad[i] {
			continue
		}
		number := strconv.Itoa(i + 1)
		called, call, names := t.signature(m.decl, "gatehouseMutant"+number)
		edits := append(names, edit{t.offset(m.decl.Name.Pos()), t.offset(m.decl.Name.End()), called}, edit{m.start, m.end, m.replacement})
		fmt.Fprintf(&copies, "\n//line gatehouse_mutant_%s.go:1\n%s\n", number,
			apply(source, t.offset(m.decl.Type.Func), t.offset(m.decl.End()), edits...))
		cases[m.decl] += " case " + number + ": " + call + ";"
	}
	var edits []edit
	for decl, text := range cases {
		_, _, names := t.signature(decl, "")
		after := t.offset(decl.Body.Lbrace) + 1
		edits = append(append(edits, names...), edit{after, after, " switch gatehouseMutant {" + text + " }; "})
	}
	return apply(source, 0, len(source), edits...) + copies.String()
}

// signature returns the name of a copy of a function, the statement that calls it in place
// of the function, and the edits that name each parameter.
func (t *target) signature(decl *ast.FuncDecl, suffix string) (called, call string, names []edit) {
	unnamed := 0
	name := func(id *ast.Ident, at token.Pos) string {
		if id != nil && id.Name != "_" {
			return id.Name
		}
		unnamed++
		given := "gatehouseParameter" + strconv.Itoa(unnamed)
		if id == nil {
			names = append(names, edit{t.offset(at), t.offset(at), given + " "})
		} else {
			names = append(names, edit{t.offset(id.Pos()), t.offset(id.End()), given})
		}
		return given
	}
	list := func(fields *ast.FieldList) (list []string) {
		for _, field := range fields.List {
			if len(field.Names) == 0 {
				list = append(list, name(nil, field.Type.Pos()))
			}
			for _, id := range field.Names {
				list = append(list, name(id, 0))
			}
			if _, variadic := field.Type.(*ast.Ellipsis); variadic {
				list[len(list)-1] += "..."
			}
		}
		return list
	}
	called = decl.Name.Name + "_" + suffix
	call = called
	if decl.Recv != nil {
		call = list(decl.Recv)[0] + "." + called
	} else if decl.Type.TypeParams != nil {
		call += "[" + strings.Join(list(decl.Type.TypeParams), ", ") + "]"
	}
	call += "(" + strings.Join(list(decl.Type.Params), ", ") + ")"
	if decl.Type.Results != nil {
		return called, "return " + call, names
	}
	return called, call + "; return", names
}

func (t *target) offset(pos token.Pos) int { return t.fset.Position(pos).Offset }
