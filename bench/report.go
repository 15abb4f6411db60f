// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
)

func (r result) ratio() string {
	return fmt.Sprintf("%s (%s–%s, %s–%s)", figure(r.median), figure(r.low), figure(r.high), figure(r.least), figure(r.most))
}

// figure shows no more digits than the noise lets stand.
func figure(ratio float64) string {
	switch {
	case ratio < 0.1:
		return fmt.Sprintf("%.3f", ratio)
	case ratio < 10:
		return fmt.Sprintf("%.2f", ratio)
	}
	return fmt.Sprintf("%.0f", ratio)
}

// tokenTable has a row for each peer and a column for each algorithm.
func tokenTable(tokens map[string][]result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| whole request with one valid JWT | %s | RS256 B / allocs |\n", strings.Join(algorithms, " | "))
	fmt.Fprintf(&b, "|---|%s---|\n", strings.Repeat("---|", len(algorithms)))
	names := []string{"bare signature check"}
	for _, p := range peers() {
		names = append(names, p.name)
	}
	for _, name := range names {
		fmt.Fprintf(&b, "| %s |", name)
		cost := "–"
		for _, algorithm := range algorithms {
			cell := "–"
			for _, r := range tokens[algorithm] {
				if r.name != name {
					continue
				}
				cell = r.ratio()
				if name == names[0] {
					cell = "1"
				}
				if algorithm == "RS256" {
					cost = fmt.Sprintf("%.0f / %.0f", r.bytes, r.allocations)
				}
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		fmt.Fprintf(&b, " %s |\n", cost)
	}
	return b.String()
}

// pathTable has a row for each path, each with a floor of its own.
func pathTable(paths []pathResult) string {
	var b strings.Builder
	b.WriteString("| path | ratio to its floor | target | B / allocs | the floor |\n|---|---|---|---|---|\n")
	for _, p := range paths {
		fmt.Fprintf(&b, "| %s | %s | %s | %.0f / %.0f | %s |\n", p.name, p.ratio(), p.target, p.bytes, p.allocations, p.floor)
	}
	return b.String()
}

const begin, end = "<!-- results -->\n", "<!-- end of results -->"

// replaceResults puts the report between the marks of a file.
func replaceResults(name, report string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	head, rest, ok1 := bytes.Cut(text, []byte(begin))
	_, tail, ok2 := bytes.Cut(rest, []byte(end))
	if !ok1 || !ok2 {
		return errors.New(name + " has no marks for the results")
	}
	var b bytes.Buffer
	b.Write(head)
	b.WriteString(begin + report + end)
	b.Write(tail)
	return os.WriteFile(name, b.Bytes(), 0o644)
}
