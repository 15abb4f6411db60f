// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// want is every removed check of testdata/guards and how it fares.
var want = map[string]string{
	`Check: s == "" => false`:              killed,
	`Check: len(s) > 10 => false`:          survived,
	`Check: s == "x" || s == "y" => false`: killed,
	`Check: s == "x" => false`:             killed,
	`Check: s == "y" => false`:             survived,
	`Accept: s == "good" => true`:          killed,
	`Kind: case "none" => removed`:         killed,
	`Kind: case "null" => removed`:         survived,
	`Kind: case "empty" => removed`:        killed,
	`Kind: default => removed`:             killed,
	`Bare: n < 0 => false`:                 killed,
	`Bare: n > 9 && n != 12 => false`:      killed,
	`Bare: n > 9 => true`:                  killed,
	`Bare: n != 12 => true`:                survived,
	`Is: s == "is" => true`:                killed,
	`Is: s == "is" => false`:               killed,
	`Both: a => true`:                      killed,
	`Both: b => true`:                      survived,
	`Skip: list[i] == "" => false`:         killed,
	`Else: ok => true`:                     killed,
	`Gather: s == "" => false`:             killed,
	`Gather: case string => removed`:       notCompiling,
	`Spin: n > 3 => false`:                 timedOut,
	`Pick: n == 2 => false`:                killed,
	`Pick: !is(2) => false`:                survived,
}

func runGuards(t *testing.T, equivalent string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("GOWORK", "off")
	list := filepath.Join(t.TempDir(), "equivalent.txt")
	if err := os.WriteFile(list, []byte(equivalent), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	code = run(t.Context(), []string{"-C", "testdata", "-equivalent", list, "-timeout", "5s", "-kinds", "check", "guards"}, &out, &errs)
	return code, out.String(), errs.String()
}

func TestRun(t *testing.T) {
	const list = "# comment\n\n" +
		"guards/guards.go Check: len(s) > 10 => false ## not observable\n" +
		"guards/guards.go Is: s == \"is\" => true ## wrong\n" +
		"guards/guards.go Gone: x => false ## no longer there\n" +
		"elsewhere/file.go Gone: x => false ## of a package that is not under test\n"
	code, stdout, stderr := runGuards(t, list)
	if code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}

	outcomes := make(map[string]string)
	for line := range strings.Lines(stdout) {
		outcome, rest, _ := strings.Cut(strings.TrimSpace(line), " guards/guards.go:")
		if _, id, ok := strings.Cut(rest, " "); ok && outcome != "-" { // the report has it once more
			outcomes[id] = strings.TrimSpace(outcome)
		}
	}
	for id, outcome := range want {
		if outcomes[id] != outcome {
			t.Errorf("outcome of %s = %q, want %q", id, outcomes[id], outcome)
		}
		delete(outcomes, id)
	}
	for id, outcome := range outcomes {
		t.Errorf("outcome of %s = %s, want no such mutant", id, outcome)
	}

	for id, outcome := range want {
		listed := strings.HasPrefix(id, "Check: len")
		if reported := strings.Contains(stderr, "guards/guards.go "+id+"\n"); reported != (outcome == survived && !listed) && !strings.HasPrefix(id, "Is: s == \"is\" => true") {
			t.Errorf("%s: reported as a survivor: %t", id, reported)
		}
	}
	for _, text := range []string{
		"survived: guards/guards.go:24: guards/guards.go Check: s == \"y\" => false",
		"listed as equivalent but killed: guards/guards.go Is: s == \"is\" => true",
		"listed as equivalent but there is no such mutant: guards/guards.go Gone: x => false",
	} {
		if !strings.Contains(stderr, text) {
			t.Errorf("standard error lacks %q:\n%s", text, stderr)
		}
	}
	if strings.Contains(stderr, "elsewhere") {
		t.Error("a package that is not under test is compared with the list")
	}
	for _, text := range []string{
		"## gatehouse/guards\n",
		"| guards/guards.go | 25 | 17 | 1 | 1 | 1 | 5 |",
		"- guards/guards.go:21 Check: `` len(s) > 10 `` is false: not observable",
		"- guards/guards.go:24 Check: `` s == \"y\" `` is false\n",
	} {
		if !strings.Contains(stdout, text) {
			t.Errorf("the report lacks %q:\n%s", text, stdout)
		}
	}
}

