// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"
)

// TestRepository checks every file of the repository.
func TestRepository(t *testing.T) {
	var out, errs bytes.Buffer
	if code := run([]string{"-C", "../.."}, &out, &errs); code != 0 {
		t.Errorf("run() = %d, want 0\n%s%s", code, &out, &errs)
	}
}

func TestCheck(t *testing.T) {
	words, err := readWords("# comment\n\nrooms? ## package\nis told ## receives\n")
	if err != nil {
		t.Fatal(err)
	}
	tree := fstest.MapFS{
		"a/comment.go":          {Data: []byte("package a\n\n// A room is here, and the caller is\n// told so.\n")},
		"a/string.go":           {Data: []byte("package a\n\nvar s = `x\nroom`\n")},
		"a/name.go":             {Data: []byte("package a\n\nfunc makeRoom(isTold bool) {}\n")},
		"a/good.go":             {Data: []byte("package a\n\n// The broom is toldered.\nvar mushroom = rooms.X\n")},
		"b/doc.md":              {Data: []byte("one\n\nTwo ROOMS\n")},
		"b/image.png":           {Data: []byte("room")},
		"node_modules/m/doc.md": {Data: []byte("room")},
		".git/doc.md":           {Data: []byte("room")},
		"b/testdata/broken.go":  {Data: []byte("room")},
	}
	for _, c := range []struct {
		name  string
		under []string
		want  []string
	}{
		{"all", nil, []string{
			`a/comment.go:3: "room": write package`,
			"a/comment.go:3: \"is\\n// told\": write receives",
			`a/name.go:3: "Room": write package`,
			`a/name.go:3: "is Told": write receives`,
			`a/string.go:4: "room": write package`,
			`b/doc.md:3: "ROOMS": write package`,
		}},
		{"a directory", []string{"./b/..."}, []string{`b/doc.md:3: "ROOMS": write package`}},
		{"a file", []string{"a/good.go"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := check(tree, words, c.under)
			if err != nil {
				t.Fatal(err)
			}
			if g, w := strings.Join(got, "\n"), strings.Join(c.want, "\n"); g != w {
				t.Errorf("check() =\n%s\nwant\n%s", g, w)
			}
		})
	}
}

func TestReadWordsRejects(t *testing.T) {
	for _, list := range []string{"word\n", "( ## x\n"} {
		if _, err := readWords(list); err == nil {
			t.Errorf("readWords(%q) error = nil, want one", list)
		}
	}
}
