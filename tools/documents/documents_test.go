// SPDX-License-Identifier: Apache-2.0

// Package documents_test checks the documents of the repository.
package documents_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/tools/internal/repo"
	"github.com/gatehouse-go/gatehouse/tools/internal/repotest"
)

const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	return repotest.Read(t, root, name)
}

// contains reports whether a file of a directory, of those that the pattern names, has a
// text.
func contains(t *testing.T, dir, pattern, text string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), pattern))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool { return strings.Contains(repotest.Read(t, "", file), text) })
}

// TestLinks checks that every relative link of a document leads to a file.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	found := 0
	err := repo.Files(root, func(name string) error {
		if path.Ext(name) != ".md" {
			return nil
		}
		for _, m := range link.FindAllStringSubmatch(read(t, name), -1) {
			target, _, _ := strings.Cut(m[1], "#")
			if target == "" || strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			found++
			if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(path.Join(path.Dir(name), target)))); err != nil {
				t.Errorf("%s: links to %s: %v", name, m[1], err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 30 {
		t.Errorf("found %d links, want at least 30", found)
	}
}

// TestDecisions checks the form of the decisions and their rows in the index.
func TestDecisions(t *testing.T) {
	head := regexp.MustCompile(`\A# (\d+)\. (.+)\n\nDate: (\d{4}-\d\d-\d\d)\. Status: (.+)\.\n\n\*\*Decision\.\*\* `)
	index := read(t, "docs/decisions/README.md")
	files, err := filepath.Glob(filepath.Join(root, "docs", "decisions", "[0-9]*.md"))
	if err != nil || len(files) < 20 {
		t.Fatalf("Glob() = %d files, %v, want at least 20", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		m := head.FindStringSubmatch(read(t, "docs/decisions/"+name))
		if m == nil {
			t.Errorf("%s: does not begin with title, date, status and decision", name)
			continue
		}
		if want := fmt.Sprintf("%04s-", m[1]); !strings.HasPrefix(name, want) {
			t.Errorf("%s: the title has the number %s", name, m[1])
		}
		if want := fmt.Sprintf("| %s | [%s](%s) | %s | ", m[1], m[2], name, m[3]); !strings.Contains(index, want) {
			t.Errorf("docs/decisions/README.md lacks the row %q", want)
		}
		status, _, _ := strings.Cut(m[4], " ")
		if status = strings.TrimSuffix(status, "."); status != "accepted" && status != "superseded" {
			t.Errorf("%s: status %q, want accepted or superseded by", name, status)
		}
	}
	if rows := strings.Count(index, " | ["); rows != len(files) {
		t.Errorf("docs/decisions/README.md has %d rows, want %d", rows, len(files))
	}
}

// TestPackages checks that docs/packages.svg, which is drawn by hand, names the
// imports between the packages of the core module.
func TestPackages(t *testing.T) {
	const module = "github.com/gatehouse-go/gatehouse/"
	imports := make(map[string][]string)
	err := repo.Files(root, func(name string) error {
		if !repo.IsSource(name) {
			return nil
		}
		dir := path.Dir(name)
		if outside := regexp.MustCompile(`^(\.|(tools|bench|examples|interop|store|adapter|.*internal|.*test)(/.*)?)$`); outside.MatchString(dir) {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, filepath.FromSlash(name)), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module)
			if ok && !strings.HasPrefix(imported, "internal/") && !slices.Contains(imports[dir], imported) {
				imports[dir] = append(imports[dir], imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var sentences []string
	for _, dir := range slices.Sorted(maps.Keys(imports)) {
		slices.Sort(imports[dir])
		sentences = append(sentences, dir+" imports "+strings.Join(imports[dir], ", "))
	}
	want := `aria-label="Imports between packages: ` + strings.Join(sentences, "; ") + `."`
	if svg := read(t, "docs/packages.svg"); !strings.Contains(svg, want) {
		t.Errorf("docs/packages.svg lacks %s", want)
	}
}

// TestOperations checks that the events and reasons of docs/operations.md exist.
func TestOperations(t *testing.T) {
	name := regexp.MustCompile("`(([a-z]+)_[a-z_]+)`")
	found := 0
	for _, m := range name.FindAllStringSubmatch(read(t, "docs/operations.md"), -1) {
		// A package of the core module, of agent, of store, or the core package.
		if !slices.ContainsFunc([]string{m[2], "agent/" + m[2], "store/" + m[2], "."}, func(dir string) bool { return contains(t, dir, "*.go", ` = "`+m[1]+`"`) }) {
			t.Errorf("docs/operations.md: no package %s or core package has an event or reason %s", m[2], m[1])
		}
		found++
	}
	if found < 15 {
		t.Errorf("found %d names, want at least 15", found)
	}
}

// TestFAPI checks that every test and file in the tables of docs/fapi.md exists.
func TestFAPI(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| .+ \| (.+) \| (.+) \|$`)
	test := regexp.MustCompile("`([a-z/]+)`|(Test[A-Za-z0-9]+)")
	file := regexp.MustCompile("`([a-z/]+\\.go)`")
	found := 0
	for _, m := range row.FindAllStringSubmatch(read(t, "docs/fapi.md"), -1) {
		for _, name := range file.FindAllStringSubmatch(m[1], -1) {
			read(t, name[1])
		}
		dir := ""
		for _, name := range test.FindAllStringSubmatch(m[2], -1) {
			if name[2] == "" {
				dir = strings.TrimPrefix(name[1], "gatehouse")
				continue
			}
			found++
			if !contains(t, dir, "*_test.go", "\nfunc "+name[2]+"(") {
				t.Errorf("docs/fapi.md: package %q has no %s", dir, name[2])
			}
		}
	}
	if found < 30 {
		t.Errorf("found %d tests, want at least 30", found)
	}
}
