// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The measures of the picture, in pixels.
const (
	boxWidth, boxHeight = 104, 40
	gapX, gapY          = 20, 56
	margin              = 20
)

const style = `<style>
text { font: 600 13px system-ui, sans-serif; fill: #24292f; text-anchor: middle; }
.small { font-weight: 400; font-size: 12px; fill: #57606a; }
.box { fill: #f6f8fa; stroke: #8c959f; }
.core { fill: #dafbe1; stroke: #1f7a4d; }
.arrow { stroke: #57606a; stroke-width: 1.3; fill: none; marker-end: url(#tip); }
.tip { fill: #57606a; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .small { fill: #9198a1; }
.box { fill: #151b23; stroke: #656c76; } .core { fill: #12261e; stroke: #3fb950; }
.arrow { stroke: #9198a1; } .tip { fill: #9198a1; }
}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>
`

// draw returns the picture. Packages stand in rows, each above those that it
// imports.
func draw(packages map[string]*pkg) string {
	rows := layout(packages)
	widest := 0
	for _, row := range rows {
		widest = max(widest, len(row))
	}
	width := 2*margin + widest*(boxWidth+gapX) - gapX
	top := func(row int) int { return margin + (len(rows)-1-row)*(boxHeight+gapY) }
	height := top(0) + boxHeight + gapY/2 + boxHeight + margin
	left := place(packages, rows, width)
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n", width, height, describe(rows))
	b.WriteString(style)
	for _, row := range rows {
		for _, p := range row {
			direct := arrows(packages, p)
			slices.SortFunc(direct, func(a, b string) int { return cmp.Compare(left[a], left[b]) })
			for i, name := range direct {
				q := packages[name]
				x1 := left[p.name] + boxWidth*(i+1)/(len(direct)+1)
				x2, y1, y2 := left[q.name]+boxWidth/2, top(p.row)+boxHeight, top(q.row)-2
				// The curve leaves downwards and arrives downwards, so that it is
				// seen to which box it leads.
				fmt.Fprintf(&b, `<path class="arrow" d="M%d %dC%d %d %d %d %d %d"/>`+"\n", x1, y1, x1, y1+gapY*2/3, x2, y2-gapY*2/3, x2, y2)
			}
		}
	}
	for _, row := range rows {
		for _, p := range row {
			x, y := left[p.name], top(p.row)
			fmt.Fprintf(&b, `<rect class="box" x="%d" y="%d" width="%d" height="%d" rx="8"/><text x="%d" y="%d">%s</text>`+"\n",
				x, y, boxWidth, boxHeight, x+boxWidth/2, y+boxHeight/2+5, p.name)
		}
	}
	y := top(0) + boxHeight + gapY/2
	fmt.Fprintf(&b, `<rect class="core" x="%d" y="%d" width="%d" height="%d" rx="8"/><text x="%d" y="%d">gatehouse <tspan class="small">the core package, which each package may import and which imports none of them</tspan></text>`+"\n",
		margin, y, width-2*margin, boxHeight, width/2, y+boxHeight/2+5)
	b.WriteString("</svg>\n")
	return b.String()
}

// layout returns the rows from the bottom, each in its order from the left.
func layout(packages map[string]*pkg) [][]*pkg {
	var rows [][]*pkg
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		p := packages[name]
		for len(rows) <= p.row {
			rows = append(rows, nil)
		}
		rows[p.row] = append(rows[p.row], p)
	}
	// In the lowest row, packages that are imported together stand together: those
	// that others import first, and those with common importers side by side.
	sum := make(map[string]float64)
	weight := make(map[string]float64)
	for i, name := range slices.Sorted(maps.Keys(packages)) {
		for _, imported := range packages[name].imports {
			sum[imported] += float64(i)
			weight[imported]++
		}
	}
	slices.SortStableFunc(rows[0], func(a, b *pkg) int {
		x, y := weight[a.name] > 0, weight[b.name] > 0
		if x != y {
			if x {
				return -1
			}
			return 1
		}
		if !x {
			return 0
		}
		return cmp.Compare(sum[a.name]/weight[a.name], sum[b.name]/weight[b.name])
	})
	return rows
}

// place returns the left edge of each box: that of the middle of the boxes that it
// points to, as far as the boxes of a row do not overlap.
func place(packages map[string]*pkg, rows [][]*pkg, width int) map[string]int {
	const step = boxWidth + gapX
	left := make(map[string]int)
	for i, p := range rows[0] {
		left[p.name] = margin + i*step
	}
	for _, row := range rows[1:] {
		wanted := make(map[string]int)
		for _, p := range row {
			direct := arrows(packages, p)
			for _, name := range direct {
				wanted[p.name] += left[name] / len(direct)
			}
		}
		slices.SortStableFunc(row, func(a, b *pkg) int { return cmp.Compare(wanted[a.name], wanted[b.name]) })
		moved := 0
		for i, p := range row {
			left[p.name] = wanted[p.name]
			if i > 0 {
				left[p.name] = max(wanted[p.name], left[row[i-1].name]+step)
			}
			moved += left[p.name] - wanted[p.name]
		}
		// Move the row back by what its boxes were moved to the right on average.
		back := min(moved/len(row), left[row[0].name]-margin)
		back = max(back, left[row[len(row)-1].name]+boxWidth+margin-width)
		for _, p := range row {
			left[p.name] -= back
		}
	}
	return left
}

// arrows returns the imports of p that do not follow from its other imports, so
// that the picture stays readable.
func arrows(packages map[string]*pkg, p *pkg) []string {
	var direct []string
	for _, name := range p.imports {
		if packages[name] != nil && !slices.ContainsFunc(p.imports, func(other string) bool {
			return other != name && packages[other] != nil && reaches(packages, other, name)
		}) {
			direct = append(direct, name)
		}
	}
	return direct
}

func reaches(packages map[string]*pkg, from, to string) bool {
	p := packages[from]
	return p != nil && slices.ContainsFunc(p.imports, func(name string) bool { return name == to || reaches(packages, name, to) })
}

// describe says in words what the picture shows.
func describe(rows [][]*pkg) string {
	var parts []string
	for _, row := range rows {
		for _, p := range row {
			if len(p.imports) > 0 {
				parts = append(parts, p.name+" imports "+strings.Join(p.imports, ", "))
			}
		}
	}
	if len(parts) == 0 {
		return "The packages import the core package only."
	}
	return "Imports between packages: " + strings.Join(parts, "; ") + "."
}
