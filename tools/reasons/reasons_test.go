// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/tools/internal/repotest"
)

// TestRepository checks the reasons and codes of the library and their document.
func TestRepository(t *testing.T) {
	repotest.Check(t, run, "-check")
}

const core = `package gatehouse

import "net/http"

type constant string

func NewCode(status int, name, description constant) Code { return Code{} }

var (
	CodeA = NewCode(401, "a", "A.")
	CodeB = NewCode(http.StatusServiceUnavailable, "b", "B.")
)

type Reason string

// ReasonCore: text. Status: 401. Operator: nothing.
const ReasonCore Reason = "core"

var e = &Error{Code: CodeA, Reason: ReasonCore}
`

const other = `package p

import "example.com/gatehouse"

var CodeC = gatehouse.NewCode(403, "c", "C.")

const (
	// ReasonSeveral: beside two
	// codes | here. Status: 403, 503. Operator: see the
	// cause.
	ReasonSeveral gatehouse.Reason = "p_several"
	// ReasonEvent: of events. Status: none. Operator: nothing.
	ReasonEvent gatehouse.Reason = "p_event"
)

func f() {
	_ = gatehouse.Error{Code: gatehouse.CodeB, Reason: ReasonSeveral}
	_ = &gatehouse.Error{Code: CodeC, Reason: ReasonSeveral}
}
`

func runIn(t *testing.T, files map[string]string, args ...string) (dir string, code int, stderr string) {
	t.Helper()
	all := map[string]string{"core.go": core, "p/p.go": other, "p/p_test.go": "broken", "docs/reasons.md": "old", "examples/x/x.go": "package x\n\nvar r gatehouse.Reason = \"x\"\n"}
	maps.Copy(all, files)
	dir = repotest.Write(t, all)
	code, _, stderr = repotest.Run(run, dir, args...)
	return dir, code, stderr
}

func TestDocument(t *testing.T) {
	if _, code, stderr := runIn(t, nil, "-check"); code != 1 || !strings.Contains(stderr, "out of date") {
		t.Errorf("run(-check) with an old document = %d, %q, want 1, out of date", code, stderr)
	}
	dir, code, stderr := runIn(t, nil)
	got := repotest.Read(t, dir, "docs/reasons.md")
	want := preface +
		"| `core` | gatehouse | 401 | text | nothing |\n" +
		"| `p_event` | p | — | of events | nothing |\n" +
		"| `p_several` | p | 403, 503 | beside two codes \\| here | see the cause |\n"
	if code != 0 || got != want {
		t.Errorf("run() = %d, %s\ngot\n%s\nwant\n%s", code, stderr, got, want)
	}
	if code, _, stderr := repotest.Run(run, dir, "-check"); code != 0 {
		t.Errorf("run(-check) after writing = %d, %s, want 0", code, stderr)
	}
}

func TestRules(t *testing.T) {
	declare := func(text string) map[string]string { return map[string]string{"q/q.go": "package q\n\n" + text + "\n"} }
	constant := func(comment, value string) map[string]string {
		return declare(comment + "\nconst ReasonX gatehouse.Reason = " + value + "\n\nvar x = gatehouse.Error{Code: gatehouse.CodeA, Reason: ReasonX}")
	}
	const good = "// ReasonX: text. Status: 401. Operator: nothing."
	for _, c := range []struct {
		name  string
		files map[string]string
		want  string // "" for none
	}{
		{"good", constant(good, `"q_x"`), ""},
		{"no literal", constant(good, `"q_" + "x"`), "the value is not a string literal"},
		{"no prefix", constant(good, `"x"`), `"x" does not begin with "q_"`},
		{"upper case", constant(good, `"q_X"`), "is not lower-case words"},
		{"not unique", map[string]string{"p/r.go": "package p\n\n// ReasonX: text. Status: 401. Operator: nothing.\nconst ReasonX gatehouse.Reason = \"p_event\"\n"}, `is also the value of p.Reason`},
		{"no comment", constant("", `"q_x"`), "the comment is not of the form"},
		{"comment of another", constant("// ReasonY: text. Status: 401. Operator: nothing.", `"q_x"`), "the comment is not of the form"},
		{"no operator", constant("// ReasonX: text. Status: 401.", `"q_x"`), "the comment is not of the form"},
		{"no status", constant("// ReasonX: text. Operator: nothing.", `"q_x"`), "the comment is not of the form"},
		{"another status", constant("// ReasonX: text. Status: 403, 503. Operator: nothing.", `"q_x"`), "with 401, which its comment does not name"},
		{"two at once", declare(good + "\nconst ReasonX, ReasonY gatehouse.Reason = \"q_x\", \"q_y\""), "a declaration and a comment of its own"},
		{"in a function", declare("func f() {\n\tconst r gatehouse.Reason = \"q_x\"\n}"), "a reason is declared in a function"},
		{"converted", declare("var r = gatehouse.Reason(text)"), "a reason is converted"},
		{"literal", declare(`var e = gatehouse.Error{Reason: "q_x"}`), `the reason "q_x" is no constant`},
		{"assigned", declare("func f() {\n\te.Reason = \"q_x\"\n}"), `the reason "q_x" is no constant`},
		{"code in a function", declare("func f() {\n\tx := gatehouse.NewCode(401, \"a\", \"A.\")\n}"), "NewCode outside of"},
		{"code as an argument", declare("var x = f(gatehouse.NewCode(401, \"a\", \"A.\"))"), "NewCode outside of"},
		{"constructor as a value", declare("var x = gatehouse.NewCode"), "NewCode outside of"},
		{"code assigned", declare("func f() {\n\tgatehouse.CodeA = x\n}"), "a code is assigned"},
		{"own code assigned", declare("var codeX = gatehouse.NewCode(401, \"a\", \"A.\")\n\nfunc f() {\n\tcodeX = y\n}"), "a code is assigned"},
		{"address of a code", declare("func f() {\n\tx := &gatehouse.CodeA\n}"), "the address of a code"},
		{"not Go", declare("func"), "q.go:3:6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, code, stderr := runIn(t, c.files)
			if (code == 0) != (c.want == "") || !strings.Contains(stderr, c.want) {
				t.Errorf("run() = %d, %q, want %q", code, stderr, c.want)
			}
		})
	}
}
