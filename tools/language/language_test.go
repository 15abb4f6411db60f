// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/tools/internal/repotest"
)

// TestRepository checks every file of the repository.
func TestRepository(t *testing.T) {
	repotest.Check(t, run)
}

func TestCheck(t *testing.T) {
	words, err := readWords("# comment\n\nrooms? ## package\nis told ## receives\n")
	if err != nil {
		t.Fatal(err)
	}
	dir := repotest.Write(t, map[string]string{
		"a/comment.go":          "package a\n\n// A room is here, and the caller is\n// told so.\n",
		"a/string.go":           "package a\n\nvar s = `x\nroom`\n",
		"a/name.go":             "package a\n\nfunc makeRoom(isTold bool) {}\n",
		"a/good.go":             "package a\n\n// The broom is toldered.\nvar mushroom = broomy.X\n",
		"b/doc.md":              "one\n\nTwo ROOMS\n",
		"b/image.png":           "room",
		"node_modules/m/doc.md": "room",
		".git/doc.md":           "room",
		"b/testdata/broken.go":  "room",
	})
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
			got, err := check(dir, words, c.under)
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
