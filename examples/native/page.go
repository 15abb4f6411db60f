// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"strings"
)

// page is a page for the browser. It contains nothing from the request, the
// authorization server or a token.
type page int

const (
	pageForeign page = iota
	pageDone
	pageRefused
	pageFailed
)

func (p page) text() (title, text string) {
	switch p {
	case pageDone:
		return "You are signed in", "You can close this page and go back to the program."
	case pageRefused:
		return "The sign-in was refused", "You can close this page. The program shows the reason."
	case pageFailed:
		return "The sign-in could not be completed", "You can close this page. The program shows the reason. To try again, start it again."
	case pageForeign:
	}
	return "Unexpected request", "This is not the response that the program waits for. You can close this page."
}

// Implements RFC 9700 §4.2.4.
func show(w http.ResponseWriter, status int, p page) {
	title, text := p.text()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	// The URL contains the code and the state.
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(status)
	_, _ = strings.NewReplacer("{title}", title, "{text}", text).WriteString(w, layout) // the browser may be closed
}

const layout = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 16px/1.5 system-ui, sans-serif; background: light-dark(#f6f8fa, #0d1117); color: light-dark(#1f2328, #e6edf3); }
main { max-width: 26rem; margin: 1.25rem; padding: 2rem; border: 1px solid light-dark(#d8dee4, #30363d); border-radius: 10px; background: light-dark(#fff, #151b23); }
h1 { font-size: 1.35rem; margin: 0 0 .5rem; } p { margin: 0; color: light-dark(#57606a, #9198a1); }
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
</main>
</body>
</html>
`
