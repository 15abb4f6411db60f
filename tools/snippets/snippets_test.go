// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/tools/internal/repotest"
)

const source = `// SPDX-License-Identifier: Apache-2.0

package x_test

func Example() {
	// snippet: call

	if call() {
		more()

	}
	// end snippet
	// snippet: other
	other("` + "```" + `")
	// end snippet
	// Output: done
}
`

const script = `#!/bin/sh
# snippet: run
go run .
# end snippet
`

// TestRepository checks the blocks of all documents.
func TestRepository(t *testing.T) { repotest.Check(t, run, "-check") }

func TestWriteThenCheck(t *testing.T) {
	const (
		before = "# Title\n\n<!-- snippet: p/x_test.go#call -->\n```go\nold\n```\n\ntext\n\n" +
			"<!-- snippet: p/run.sh#run -->\n\n```sh\n```\n\n```text\nown\n```\n\n" +
			"<!-- snippet: p/x_test.go -->\n````go\n```\n````\n"
		after = "# Title\n\n<!-- snippet: p/x_test.go#call -->\n```go\nif call() {\n\tmore()\n\n}\n```\n\ntext\n\n" +
			"<!-- snippet: p/run.sh#run -->\n\n```sh\ngo run .\n```\n\n```text\nown\n```\n\n" +
			"<!-- snippet: p/x_test.go -->\n````go\npackage x_test\n\nfunc Example() {\n\n\tif call() {\n\t\tmore()\n\n\t}\n" +
			"\tother(\"```\")\n\t// Output: done\n}\n````\n"
	)
	dir := repotest.Write(t, map[string]string{
		"README.md": before, "docs/d.md": before, "p/x_test.go": source, "p/run.sh": script,
		"node_modules/m/README.md":  "<!-- snippet: none -->\n",
		"p/testdata/README.md":      "<!-- snippet: none -->\n",
		".hidden/README.md":         "<!-- snippet: none -->\n",
		"docs/free.md":              "```go\nfree\n```\n",
		"docs/commentless-fence.md": "    ```go\n",
	})
	code, _, stderr := repotest.Run(run, dir, "-check")
	if code != 1 || !strings.Contains(stderr, "README.md: out of date") || !strings.Contains(stderr, "docs/d.md: out of date") {
		t.Errorf("run(-check) of stale documents = %d, %s", code, stderr)
	}
	if repotest.Read(t, dir, "README.md") != before {
		t.Error("run(-check) has changed README.md")
	}
	if code, _, stderr := repotest.Run(run, dir); code != 0 {
		t.Fatalf("run() = %d, %s", code, stderr)
	}
	for _, name := range []string{"README.md", "docs/d.md"} {
		if got := repotest.Read(t, dir, name); got != after {
			t.Errorf("%s is %q, want %q", name, got, after)
		}
	}
	code, stdout, stderr := repotest.Run(run, dir, "-check")
	if code != 0 || stdout != "snippets: 6 blocks in 4 files\n" {
		t.Errorf("run(-check) after writing = %d, %s%s", code, stdout, stderr)
	}
}

func TestErrors(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"go block of its own": {map[string]string{"README.md": "a\n```go\nx\n```\n"}, "README.md:2: a go block without"},
		"indented block":      {map[string]string{"README.md": "- a\n  ```go\n  x\n  ```\n"}, "README.md:2: a block that is indented"},
		"tildes":              {map[string]string{"README.md": "~~~go\nx\n~~~\n"}, "README.md:1: a block that is indented or fenced by tildes"},
		"no block":            {map[string]string{"README.md": "<!-- snippet: p.go -->\ntext\n"}, "README.md:2: no block after"},
		"no block at the end": {map[string]string{"README.md": "<!-- snippet: p.go -->\n"}, "no block after the snippet comment of p.go"},
		"malformed":           {map[string]string{"README.md": "<!-- snippet p.go -->\n"}, "README.md:1: malformed"},
		"not closed":          {map[string]string{"README.md": "```sh\nx\n"}, "not closed"},
		"no file":             {map[string]string{"README.md": "<!-- snippet: p.go -->\n```go\n```\n"}, "README.md:2: open"},
		"outside":             {map[string]string{"README.md": "<!-- snippet: ../p.go -->\n```go\n```\n"}, "not below the root"},
		"no name":             {map[string]string{"README.md": "<!-- snippet: p.go#n -->\n```go\n```\n", "p.go": "x\n"}, "p.go: no snippet is called n"},
		"empty":               {map[string]string{"README.md": "<!-- snippet: p.go#n -->\n```go\n```\n", "p.go": "// snippet: n\n\n// end snippet\n"}, "p.go#n: empty"},
		"nested":              {map[string]string{"README.md": "<!-- snippet: p.go#n -->\n```go\n```\n", "p.go": "// snippet: n\n// snippet: m\n"}, "p.go:2: snippet inside"},
		"twice":               {map[string]string{"README.md": "<!-- snippet: p.go#n -->\n```go\n```\n", "p.go": "// snippet: n\n// end snippet\n// snippet: n\n"}, "p.go:3: a second"},
		"no beginning":        {map[string]string{"README.md": "<!-- snippet: p.go#n -->\n```go\n```\n", "p.go": "// end snippet\n"}, "p.go:1: no snippet to end"},
		"no end":              {map[string]string{"README.md": "<!-- snippet: p.go#n -->\n```go\n```\n", "p.go": "// snippet: n\nx\n"}, "p.go:2: snippet n does not end"},
		"fence inside":        {map[string]string{"README.md": "<!-- snippet: p.go -->\n```go\n```\n", "p.go": "x\n```\n"}, "which ends the block"},
		"no documents":        {map[string]string{"p.go": "x\n"}, "no Markdown files"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := repotest.Write(t, c.files)
			for _, args := range [][]string{{"-check"}, nil} {
				if code, _, stderr := repotest.Run(run, dir, args...); code != 1 || !strings.Contains(stderr, c.want) {
					t.Errorf("run(%v) = %d, %q, want 1 and %q", args, code, stderr, c.want)
				}
			}
			for file, text := range c.files {
				if got := repotest.Read(t, dir, file); got != text {
					t.Errorf("%s was changed to %q", file, got)
				}
			}
		})
	}
}
