// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"embed"
	"html/template"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/session"
)

//go:embed spend.html spend.css spend.js
var files embed.FS

var spendPage = template.Must(template.ParseFS(files, "spend.html"))

// asset serves an embedded file.
func asset(name string) http.HandlerFunc {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // not embedded
	}
	kind := mime.TypeByExtension(path.Ext(name))
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(content)
	}
}

// pagePolicy is the Content-Security-Policy of the page, whose form signs out at the
// issuer.
const pagePolicy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' "

// spend serves the page, or its data.
func (a *app) spend(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	balances, err := a.ledger.Tenant(r.Context(), p.Tenant)
	if err != nil {
		gatehouse.Refuse(w, r, err)
		return
	}
	all := report{p.Tenant, time.Now().UTC().Truncate(time.Second), append([]budget.Balance{}, balances...), p.Method == session.Method}
	w.Header().Add("Vary", "Accept")
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		writeJSON(w, http.StatusOK, all)
		return
	}
	var page bytes.Buffer
	if err := spendPage.Execute(&page, all); err != nil {
		gatehouse.Refuse(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", pagePolicy+a.issuer+";")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(page.Bytes())
}
