// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"embed"
	"errors"
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

// asset serves a file that is part of the program.
func asset(name string) http.HandlerFunc {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is not part of the program
	}
	kind := mime.TypeByExtension(path.Ext(name))
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(content) // a browser that has gone needs no page
	}
}

// task is what a person was about when it failed.
type task int

const (
	signIn task = iota
	signOut
)

// message is a page about that. Nothing in it comes from the request, from the
// authorization server or from the error.
type message struct{ Title, Text, Link, Href string }

// messageOf says what has become of the task. The page leads back by a link. It
// never goes there by itself, which would be a loop where the reason stays.
func messageOf(t task, status int) message {
	switch {
	case t == signOut && status == http.StatusForbidden:
		return message{"You are still signed in", "Another site has asked to sign you out. Nothing was done.", "Go back", "/"}
	case t == signOut:
		return message{
			"You are signed out of this browser",
			"The server that keeps the sessions does not answer. Until it does, this one may still be in your list of sessions.",
			"Go back", "/",
		}
	case status == http.StatusForbidden:
		return message{"The sign-in was refused", "Nothing was changed. You can sign in again.", "Sign in", "/login"}
	case status == http.StatusServiceUnavailable:
		return message{
			"Sign-in is not possible at the moment",
			"A server that is needed for it does not answer, or not as it should. Please try again in a moment.", "Try again", "/login",
		}
	}
	return message{
		"This sign-in could not be completed",
		"The address was used before, is too old, or belongs to another browser. Please start again.", "Sign in", "/login",
	}
}

// explain answers a request that has failed: with a page for a person, with JSON
// for a script.
func explain(w http.ResponseWriter, r *http.Request, t task, err error) {
	if !isNavigation(r) {
		gatehouse.Refuse(w, r, err)
		return
	}
	status := http.StatusServiceUnavailable
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		status = e.Status()
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
	}
	show(w, t, status)
}

// show answers with the page about a task.
func show(w http.ResponseWriter, t task, status int) {
	var b bytes.Buffer
	if err := messagePage.Execute(&b, messageOf(t, status)); err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

// secure sets what every response needs, and a page above all: no script but its
// own, no frame, no cache.
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

// formTargets are the origins to which the form of the logout leads. Browsers ask
// for those of its redirects too, and the logout is redirected to the issuer. A
// provider whose logout is on another origin than its name needs that one here.
func formTargets(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return "'self'"
	}
	return "'self' " + u.Scheme + "://" + u.Host
}
