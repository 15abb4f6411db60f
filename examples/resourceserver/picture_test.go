// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"html"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// The size of a panel in the picture.
const (
	panelWidth, panelHeight = 440, 214
	plotLeft, plotTop       = 56, 68
	plotWidth, plotHeight   = panelWidth - plotLeft - 16, panelHeight - plotTop - 30
	maxLines                = 6 // of a panel
	headHeight              = 70
)

// draw plots the results of the queries of the panels as SVG.
func draw(server promAPI, all []panel, from, to time.Time) string {
	var b strings.Builder
	rows := (len(all) + 1) / 2
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="The queries of the dashboard, plotted from the results of a Prometheus server">
<style>
text { font: 11px system-ui, sans-serif; fill: #24292f; }
.head { font-size: 15px; font-weight: 600; } .title { font-size: 13px; font-weight: 600; } .note { fill: #57606a; }
polyline { fill: none; stroke-width: 1.5; } line { stroke: #d0d7de; }
.c0 { stroke: #0969da; } .c1 { stroke: #cf222e; } .c2 { stroke: #1a7f37; } .c3 { stroke: #9a6700; } .c4 { stroke: #8250df; } .c5 { stroke: #57606a; }
text.c0 { fill: #0969da; stroke: none; } text.c1 { fill: #cf222e; stroke: none; } text.c2 { fill: #1a7f37; stroke: none; } text.c3 { fill: #9a6700; stroke: none; } text.c4 { fill: #8250df; stroke: none; } text.c5 { fill: #57606a; stroke: none; }
rect { fill: #ffffff; }
</style>
<rect width="100%%" height="100%%"/>
<text class="head" x="12" y="24">The queries of dashboard.json, plotted from the results of a Prometheus server</text>
<text class="note" x="12" y="42">Not a screenshot of Grafana. examples/resourceserver under load for %.0f s: good, expired and forged tokens, an issuer</text>
<text class="note" x="12" y="56">whose keys cannot be fetched, API keys in a Redis that stops for 10 s.</text>
`, 2*panelWidth, rows*panelHeight+headHeight, to.Sub(from).Seconds())
	for n, p := range all {
		drawPanel(&b, server, p, n%2*panelWidth, n/2*panelHeight+headHeight, from, to)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func drawPanel(b *strings.Builder, server promAPI, p panel, left, top int, from, to time.Time) {
	lines := make(map[string][]point)
	highest := 0.0
	for _, target := range p.Targets {
		for _, s := range server.query(target.Expr, from, to) {
			lines[legend(target.LegendFormat, s.labels)] = s.points
			for _, point := range s.points {
				highest = max(highest, point.value)
			}
		}
	}
	names := slices.SortedFunc(maps.Keys(lines), func(a, b string) int { return int(math.Copysign(1, peak(lines[b])-peak(lines[a]))) })
	if highest == 0 {
		highest = 1
	}
	x := func(at float64) float64 {
		return float64(left+plotLeft) + plotWidth*(at-float64(from.UnixMilli())/1000)/to.Sub(from).Seconds()
	}
	y := func(value float64) float64 { return float64(top+plotTop+plotHeight) - plotHeight*value/highest }
	fmt.Fprintf(b, "<text class=\"title\" x=\"%d\" y=\"%d\">%s</text>\n", left+12, top+18, html.EscapeString(p.Title))
	for _, value := range []float64{0, highest} {
		fmt.Fprintf(b, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text class=\"note\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
			left+plotLeft, left+plotLeft+plotWidth, y(value), y(value), left+plotLeft-4, y(value)+4, format(value, p.FieldConfig.Defaults.Unit))
	}
	fmt.Fprintf(b, "<text class=\"note\" x=\"%d\" y=\"%d\">0 s</text><text class=\"note\" x=\"%d\" y=\"%d\" text-anchor=\"end\">%.0f s</text>\n",
		left+plotLeft, top+panelHeight-14, left+plotLeft+plotWidth, top+panelHeight-14, to.Sub(from).Seconds())
	for n, name := range names {
		if n == maxLines {
			break
		}
		var path strings.Builder
		for _, point := range lines[name] {
			fmt.Fprintf(&path, "%.1f,%.1f ", x(point.at), y(point.value))
		}
		fmt.Fprintf(b, "<polyline class=\"c%d\" points=\"%s\"/><text class=\"c%d\" x=\"%d\" y=\"%d\">%s</text>\n",
			n, strings.TrimSpace(path.String()), n, left+12+n%2*210, top+33+n/2*13, html.EscapeString(name))
	}
}

func peak(points []point) float64 {
	highest := 0.0
	for _, p := range points {
		highest = max(highest, p.value)
	}
	return highest
}

// legend replaces the labels in a legend of Grafana, and shortens URLs.
func legend(format string, labels map[string]string) string {
	for name, value := range labels {
		format = strings.ReplaceAll(format, "{{"+name+"}}", strings.TrimPrefix(value, "http://"))
	}
	return format
}

// format returns a value in a unit of Grafana.
func format(value float64, unit string) string {
	switch unit {
	case "s":
		if value < 1 {
			return fmt.Sprintf("%.3g ms", 1000*value)
		}
		return fmt.Sprintf("%.3g s", value)
	case "percentunit":
		return fmt.Sprintf("%.3g %%", 100*value)
	case "reqps":
		return fmt.Sprintf("%.3g/s", value)
	}
	return fmt.Sprintf("%.3g", value)
}
