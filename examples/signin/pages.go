// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"embed"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/signin"
)

//go:embed index.html app.js style.css message.html
var files embed.FS

var pages = template.Must(template.ParseFS(files, "*.html"))

// asset serves an embedded file.
func asset(name string) http.HandlerFunc {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // not embedded
	}
	kind := mime.TypeByExtension(path.Ext(name))
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(content)
	}
}

// messagePage returns the function for the pages of refused navigations: those of the
// login, and those of the API, such as a form after the end of the session. Nothing in
// them comes from the request, the provider or the error.
func messagePage(base string) func(*http.Request, signin.Page) gatehouse.Body {
	return func(_ *http.Request, p signin.Page) gatehouse.Body {
		var b bytes.Buffer
		if err := pages.ExecuteTemplate(&b, "message.html", map[string]any{"Base": base, "Page": p}); err != nil {
			return gatehouse.Body{} // the page of the library
		}
		return gatehouse.Body{ContentType: "text/html; charset=utf-8", Content: b.Bytes()}
	}
}

// secure sets the headers of every response: no scripts but its own, no frame, no
// cache.
func secure(next http.Handler, issuer string) http.Handler {
	policy := contentSecurityPolicy(issuer)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// contentSecurityPolicy allows the logout form to lead to the origins of the given
// URLs: form-action also applies to redirects.
func contentSecurityPolicy(targets ...string) string {
	forms := []string{"'self'"}
	for _, target := range targets {
		if u, err := url.Parse(target); err == nil && u.Host != "" {
			forms = append(forms, u.Scheme+"://"+u.Host)
		}
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
		"form-action " + strings.Join(slices.Compact(forms), " ") + "; frame-ancestors 'none'; base-uri 'none'"
}

// index serves the page with the logout form, which leads to the end_session_endpoint.
// That may be on another origin than the issuer.
func (a *app) index(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), time.Second) // the metadata are cached
	defer cancel()
	if target, err := a.signin.LogoutOrigin(ctx); err == nil {
		w.Header().Set("Content-Security-Policy", contentSecurityPolicy(a.issuer, target))
	}
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, "index.html", map[string]any{"Base": a.base, "StepUp": a.asksAgain(), "Remember": a.keeps}); err != nil {
		panic(err) // a mistake in the template: the response is 500
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = b.WriteTo(w)
}
