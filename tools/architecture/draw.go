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

// draw returns the picture. Packages stand in rows, and within a row near those
// that they import.
func draw(packages map[string]*pkg) string {
	rows := layout(packages)
	widest := 0
	for _, row := range rows {
		widest = max(widest, len(row))
	}
	width := 2*margin + widest*(boxWidth+gapX) - gapX
	top := func(row int) int { return margin + (len(rows)-1-row)*(boxHeight+gapY) }
	height := top(0) + boxHeight + gapY/2 + boxHeight + margin

	left := make(map[string]int)
	for _, row := range rows {
		start := (width - len(row)*(boxWidth+gapX) + gapX) / 2
		for i, p := range row {
			left[p.name] = start + i*(boxWidth+gapX)
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n", width, height, describe(rows))
	b.WriteString(style)
	for _, row := range rows {
		for _, p := range row {
			for i, name := range p.imports {
				q := packages[name]
				if q == nil {
					continue
				}
				x1 := left[p.name] + boxWidth*(i+1)/(len(p.imports)+1)
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
	fmt.Fprintf(&b, `<rect class="core" x="%d" y="%d" width="%d" height="%d" rx="8"/><text x="%d" y="%d">gatehouse <tspan class="small">the core package, which every package imports and which imports none of them</tspan></text>`+"\n",
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
	place := make(map[string]float64)
	weight := make(map[string]float64)
	for i, name := range slices.Sorted(maps.Keys(packages)) {
		for _, imported := range packages[name].imports {
			place[imported] += float64(i)
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
		return cmp.Compare(place[a.name]/weight[a.name], place[b.name]/weight[b.name])
	})
	at := make(map[string]float64)
	for _, row := range rows {
		mean := func(p *pkg) float64 {
			sum, n := 0.0, 0.0
			for _, name := range p.imports {
				if packages[name] != nil {
					sum, n = sum+at[name], n+1
				}
			}
			return sum / max(n, 1)
		}
		if row[0].row > 0 {
			slices.SortStableFunc(row, func(a, b *pkg) int { return cmp.Compare(mean(a), mean(b)) })
		}
		for i, p := range row {
			at[p.name] = float64(i) - float64(len(row)-1)/2
		}
	}
	return rows
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
	return "Imports between packages: " + strings.Join(parts, "; ") + ". All import the core package."
}
