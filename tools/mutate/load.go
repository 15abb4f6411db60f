// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// target is a package and its mutants.
type target struct {
	root, dir string
	path      string // import path
	name      string
	dirs      []string // of it and of the other packages whose tests run
	fset      *token.FileSet
	sources   map[string][]byte
	files     map[string]*ast.File
	mutants   []mutant
	reasons   map[string]string
	results   []result
}

// loadPackage reads a package with its types, and finds those that test it too.
func loadPackage(ctx context.Context, root, dir string, with ...string) (*target, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-export", "-deps", "-json=ImportPath,Name,Dir,GoFiles,Export", ".")
	cmd.Dir = filepath.Join(root, dir) // which may be of another module
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil, fmt.Errorf("go list %s: %s", dir, bytes.TrimSpace(exit.Stderr))
	}
	if err != nil {
		return nil, fmt.Errorf("go list %s: %w", dir, err)
	}
	// The package that was asked for is the last one.
	var listed struct {
		ImportPath, Name, Dir, Export string
		GoFiles                       []string
	}
	exports := make(map[string]string)
	for decoder := json.NewDecoder(bytes.NewReader(out)); decoder.More(); {
		listed.GoFiles = nil
		if err := decoder.Decode(&listed); err != nil {
			return nil, fmt.Errorf("go list %s: %w", dir, err)
		}
		exports[listed.ImportPath] = listed.Export
	}
	rel, err := filepath.Rel(root, listed.Dir)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	t := &target{root: root, dir: filepath.ToSlash(rel), path: listed.ImportPath, name: listed.Name, fset: fset, sources: make(map[string][]byte), files: make(map[string]*ast.File)}
	t.dirs = []string{listed.Dir}
	for _, dir := range with {
		find := exec.CommandContext(ctx, "go", "list", "-f={{.Dir}}", dir)
		find.Dir = root
		if out, err = find.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go list %s: %w\n%s", dir, err, out)
		}
		t.dirs = append(t.dirs, strings.TrimSpace(string(out)))
	}
	var files []*ast.File
	var names []string
	for _, base := range listed.GoFiles {
		name := filepath.ToSlash(filepath.Join(rel, base))
		source, err := os.ReadFile(filepath.Join(listed.Dir, base))
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(fset, name, source, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		t.sources[name], t.files[name], files, names = source, file, append(files, file), append(names, name)
	}
	config := types.Config{Importer: importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})}
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue), Uses: make(map[*ast.Ident]types.Object), Selections: make(map[*ast.SelectorExpr]*types.Selection)}
	pkg, err := config.Check(t.path, fset, files, info)
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		t.mutants = append(t.mutants, find(name, t.sources[name], fset, files[i], pkg, info)...)
	}
	return t, nil
}
