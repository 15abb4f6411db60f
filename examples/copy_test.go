// SPDX-License-Identifier: Apache-2.0

package examples_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAppsBuildAsCopies copies the folder of each app, without its tests, into an
// empty module that requires the library, and builds it there.
func TestAppsBuildAsCopies(t *testing.T) {
	mains, err := filepath.Glob("*/main.go")
	if err != nil || len(mains) < 8 {
		t.Fatalf("apps = %q, %v", mains, err)
	}
	for _, name := range mains {
		app := filepath.Dir(name)
		t.Run(app, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(app)); err != nil {
				t.Fatal(err)
			}
			tests, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			for _, test := range tests {
				if err := os.Remove(test); err != nil {
					t.Fatal(err)
				}
			}
			writeModule(t, dir)
			build := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-o", os.DevNull, ".")
			build.Dir = dir
			build.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=-buildvcs=false")
			if out, err := build.CombinedOutput(); err != nil {
				t.Errorf("go build: %v\n%s", err, out)
			}
		})
	}
}

// writeModule writes the go.mod and go.sum of this module into dir, with another
// name and with absolute paths to the library.
func writeModule(t *testing.T, dir string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	module, err1 := os.ReadFile("go.mod")
	sums, err2 := os.ReadFile("go.sum")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	text := strings.NewReplacer("module github.com/gatehouse-go/gatehouse/examples", "module example.com/copy", "=> ../", "=> "+root+"/").Replace(string(module))
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600); err != nil {
		t.Fatal(err)
	}
}
