// SPDX-License-Identifier: Apache-2.0

// Package repo is what the tools share: the files of the repository, and documents
// that a tool writes.
package repo

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Files calls visit with the name of each file below root that belongs to the
// repository, slash-separated and relative to root. Hidden directories, installed
// packages and input of tests are left out.
func Files(root string, visit func(name string) error) error {
	return fs.WalkDir(os.DirFS(root), ".", func(name string, entry fs.DirEntry, err error) error {
		base := entry.Name()
		switch {
		case err != nil:
			return err
		case !entry.IsDir():
			return visit(name)
		case base == "node_modules", base == "testdata", base[0] == '.' && base != "." && base != ".ci":
			return fs.SkipDir
		}
		return nil
	})
}

// IsSource reports whether the file is Go code and no test.
func IsSource(name string) bool {
	return path.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go")
}

// Update writes a document that the tool generates, or with check returns an error
// if the file has another text.
func Update(root, name, text, tool string, check bool) error {
	file := filepath.Join(root, filepath.FromSlash(name))
	if old, err := os.ReadFile(file); err == nil && string(old) == text {
		return nil
	}
	if check {
		return fmt.Errorf("%s: out of date; update it with: GOWORK=off go -C tools run ./%s -C .. (writes it)", name, tool)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}
