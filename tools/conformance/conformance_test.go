// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/tools/internal/repotest"
)

// TestRepository checks that docs/conformance is what the comments say.
func TestRepository(t *testing.T) {
	repotest.Check(t, run, "-check")
}

const standardsFile = `RFC 1 | First | https://example.com/1

# comment
§2.1 (a): Stated | here.
§6, §7: Implemented by name.
§6 (label): The same with a label.

elsewhere §9: TLS, https | the application
departs §8: not done, on purpose.
`

const code = `// Package p is documented.
//
//	RFC 1 §10: about the package
package p

const limit = 1 // RFC 1 §2: a limit of one

// RFC 1 §2.1 (a): "more than
// one line".
// RFC 1 §2.1 (b): "another | one".
var table, other = 1, 2

type (
	Gate[T any] struct {
		Realm string
		// RFC 1 §3, §3.1: a field.
		Host string
	}
	Face interface {
		Do() // RFC 1 §4: a method
	}
)

// New mentions RFC 1 §99: not at the start of a line.
//
// Implements RFC 1 §6, §6 (label),
// §2.1 (a).
func New() {
	if true {
		// OIDC Core §1: inside.
		//
		// Not a part of it.
	}
}

// Check does.
//
//	RFC 1 §5: "text"
// and this is no part of it.
func (*Gate[T]) Check() {
	// Implements RFC 1 §2.1 (a).
}
`

const tests = `package p

// TestGate tests.
//
// Covers RFC 1 §10, §2, §2.1 (a, b), §3;
// OIDC Core §1.
// Covers RFC 1 §6, §6 (label).
func TestGate(t *testing.T) {
	_ = []string{
		"two | rows", // Covers RFC 1 §4.
		// Covers RFC 1 §5.
		"next row",
	}
}
`

// tree writes a repository whose files are those above, as changed.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	all := map[string]string{
		"tools/conformance/standards/rfc1.txt":      standardsFile,
		"tools/conformance/standards/oidc-core.txt": "OIDC Core | Second | https://example.com/2\n",
		"p/p.go": code, "p/p_test.go": tests, "p/testdata/x.go": "broken",
		"p/ptest/x.go": "package ptest\n\n// RFC 1 §2: attacked.\nfunc F() {}\n",
	}
	maps.Copy(all, files)
	return repotest.Write(t, all)
}

const page = notice + `
# RFC 1: First

Text: <https://example.com/1>

| § | Requirement | Code | Tests |
|---|---|---|---|
| 2 | a limit of one | [` + "`" + `limit` + "`" + `](../../p/p.go) in p | [` + "`" + `TestGate` + "`" + `](../../p/p_test.go) in p |
| 2.1 a | Stated \| here. | [` + "`" + `table` + "`" + `](../../p/p.go) in p, [` + "`" + `New` + "`" + `](../../p/p.go) in p, [` + "`" + `Gate.Check` + "`" + `](../../p/p.go) in p | [` + "`" + `TestGate` + "`" + `](../../p/p_test.go) in p |
| 2.1 b | "another \| one". | [` + "`" + `table` + "`" + `](../../p/p.go) in p | [` + "`" + `TestGate` + "`" + `](../../p/p_test.go) in p |
| 3, 3.1 | a field. | [` + "`" + `Gate.Host` + "`" + `](../../p/p.go) in p | [` + "`" + `TestGate` + "`" + `](../../p/p_test.go) in p |
| 4 | a method | [` + "`" + `Face.Do` + "`" + `](../../p/p.go) in p | [` + "`" + `TestGate/two \| rows` + "`" + `](../../p/p_test.go) in p |
| 5 | "text" | [` + "`" + `Gate.Check` + "`" + `](../../p/p.go) in p | [` + "`" + `TestGate/next row` + "`" + `](../../p/p_test.go) in p |
| 6, 7 | Implemented by name. | [` + "`" + `New` + "`" + `](../../p/p.go) in p | [` + "`" + `TestGate` + "`" + `](../../p/p_test.go) in p |
| 6 label | The same with a label. | [` + "`" + `New` + "`" + `](../../p/p.go) in p | [` + "`" + `TestGate` + "`" + `](../../p/p_test.go) in p |
| 10 | about the package | [` + "`" + `package p` + "`" + `](../../p/p.go) in p | [` + "`" + `TestGate` + "`" + `](../../p/p_test.go) in p |

## Requirements on other parties

| § | Requirement | Party |
|---|---|---|
| 9 | TLS, https | the application |

## Departures

- §8: not done, on purpose.
`

