// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const code = `package p

const limit = 1

var table, other = 1, 2

type (
	Gate[T any] struct{ Realm, Host string }
	Face interface{ Do() }
	Name string
)

func New() {}

func (*Gate[T]) Check() {}

func (n Name) String() string { return "" }
`

const tests = `package p

func TestGate(t *testing.T) { cases := []string{"two headers", "a | b"} }

func FuzzGate(f *testing.F) {}

func ExampleGate() {}

func helper() {}

func Testable() {}
`

func checkDocument(t *testing.T, table string) (code0 int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"p/p.go": code, "p/p_test.go": tests, "p/broken.go": "package", "docs/conformance.md": table,
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	code0 = run([]string{"-C", dir}, &out, &errs)
	return code0, out.String(), errs.String()
}

const head = "# Title\n\n| key | meaning |\n|---|---|\n| x | not a requirement |\n\n## RFC 1\n\n| § | Requirement | Code | Test |\n|---|---|---|---|\n"

func TestGood(t *testing.T) {
	status, stdout, stderr := checkDocument(t, head+
		"| 1 | MUST a | `p/p.go#New`, `p/p.go#limit`, `p/p.go#other` | `p/p_test.go#TestGate` |\n"+
		"| 2 | MUST b \\| c | `p/p.go#Gate.Check` `p/p.go#Gate.Host` | `p/p_test.go#TestGate/two headers`, `p/p_test.go#FuzzGate` |\n"+
		"| 3 | MUST d | `p/p.go#Face.Do`, `p/p.go#Name.String` | `p/p_test.go#ExampleGate`, `p/p_test.go#TestGate/a \\| b` |\n"+
		"\ntext\n\n## RFC 2\n\n| § | Requirement | Code | Test |\n|---|---|---|---|\n| 1 | MUST e | — the authorization server | — |\n")
	if status != 0 || stdout != "conformance: 4 requirements of 2 standards, 7 names of code, 5 of tests\n" {
		t.Errorf("%d, %s%s", status, stdout, stderr)
	}
}

func TestBad(t *testing.T) {
	const goodTest, goodCode = "`p/p_test.go#TestGate`", "`p/p.go#New`"
	for row, want := range map[string]string{
		"| 1 | MUST | `p/p.go#Gone` | " + goodTest + " |":             "docs/conformance.md:11: p/p.go#Gone is not declared",
		"| 1 | MUST | `p/p.go#Gate.Gone` | " + goodTest + " |":        "p/p.go#Gate.Gone is not declared",
		"| 1 | MUST | `p/p.go#Check` | " + goodTest + " |":            "p/p.go#Check is not declared",
		"| 1 | MUST | `p/p.go#New/case` | " + goodTest + " |":         "p/p.go#New/case is not declared",
		"| 1 | MUST | `p/gone.go#New` | " + goodTest + " |":           "p/gone.go: cannot be read",
		"| 1 | MUST | `p/broken.go#New` | " + goodTest + " |":         "p/broken.go: cannot be read",
		"| 1 | MUST | `../p/p.go#New` | " + goodTest + " |":           "not below the root",
		"| 1 | MUST | `p/p_test.go#helper` | " + goodTest + " |":      "is in a test",
		"| 1 | MUST | New | " + goodTest + " |":                       "neither a reference",
		"| 1 | MUST | `New` | " + goodTest + " |":                     "not of the form",
		"| 1 | MUST | | " + goodTest + " |":                           "a cell without a reference",
		"| 1 | MUST | " + goodCode + " | — |":                         "neither a reference",
		"| 1 | MUST | " + goodCode + " | `p/p_test.go#TestGone` |":    "p/p_test.go#TestGone does not exist",
		"| 1 | MUST | " + goodCode + " | `p/p_test.go#helper` |":      "not a test",
		"| 1 | MUST | " + goodCode + " | `p/p_test.go#Testable` |":    "not a test",
		"| 1 | MUST | " + goodCode + " | " + goodCode + " |":          "not a test",
		"| 1 | MUST | " + goodCode + " | `p/p_test.go#TestGate/x` |":  "no such case",
		"| 1 | MUST | " + goodCode + " | `p/gone_test.go#TestGate` |": "p/gone_test.go: cannot be read",
		"| 1 | MUST | " + goodCode + " |":                             "3 cells, want 4",
		"| 1 | | " + goodCode + " | " + goodTest + " |":               "no requirement",
		"| | MUST | " + goodCode + " | " + goodTest + " |":            "no section",
		"| 1 | MUST | — the client | " + goodTest + " |":              "somebody else",
		"| 1 | MUST | —  | — |":                                       "neither a reference",
		"":                                                            "no requirements",
	} {
		t.Run(row, func(t *testing.T) {
			if status, _, stderr := checkDocument(t, head+row+"\n"); status != 1 || !strings.Contains(stderr, want) {
				t.Errorf("%d, %q lacks %q", status, stderr, want)
			}
		})
	}
}

func TestNoDocument(t *testing.T) {
	var errs bytes.Buffer
	if status := run([]string{"-C", t.TempDir()}, &bytes.Buffer{}, &errs); status != 1 || !strings.Contains(errs.String(), "no such file") {
		t.Errorf("%d, %s", status, &errs)
	}
}
