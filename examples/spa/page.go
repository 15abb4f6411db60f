// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"path"
)

//go:embed index.html app.js style.css
var files embed.FS

// newPage returns the handler of the page: three static files. Any file server
// that sets these headers can replace it.
func newPage(config *config) (http.Handler, error) {
	t, err := template.ParseFS(files, "index.html")
	if err != nil {
		return nil, err
	}
	var index bytes.Buffer
	if err := t.Execute(&index, struct{ Backend string }{config.PublicOrigin}); err != nil {
		return nil, err
	}
	issuer, err := url.Parse(config.Issuer)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	// The script can call the backend only, so an injected script cannot send data
	// elsewhere. form-action also applies to redirects: the logout form leads to the
	// authorization server and back.
	policy := fmt.Sprintf("default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src %[1]s; "+
		"form-action 'self' %[1]s %[2]s://%[3]s; frame-ancestors 'none'; base-uri 'none'", config.PublicOrigin, issuer.Scheme, issuer.Host)

	mux := http.NewServeMux()
	serve := func(pattern, name string, content []byte) {
		kind := mime.TypeByExtension(path.Ext(name))
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = w.Write(content)
		})
	}
	serve("GET /{$}", "index.html", index.Bytes())
	for _, name := range []string{"app.js", "style.css"} {
		content, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		serve("GET /"+name, name, content)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		// The logout form needs the Origin header.
		h.Set("Referrer-Policy", "strict-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	}), nil
}
