// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/signin"
)

//go:embed index.html app.js style.css
var files embed.FS

// newPage returns the handler of the page: three static files. Any file server
// that sets these headers can replace it.
func newPage(config *config, login *signin.Handler) (http.Handler, error) {
	t, err := template.ParseFS(files, "index.html")
	if err != nil {
		return nil, err
	}
	var index bytes.Buffer
	if err := t.Execute(&index, struct{ Backend string }{config.PublicOrigin}); err != nil {
		return nil, err
	}
	// The script can call the backend only, so an injected script cannot send data
	// elsewhere. form-action also applies to redirects: the logout form leads to the
	// end_session_endpoint and back.
	policy := func(target string) string {
		return fmt.Sprintf("default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src %[1]s; "+
			"form-action 'self' %[1]s%[2]s; frame-ancestors 'none'; base-uri 'none'", config.PublicOrigin, origins(config.Issuer, target))
	}

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
		target := ""
		if r.URL.Path == "/" {
			target = logoutTarget(r.Context(), login)
		}
		h.Set("Content-Security-Policy", policy(target))
		h.Set("X-Content-Type-Options", "nosniff")
		// The logout form needs the Origin header.
		h.Set("Referrer-Policy", "strict-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	}), nil
}

// origins returns the different origins of the URLs, each after a space.
func origins(addresses ...string) string {
	var list []string
	for _, address := range addresses {
		if u, err := url.Parse(address); err == nil && u.Host != "" {
			list = append(list, " "+u.Scheme+"://"+u.Host)
		}
	}
	return strings.Join(slices.Compact(list), "")
}

// logoutTarget returns the origin of the end_session_endpoint, which may be another one
// than that of the issuer, and "" if it is unknown at the moment. The metadata are cached.
func logoutTarget(ctx context.Context, s *signin.Handler) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	origin, err := s.LogoutOrigin(ctx)
	if err != nil {
		return ""
	}
	return origin
}
