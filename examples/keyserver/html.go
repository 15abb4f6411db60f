// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"time"
)

//go:embed *.html
var files embed.FS

var (
	keysPage  = page("keys.html")
	loginPage = page("login.html")
)

func page(name string) *template.Template {
	return template.Must(template.New("layout.html").Funcs(template.FuncMap{
		"day": func(t time.Time) string { return t.Format("2 Jan 2006") },
	}).ParseFS(files, "layout.html", name))
}

// render writes a page once it is known to be whole.
func render(w http.ResponseWriter, status int, t *template.Template, data any) {
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

// days reads a number of days, 0 for what is none.
func days(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}
