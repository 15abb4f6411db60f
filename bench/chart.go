// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"html"
	"strings"
)

// chart draws the ratios of one algorithm as bars. It carries its own colours
// for light and dark pages.
func chart(results []result) string {
	const (
		width, row, top  = 760, 30, 56
		label, right     = 240, 90
		barHeight, inset = 16, 7
	)
	longest := 0.0
	for _, r := range results {
		longest = max(longest, r.median)
	}
	scale := (width - label - right) / longest
	height := top + row*len(results) + 34
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="Time of a whole request with a valid RS256 token, as a ratio to the bare signature check">
<style>
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 15px; font-weight: 600; }
.note { font-size: 11px; fill: #57606a; }
.peer { fill: #afb8c1; } .ours { fill: #1f7a4d; } .floor { fill: #57606a; }
.line { stroke: #57606a; stroke-dasharray: 3 3; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .note { fill: #9198a1; } .peer { fill: #6e7681; } .ours { fill: #3fb950; } .floor { fill: #9198a1; }
}
</style>
<text class="title" x="12" y="24">A whole request with a valid RS256 token</text>
<text class="note" x="12" y="42">time as a ratio to the bare signature check of the standard library; shorter is better</text>
`, width, height)
	for n, r := range results {
		y := top + n*row
		class := "peer"
		switch {
		case n == 0:
			class = "floor"
		case strings.HasPrefix(r.name, "Gatehouse"):
			class = "ours"
		}
		length := max(r.median*scale, 2)
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, label-10, y+inset+13, html.EscapeString(r.name))
		fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="2"/>`, class, label, y+inset, length, barHeight)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s</text>`+"\n", label+length+8, y+inset+13, figure(r.median))
	}
	fmt.Fprintf(&b, `<line class="line" x1="%.1f" y1="%d" x2="%.1f" y2="%d"/>`+"\n", label+scale, top, label+scale, top+row*len(results))
	fmt.Fprintf(&b, `<text class="note" x="12" y="%d">medians of interleaved passes of one run; method and spread in bench/README.md</text>`+"\n</svg>\n", height-12)
	return b.String()
}
