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
// empty module that requires the library, and resolves its imports there. With
// GATEHOUSE_SLOW=1 it also compiles them: go list -export is go build without linking,
// and takes 20 seconds of CPU time.
func TestAppsBuildAsCopies(t *testing.T) {
	readmes, err := filepath.Glob("*/README.md")
	if err != nil || len(readmes) < 10 {
		t.Fatalf("apps = %q, %v", readmes, err)
	}
	dir := t.TempDir()
	for _, readme := range readmes {
		app := filepath.Dir(readme)
		if err := os.CopyFS(filepath.Join(dir, app), os.DirFS(app)); err != nil {
			t.Fatal(err)
		}
	}
	tests, err := filepath.Glob(filepath.Join(dir, "*", "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range tests {
		if err := os.Remove(test); err != nil {
			t.Fatal(err)
		}
	}
	// The go.mod and go.sum of this module, with another name and with absolute paths
	// to the library.
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	rename := strings.NewReplacer("module github.com/gatehouse-go/gatehouse/examples", "module example.com/copy", "=> ../", "=> "+root+"/")
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(rename.Replace(string(text))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"list", "-mod=mod", "-deps", "./..."}
	if os.Getenv("GATEHOUSE_SLOW") == "1" {
		args[2] = "-export"
	}
	build := exec.CommandContext(t.Context(), "go", args...)
	build.Dir = dir
	build.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS="+os.Getenv("GOFLAGS")+" -buildvcs=false")
	if out, err := build.CombinedOutput(); err != nil {
		t.Errorf("go %q: %v\n%s", args, err, out)
	}
}
