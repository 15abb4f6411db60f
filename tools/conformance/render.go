// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path"
	"strings"
)

const notice = "<!-- Written by tools/conformance from the comments in the code and tools/conformance/standards. Do not edit. -->\n"

const preface = `
# Conformance

Each page lists the requirements of one standard that the library implements, the
declaration that obeys each of them, and the tests that fail if it does not. Text
in quotation marks is the standard's; the rest is a paraphrase. Requirements on
another party, such as the authorization server or the application, name that
party. Deliberate departures stand at the end of a page.

The links come from comments in the code and the tests; see
[decision 6](../decisions/0006-conformance-from-comments.md).

| standard | title | requirements | of other parties | departures |
|---|---|---:|---:|---:|
`

// render returns the pages by their names.
func render(standards []standard, rows []*requirement) map[string]string {
	pages := make(map[string]string)
	var index strings.Builder
	index.WriteString(notice + preface)
	total := 0
	for _, s := range standards {
		var own []*requirement
		for _, r := range rows {
			if r.standard == s.name {
				own = append(own, r)
			}
		}
		total += len(own)
		pages[s.page()] = s.render(own)
		fmt.Fprintf(&index, "| [%s](%s) | %s | %d | %d | %d |\n", s.name, s.page(), s.title, len(own), len(s.elsewhere), len(s.departures))
	}
	fmt.Fprintf(&index, "\n%d requirements in all.\n", total)
	pages["README.md"] = index.String()
	return pages
}

func (s standard) render(rows []*requirement) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n# %s: %s\n\nText: <%s>\n", notice, s.name, s.title, s.url)
	if len(rows) > 0 {
		b.WriteString("\n| § | Requirement | Code | Tests |\n|---|---|---|---|\n")
	}
	for _, r := range rows {
		section := r.section
		if r.more != "" {
			section += ", " + r.more
		}
		if r.label != "" {
			section += " " + cell(r.label)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", strings.ReplaceAll(section, "§", ""), cell(r.text), links(r.code), links(r.tests))
	}
	if len(s.elsewhere) > 0 {
		b.WriteString("\n## Requirements on other parties\n\n| § | Requirement | Party |\n|---|---|---|\n")
	}
	for _, e := range s.elsewhere {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", strings.ReplaceAll(e.section, "§", ""), cell(e.text), cell(e.party))
	}
	if len(s.departures) > 0 {
		b.WriteString("\n## Departures\n\n")
	}
	for _, d := range s.departures {
		fmt.Fprintf(&b, "- %s: %s\n", d.section, d.text)
	}
	return b.String()
}

// cell keeps a text from ending its cell.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// links names each place and points to its file. There are no line numbers, which
// every change above a line would move.
func links(places []place) string {
	var out []string
	for _, p := range places {
		text := p.name
		if p.sub != "" {
			text += "/" + p.sub
		}
		fence := "`"
		if strings.Contains(text, "`") {
			fence = "``"
		}
		out = append(out, fmt.Sprintf("[%s%s%s](%s)", fence, cell(text), fence, "../../"+p.file)+where(p))
	}
	return strings.Join(out, ", ")
}

func where(p place) string {
	if dir := path.Dir(p.file); dir != "." {
		return " in " + dir
	}
	return ""
}
