// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// view is a key in the page and in JSON.
type view struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Owner   string     `json:"owner"`
	Scopes  []string   `json:"scopes"`
	Status  string     `json:"status"`
	Created time.Time  `json:"created"`
	Expires time.Time  `json:"expires"`
	Used    *time.Time `json:"last_used,omitempty"`
	Secret  string     `json:"secret,omitempty"` // of a new key, only once
}

func newView(k apikey.Key) view {
	v := view{
		ID: k.ID, Owner: k.Owner, Scopes: append([]string{}, slices.Collect(k.Scopes.All())...),
		Created: k.Created, Expires: k.Expires, Status: "active",
	}
	var metadata struct {
		Name string `json:"name"`
	}
	if k.Metadata.Decode(&metadata) == nil {
		v.Name = metadata.Name
	}
	if !k.LastUsed.IsZero() {
		v.Used = &k.LastUsed
	}
	switch {
	case !k.Revoked.IsZero():
		v.Status = "revoked"
	case !k.Suspended.IsZero():
		v.Status = "suspended"
	case !time.Now().Before(k.Expires):
		v.Status = "expired"
	}
	return v
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

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

// render executes the template before it writes the status.
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
