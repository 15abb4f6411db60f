// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRepository checks that docs/packages.svg shows the imports of today.
func TestRepository(t *testing.T) {
	var errs bytes.Buffer
	if code := run([]string{"-C", "../..", "-check"}, &bytes.Buffer{}, &errs); code != 0 {
		t.Errorf("run(-check) = %d, want 0\n%s", code, &errs)
	}
}

func TestDraw(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":               "module example.com/m\n",
		"m.go":                 "package m\n",
		"a/a.go":               "package a\n\nimport \"example.com/m\"\n",
		"b/b.go":               "package b\n\nimport (\n\t\"fmt\"\n\t\"example.com/m/a\"\n\t\"example.com/m/internal/x\"\n)\n",
		"b/b_test.go":          "package b\n\nimport \"example.com/m/c\"\n",
		"c/c.go":               "package c\n\nimport \"example.com/m/b\"\n",
		"c/d.go":               "package c\n\nimport (\n\t\"example.com/m/a\"\n\t\"example.com/m/b\"\n)\n",
		"c/ctest/x.go":         "package ctest\n",
		"internal/x/x.go":      "package x\n",
		"examples/e/main.go":   "package main\n",
		"docs/packages.svg":    "old",
		"c/testdata/broken.go": "broken",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{"-C", dir, "-check"}, &out, &errs); code != 1 || !strings.Contains(errs.String(), "out of date") {
		t.Errorf("run(-check) of an old picture = %d, %s, want 1, out of date", code, &errs)
	}
	if code := run([]string{"-C", dir}, &out, &errs); code != 0 || out.String() != "architecture: 3 packages\n" {
		t.Fatalf("run() = %d, %q %s, want 3 packages", code, &out, &errs)
	}
	svg, err := os.ReadFile(filepath.Join(dir, "docs", "packages.svg"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]int{
		`class="box"`: 3, `class="arrow"`: 2, `class="core"`: 1, ">a</text>": 1, ">ctest<": 0, ">x<": 0,
		"b imports a; c imports a, b.": 1, "prefers-color-scheme: dark": 1,
	} {
		if got := strings.Count(string(svg), text); got != want {
			t.Errorf("the picture has %q %d times, want %d:\n%s", text, got, want, svg)
		}
	}
	if code := run([]string{"-C", dir, "-check"}, &out, &errs); code != 0 {
		t.Errorf("run(-check) after writing = %d, want 0", code)
	}
}

func TestErrors(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"no module":   {},
		"no line":     {"go.mod": "go 1.26.0\n"},
		"no packages": {"go.mod": "module m\n"},
		"no Go":       {"go.mod": "module m\n", "a/a.go": "x"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range files {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if code := run([]string{"-C", dir}, &bytes.Buffer{}, &bytes.Buffer{}); code != 1 {
				t.Errorf("run() = %d, want 1", code)
			}
		})
	}
}
