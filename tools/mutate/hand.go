// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

const kindHand = "hand"

// handMutants adds the mutants of a list: those that the tool cannot think of. A line is
//
//	FILE ## CODE ## REPLACEMENT
//
// in which CODE is once in a function of FILE, whatever the white space. Lines of files of
// other packages, and those that start with #, are left out.
func (t *target) handMutants(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		parts := strings.Split(strings.TrimSpace(line)+" ", " ## ")
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		source, ok := t.sources[parts[0]]
		if !ok {
			if _, err := os.Stat(filepath.Join(t.root, filepath.FromSlash(parts[0]))); err != nil {
				return fmt.Errorf("%s:%d: %w", name, number, err)
			}
			continue
		}
		if len(parts) != 3 {
			return fmt.Errorf("%s:%d: not of the form FILE ## CODE ## REPLACEMENT", name, number)
		}
		words := strings.Fields(parts[1])
		for i, word := range words {
			words[i] = regexp.QuoteMeta(word)
		}
		found := regexp.MustCompile(strings.Join(words, `\s+`)).FindAllIndex(source, -1)
		if len(found) != 1 {
			return fmt.Errorf("%s:%d: the code is %d times in %s, want 1: %s", name, number, len(found), parts[0], parts[1])
		}
		m := mutant{File: parts[0], Source: parts[1], Change: strings.TrimSpace(parts[2]), start: found[0][0], end: found[0][1], replacement: parts[2], kind: kindHand}
		if m.decl = t.enclosing(m.File, m.start, m.end); m.decl == nil {
			return fmt.Errorf("%s:%d: the code is in no function of %s", name, number, m.File)
		}
		m.Line, m.Func = 1+bytes.Count(source[:m.start], []byte("\n")), funcName(m.decl)
		t.mutants = append(t.mutants, m)
	}
	return nil
}

// enclosing returns the function with a part of a file, nil if there is none.
func (t *target) enclosing(name string, start, end int) *ast.FuncDecl {
	for _, decl := range t.files[name].Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Body != nil && t.offset(fn.Pos()) <= start && end <= t.offset(fn.End()) {
			return fn
		}
	}
	return nil
}
