// SPDX-License-Identifier: Apache-2.0

// Package repotest runs tools on small repositories, for their tests.
package repotest

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Write writes files, by their slash-separated names, into a new directory and returns it.
func Write(tb testing.TB, files map[string]string) (dir string) {
	tb.Helper()
	dir = tb.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// Read returns the text of a file.
func Read(tb testing.TB, dir, name string) string {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// Run runs a tool on the repository in a directory.
func Run(run func(args []string, stdout, stderr io.Writer) int, dir string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(append([]string{"-C", dir}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

// Check runs a tool on this repository, which must pass.
func Check(t *testing.T, run func(args []string, stdout, stderr io.Writer) int, args ...string) {
	t.Helper()
	if code, stdout, stderr := Run(run, "../..", args...); code != 0 {
		t.Errorf("run(%q) = %d, want 0\n%s%s", args, code, stdout, stderr)
	}
}