// TestKinds shows each kind of change where a test sees it and where none does.
func TestKinds(t *testing.T) {
	want := map[string]string{
		`Order: if is(s, "first") { return errors.New("first") } => after if is(s, "second") { return errors.New("second") }`: killed,
		`Order: if is(s, "second") { return errors.New("second") } => after log("a")`:                                         survived,
		`Clock: time.Now() => a day behind`:                   killed,
		`Expired: expires.Before(now) => or equal`:            survived,
		`Expired: now => a day behind`:                        killed,
		`Variable: _ = is(b, a) => after _ = pair(a, n)`:      survived,
		`Variable: is(b, a) => b and a swapped`:               survived,
		`Variable: is(a, b) => a and b swapped`:               killed,
		`Drop: wrap(save()) => nil`:                           killed,
		`Boundary: n <= 8 => <`:                               killed,
		`Slice: slices.Clone(s) => shared`:                    killed,
		`Order: log("a") => removed`:                          survived,
		`Order: log("b") => removed`:                          survived,
		`Statement: *n = 0 => removed`:                        killed,
		`Statement: *all += old => removed`:                   survived,
		`Field: s.From => To`:                                 killed,
		`OtherField: s.To => From`:                            survived,
		`Map: maps.Clone(m) => shared`:                        survived,
		`Expired: expires => now`:                             killed,
		`Expired: now => expires`:                             killed,
		`Near: a == b => prefix`:                              survived,
		`Near: a => b`:                                        survived,
		`Near: b => a`:                                        survived,
		`Near: h.Set("A", a) => removed`:                      survived,
		`Near: h.Set("B", b) => removed`:                      survived,
		`Near: h.Values("X") => the first`:                    killed,
		`Near: strings.EqualFold(a, b) => ==`:                 survived,
		`Near: strings.HasPrefix(a, "x") => contains`:         survived,
		`Statement: all => n`:                                 killed,
		`Statement: n => all`:                                 killed,
		`Sum: continue => break`:                              survived,
		`Sum: n < 0 => <=`:                                    survived,
		`Sum: n => sum`:                                       killed,
		`Sum: sum += n => removed`:                            killed,
		`Sum: sum += n => the only turn`:                      killed,
		`Variable: a => b`:                                    survived,
		`Variable: b => a`:                                    survived,
		`Wait: context.WithoutCancel(ctx) => canceled`:        killed,
		`Wait: errors.Is(err, context.Canceled) => any error`: killed,
		`is: prefix => s`:                                     killed,
		`is: s == prefix => prefix`:                           survived,
		`is: s => prefix`:                                     killed,
	}
	t.Setenv("GOWORK", "off")
	var out, errs bytes.Buffer
	args := []string{"-C", "testdata", "-equivalent", os.DevNull, "-kinds", "order,statement,clock,variable,error,boundary,slice,loop,near", "kinds"}
	if code := run(t.Context(), args, &out, &errs); code != 1 {
		t.Errorf("run(%q) = %d, want 1", args, code)
	}
	got := make(map[string]string)
	for line := range strings.Lines(out.String()) {
		outcome, rest, _ := strings.Cut(strings.TrimSpace(line), " kinds/kinds.go:")
		if _, id, ok := strings.Cut(rest, " "); ok && outcome != "-" {
			got[id] = strings.TrimSpace(outcome)
		}
	}
	for id := range want {
		if got[id] != want[id] {
			t.Errorf("outcome of %s = %q, want %q", id, got[id], want[id])
		}
		delete(got, id)
	}
	if len(got) > 0 {
		t.Errorf("run(%q) has also %v, want no such mutant", args, got)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Setenv("GOWORK", "off")
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	good := write("good.txt", "")
	for name, c := range map[string]struct {
		args []string
		code int
		text string
	}{
		"wrong -run":        {[]string{"-run", "(", "guards"}, 2, "missing closing"},
		"no package":        {nil, 2, "name at least one package"},
		"unknown flag":      {[]string{"-x"}, 2, "not defined"},
		"unknown kind":      {[]string{"-kinds", "check,speed", "guards"}, 2, `no kind is called "speed"`},
		"no list":           {[]string{"-equivalent", dir + "/none", "guards"}, 1, "no such file"},
		"list, no reason":   {[]string{"-equivalent", write("a.txt", "f.go F: x => false"), "guards"}, 1, "MUTANT ## REASON"},
		"list, empty":       {[]string{"-equivalent", write("b.txt", "f.go F: x => false ## "), "guards"}, 1, "MUTANT ## REASON"},
		"list, twice":       {[]string{"-equivalent", write("c.txt", "a ## b\na ## c\n"), "guards"}, 1, "c.txt:2: listed twice"},
		"no such package":   {[]string{"-equivalent", good, "none"}, 1, "go list none"},
		"tests do not pass": {[]string{"-equivalent", good, "failing"}, 1, "does not pass"},
		"no tests":          {[]string{"-equivalent", good, "untested"}, 1, "has no tests"},
	} {
		t.Run(name, func(t *testing.T) {
			var errs bytes.Buffer
			args := append([]string{"-C", "testdata"}, c.args...)
			if code := run(t.Context(), args, &bytes.Buffer{}, &errs); code != c.code || !strings.Contains(errs.String(), c.text) {
				t.Errorf("exit status %d, want %d; standard error lacks %q:\n%s", code, c.code, c.text, &errs)
			}
		})
	}
}

// Each mutant that TestAgain and TestEnds find is found by TestGuards too.
func TestNeedless(t *testing.T) {
	t.Setenv("GOWORK", "off")
	var out, errs bytes.Buffer
	args := []string{"-C", "testdata", "-equivalent", os.DevNull, "-timeout", "5s", "-kinds", "check", "-needless", "guards"}
	code := run(t.Context(), args, &out, &errs)
	_, got, _ := strings.Cut(out.String(), "Tests without which no more mutants would survive:\n")
	got, _, _ = strings.Cut(got, "\n\n")
	if want := "\tTestAgain, 5 lines\n\tTestEnds, 5 lines"; code != 1 || got != want {
		t.Errorf("run(%q) = %d, %q, want 1, %q\n%s\n%s", args, code, got, want, &out, &errs)
	}
}

// TestEquivalentListIsCurrent checks that each line of equivalent.txt names a mutant
// of today's code.
func TestEquivalentListIsCurrent(t *testing.T) {
	reasons, err := readEquivalent("equivalent.txt")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	loaded := make(map[string]bool)
	for id := range reasons {
		name, _, _ := strings.Cut(id, " ")
		dir := filepath.Dir(filepath.FromSlash(name))
		if !loaded[dir] {
			loaded[dir] = true
			p, err := loadPackage(t.Context(), root, dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range p.mutants {
				known[m.ID()] = true
			}
		}
		if !known[id] {
			t.Errorf("equivalent.txt: no such mutant: %s", id)
		}
	}
}

// What survived is tested again, and nothing else.
func TestAgain(t *testing.T) {
	code, _, stderr := runGuards(t, "")
	earlier := filepath.Join(t.TempDir(), "earlier.txt")
	if err := os.WriteFile(earlier, []byte(stderr), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	again := run(t.Context(), []string{"-C", "testdata", "-equivalent", os.DevNull, "-again", earlier, "guards"}, &out, &errs)
	survivors := strings.Count(stderr, "survived: ")
	if want := fmt.Sprintf("guards: %d mutants", survivors); code != 1 || again != 1 || survivors == 0 || !strings.Contains(out.String(), want) || errs.String() != stderr {
		t.Errorf("run with -again = %d, want 1, %q, and the same survivors\n%s\n%s\n%s", again, want, &out, stderr, &errs)
	}
	if code := run(t.Context(), []string{"-C", "testdata", "-equivalent", os.DevNull, "-again", earlier + "x", "guards"}, &out, &errs); code != 1 {
		t.Errorf("run with -again and no such file = %d, want 1", code)
	}
}

// Mutants of a list are tested instead of those that the tool finds.
func TestHand(t *testing.T) {
	t.Setenv("GOWORK", "off")
	list := filepath.Join(t.TempDir(), "hand.txt")
	write := func(text string) {
		if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hand := func() (code int, stdout, stderr string) {
		var out, errs bytes.Buffer
		code = run(t.Context(), []string{"-C", "testdata", "-equivalent", os.DevNull, "-hand", list, "guards"}, &out, &errs)
		return code, out.String(), errs.String()
	}
	write("# comment\n\nguards/guards.go ## len(s) >  10 ## len(s) > 11\nguards/guards.go ## s == \"x\" || ## \nkinds/kinds.go ## x ## y\n")
	code, stdout, stderr := hand()
	for _, want := range []string{"2 mutants", "survived      guards/guards.go:21 Check: len(s) >  10 => len(s) > 11", "killed        guards/guards.go:24 Check: s == \"x\" || => \n"} {
		if code != 1 || !strings.Contains(stdout, want) {
			t.Errorf("run with -hand = %d, want 1 and %q in\n%s\n%s", code, want, stdout, stderr)
		}
	}
	for text, want := range map[string]string{
		"guards/gaurds.go ## x ## y":              "1: stat ",
		"guards/guards.go ## x":                   "1: not of the form",
		"guards/guards.go ## nil ## y":            "want 1: nil",
		"guards/guards.go ## nowhere ## y":        "the code is 0 times",
		"guards/guards.go ## package guards ## y": "the code is in no function",
	} {
		write(text)
		if code, _, stderr := hand(); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("run with -hand %q = %d, %q, want 1, %q", text, code, stderr, want)
		}
	}
}
