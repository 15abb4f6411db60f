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
	"github.com/gatehouse-go/gatehouse/oauth"
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

// message is the content of an error page. Nothing in it comes from the request,
// the authorization server or the error.
type message struct{ Title, Text, Link, Href, Base string }

// messageOf returns the message for a failed login or logout. The page has a link
// and no redirect, which could be an endless loop.
func messageOf(logout bool, status int, reason gatehouse.Reason) message {
	switch {
	case reason == oauth.ReasonIDToken:
		return message{
			"This sign-in could not be verified",
			"The answer of the sign-in server does not fit the settings or the clock of this application. Its operator finds the cause in the log; to start again does not help.",
			"Go back", "/", "",
		}
	case logout && status == http.StatusForbidden:
		return message{"You are still signed in", "Another site has tried to sign you out. Nothing was changed.", "Go back", "/", ""}
	case logout:
		return message{
			"You are signed out of this browser",
			"The session store is unavailable. Until it is available again, this session may still be in your list of sessions.",
			"Go back", "/", "",
		}
	case status == http.StatusForbidden:
		return message{"The sign-in was refused", "Nothing was changed. You can sign in again.", "Sign in", "/login", ""}
	case status == http.StatusServiceUnavailable:
		return message{
			"Sign-in is not possible at the moment",
			"A server that the sign-in needs is unavailable. Please try again in a moment.", "Try again", "/login", "",
		}
	}
	return message{
		"This sign-in could not be completed",
		"The address was used before, has expired, or belongs to another browser. Please start again.", "Sign in", "/login", "",
	}
}

// errorPage responds to a navigation that failed at the login or the logout.
func (a *app) errorPage(w http.ResponseWriter, r *http.Request, e *gatehouse.Error) {
	status := e.Code.Status()
	m := messageOf(r.URL.Path == a.base+"/logout", status, e.Reason)
	path := signin.ReturnTo(r)
	if m.Href == "/login" && path != "" && path != a.base+"/" {
		m.Href += "?return_to=" + url.QueryEscape(path)
	}
	m.Base = a.base
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	render(w, "message.html", m)
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
	if target := logoutTarget(r.Context(), a.signin.Client); target != "" {
		w.Header().Set("Content-Security-Policy", contentSecurityPolicy(a.issuer, target))
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	render(w, "index.html", map[string]any{"Base": a.base, "StepUp": a.asksAgain(), "Remember": false})
}

// render writes a page. The templates are tested.
func render(w http.ResponseWriter, name string, values any) {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, values); err != nil {
		panic(err) // a mistake in the template: 500, and a line in the log
	}
	_, _ = b.WriteTo(w)
}

// logoutTarget returns the end_session_endpoint, "" if it is unknown at the moment. The
// client caches the metadata.
func logoutTarget(ctx context.Context, client *oauth.Client) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	provider, err := client.Provider(ctx)
	if err != nil {
		return ""
	}
	return provider.EndSessionEndpoint
}