func TestWriteThenCheck(t *testing.T) {
	dir := tree(t, map[string]string{"docs/conformance/rfc0.md": "left over"})
	for _, args := range [][]string{{"-check"}, nil} {
		if code, _, stderr := repotest.Run(run, dir, args...); code != 1 || !strings.Contains(stderr, "rfc0.md: no standard") || strings.Contains(stderr, "rfc1.md: out of date") != (args != nil) {
			t.Errorf("run(%v) beside another page = %d, %s", args, code, stderr)
		}
	}
	if err := os.Remove(filepath.Join(dir, "docs", "conformance", "rfc0.md")); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := repotest.Run(run, dir)
	if want := "conformance: 10 requirements of 2 standards, covered by 1 tests\n"; code != 0 || stdout != want {
		t.Fatalf("run() = %d, %q, want 0, %q\n%s", code, stdout, want, stderr)
	}
	if got := repotest.Read(t, dir, "docs/conformance/rfc1.md"); got != page {
		t.Errorf("rfc1.md =\n%s\nwant\n%s", got, page)
	}
	index := repotest.Read(t, dir, "docs/conformance/README.md")
	for _, want := range []string{"| [RFC 1](rfc1.md) | First | 9 | 1 | 1 |\n", "| [OIDC Core](oidc-core.md) | Second | 1 | 0 | 0 |\n", "10 requirements in all."} {
		if !strings.Contains(index, want) {
			t.Errorf("README.md lacks %q:\n%s", want, index)
		}
	}
	if code, _, stderr := repotest.Run(run, dir, "-check"); code != 0 {
		t.Errorf("run(-check) after writing = %d, %s", code, stderr)
	}
}

func TestErrors(t *testing.T) {
	const standardsDir = "tools/conformance/standards/"
	function := func(comment string) string { return "package p\n\n" + comment + "\nfunc F() {}\n" }
	inTest := func(comment string) string { return "package p\n\n" + comment + "\nfunc TestF(t *testing.T) {}\n" }
	for _, c := range []struct{ name, file, text, want string }{
		{"no test", "p/q.go", function("// RFC 1 §7: not covered."), "RFC 1 §7: no test covers it"},
		{"no code", standardsDir + "rfc1.txt", standardsFile + "§7: text\n", "RFC 1 §7: no comment in the code implements it"},
		{"no such requirement in a test", "p/q_test.go", inTest("// Covers RFC 1 §7."), "p/q_test.go: TestF: covers RFC 1 §7, which is neither"},
		{"no such requirement in the code", "p/q.go", function("// Implements RFC 1 §7."), "p/q.go:3: RFC 1 §7 is not stated"},
		{"no label", "p/q_test.go", inTest("// Covers RFC 1 §2.1."), "covers RFC 1 §2.1, which is neither"},
		{"unknown standard", "p/q.go", function("// RFC 2 §7: text."), "p/q.go:3: RFC 2 has no file"},
		{"two texts", "p/q.go", function("// RFC 1 §2: another text."), "has another text at"},
		{"no full stop", "p/q_test.go", inTest("// Covers RFC 1 §2"), "does not end with a full stop"},
		{"no full stop in the code", "p/q.go", function("// Implements RFC 1 §2"), "does not end with a full stop"},
		{"no form", "p/q_test.go", inTest("// Covers RFC 1 §2, also."), `"also" is not of the form`},
		{"not a test", "p/q_test.go", "package p\n\n// Covers RFC 1 §2.\nfunc helper() {}\n", "p/q_test.go:3: Covers is not in the comment of a test"},
		{"not Go", "p/q.go", "package", "q.go:1:8"},
		{"standard, head", standardsDir + "rfc1.txt", "nonsense\n", "standards/rfc1.txt:1: want NAME"},
		{"standard, empty", standardsDir + "rfc1.txt", "", "standards/rfc1.txt:1: empty"},
		{"standard, form", standardsDir + "rfc1.txt", standardsFile + "nonsense\n", "standards/rfc1.txt:10: neither a requirement"},
		{"standard, twice", standardsDir + "rfc1.txt", standardsFile + "§6: text\n", "standards/rfc1.txt:10: RFC 1 §6 a second time"},
		{"standard, file", standardsDir + "rfc3.txt", "RFC 2 | A | https://example.com\n", "standards/rfc3.txt:1: RFC 2 belongs in rfc2.txt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if code, _, stderr := repotest.Run(run, tree(t, map[string]string{c.file: c.text})); code != 1 || !strings.Contains(stderr, c.want) {
				t.Errorf("run() = %d, %q, want 1 and %q", code, stderr, c.want)
			}
		})
	}
	if code, _, stderr := repotest.Run(run, t.TempDir()); code != 1 || !strings.Contains(stderr, "no files") {
		t.Errorf("run() in an empty directory = %d, %q, want 1 and a missing list", code, stderr)
	}
}
