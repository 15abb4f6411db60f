// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"embed"
	"html/template"
	"mime"
	"net/http"
	"net/url"
	"path"

	"github.com/gatehouse-go/gatehouse"
)

//go:embed index.html app.js style.css message.html
var files embed.FS

var messagePage = template.Must(template.ParseFS(files, "message.html"))

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
type message struct{ Title, Text, Link, Href string }

// messageOf returns the message for a failed login or logout. The page has a link
// and no redirect, which could be an endless loop.
func messageOf(logout bool, status int) message {
	switch {
	case logout && status == http.StatusForbidden:
		return message{"You are still signed in", "Another site has tried to sign you out. Nothing was changed.", "Go back", "/"}
	case logout:
		return message{
			"You are signed out of this browser",
			"The session store is unavailable. Until it is available again, this session may still be in your list of sessions.",
			"Go back", "/",
		}
	case status == http.StatusForbidden:
		return message{"The sign-in was refused", "Nothing was changed. You can sign in again.", "Sign in", "/login"}
	case status == http.StatusServiceUnavailable:
		return message{
			"Sign-in is not possible at the moment",
			"A server that the sign-in needs is unavailable. Please try again in a moment.", "Try again", "/login",
		}
	}
	return message{
		"This sign-in could not be completed",
		"The address was used before, has expired, or belongs to another browser. Please start again.", "Sign in", "/login",
	}
}

// errorPage responds to a navigation that failed at the login or the logout.
func errorPage(w http.ResponseWriter, r *http.Request, e *gatehouse.Error) {
	status := e.Code.Status()
	var b bytes.Buffer
	if err := messagePage.Execute(&b, messageOf(r.URL.Path == "/logout", status)); err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

// secure sets the headers of every response: no scripts but its own, no frame, no
// cache.
func secure(next http.Handler, issuer string) http.Handler {
	policy := "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; " +
		"form-action " + formTargets(issuer) + "; frame-ancestors 'none'; base-uri 'none'"
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

// formTargets returns the origins to which the logout form leads, for form-action,
// which also applies to redirects. An authorization server with the
// end_session_endpoint on another origin than its issuer needs that one here.
func formTargets(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return "'self'"
	}
	return "'self' " + u.Scheme + "://" + u.Host
}
