// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"html/template"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// scopeManage is the scope for managing keys. No key created here has it.
const scopeManage = "keys:write"

// hasTenant requires a tenant, whose keys the caller manages.
func hasTenant(_ *http.Request, p gatehouse.Principal) error {
	if p.Tenant == "" {
		return errors.New("the caller has no tenant")
	}
	return nil
}

// pages are the routes: each caller lists and changes the keys of its tenant.
type pages struct {
	keys   *apikey.Keys
	scopes []string
}

func newPages(keys *apikey.Keys, scopes []string) *pages { return &pages{keys, scopes} }

func (p *pages) register(mux *gatehouse.Mux) {
	scope, tenant := scopes.All(scopeManage), gatehouse.PolicyFunc(hasTenant)
	mux.HandleFunc("GET /{$}", p.page, scope, tenant)
	mux.HandleFunc("GET /keys", p.list, scope, tenant)
	mux.HandleFunc("POST /keys", p.create, scope, tenant)
	mux.HandleFunc("POST /keys/{id}/rotate", p.rotate, scope, tenant)
	mux.HandleFunc("POST /keys/{id}/revoke", p.revoke, scope, tenant)
}

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

// all returns the keys of the caller's tenant, newest first.
func (p *pages) all(r *http.Request) ([]view, error) {
	caller, _ := gatehouse.FromContext(r.Context())
	views := []view{}
	for cursor := ""; ; {
		page, err := p.keys.List(r.Context(), apikey.Query{Filter: apikey.Filter{Tenant: caller.Tenant}, Limit: 500}, cursor)
		if err != nil {
			return nil, err
		}
		for _, k := range page.Keys {
			views = append(views, newView(k))
		}
		if cursor = page.Next; cursor == "" {
			slices.Reverse(views)
			return views, nil
		}
	}
}

func (p *pages) list(w http.ResponseWriter, r *http.Request) {
	views, err := p.all(r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, views)
}

func (p *pages) page(w http.ResponseWriter, r *http.Request) { p.show(w, r, nil, "", http.StatusOK) }

// show renders the page with a new key or an error message.
func (p *pages) show(w http.ResponseWriter, r *http.Request, made *view, complaint string, status int) {
	views, err := p.all(r)
	if err != nil {
		http.Error(w, "The key store is unavailable. Try again in a moment.", http.StatusServiceUnavailable)
		return
	}
	caller, _ := gatehouse.FromContext(r.Context())
	render(w, status, keysPage, struct {
		Tenant, Complaint string
		Keys              []view
		Scopes            []string
		Made              *view
	}{caller.Tenant, complaint, views, p.scopes, made})
}

// order is the content of a form or JSON body for a new key.
type order struct {
	Name   string   `json:"name"`
	Scopes []string `json:"scopes"`
	Days   int      `json:"days"`
}

func (p *pages) create(w http.ResponseWriter, r *http.Request) {
	o, err := readOrder(w, r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	for _, scope := range o.Scopes {
		if !slices.Contains(p.scopes, scope) {
			p.fail(w, r, mistake("Unknown scope "+scope+"."))
			return
		}
	}
	if o.Name == "" || len(o.Name) > 64 || o.Days < 1 || o.Days > 90 {
		p.fail(w, r, mistake("A key needs a name of 1 to 64 bytes and 1 to 90 days."))
		return
	}
	text, err := json.Marshal(map[string]string{"name": o.Name})
	if err != nil {
		p.fail(w, r, err)
		return
	}
	metadata, err := gatehouse.NewClaims(string(text))
	if err != nil {
		p.fail(w, r, err)
		return
	}
	caller, _ := gatehouse.FromContext(r.Context())
	issued, err := p.keys.Create(r.Context(), apikey.Request{
		Owner: caller.Subject, Tenant: caller.Tenant, Scopes: o.Scopes,
		Lifetime: time.Duration(o.Days) * 24 * time.Hour, Metadata: metadata,
	})
	p.answer(w, r, http.StatusCreated, issued, err)
}

func (p *pages) rotate(w http.ResponseWriter, r *http.Request) {
	k, err := p.own(r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	// The generation makes the second of two clicks a conflict.
	issued, err := p.keys.Rotate(r.Context(), k.ID, 24*time.Hour, k.Generation)
	p.answer(w, r, http.StatusOK, issued, err)
}

func (p *pages) revoke(w http.ResponseWriter, r *http.Request) {
	k, err := p.own(r)
	if err == nil {
		k, err = p.keys.Revoke(r.Context(), k.ID)
	}
	p.answer(w, r, http.StatusOK, apikey.Issued{Key: k}, err)
}

// own returns the key that the path names. A key of another tenant is not found.
func (p *pages) own(r *http.Request) (apikey.Key, error) {
	caller, _ := gatehouse.FromContext(r.Context())
	k, err := p.keys.Describe(r.Context(), r.PathValue("id"))
	if err == nil && k.Tenant != caller.Tenant {
		return apikey.Key{}, apikey.ErrNotFound
	}
	return k, err
}

// answer responds with a changed key, and with its secret if that is new.
func (p *pages) answer(w http.ResponseWriter, r *http.Request, status int, issued apikey.Issued, err error) {
	if err != nil {
		p.fail(w, r, err)
		return
	}
	v := newView(issued.Key)
	v.Secret = string(issued.Secret.Reveal())
	switch {
	case wantsJSON(r):
		writeJSON(w, status, v)
	case v.Secret != "":
		// No redirect: only this response contains the secret.
		p.show(w, r, &v, "", status)
	default:
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

// mistake is an error of the caller; its text is shown.
type mistake string

func (m mistake) Error() string { return string(m) }

func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusServiceUnavailable, "The key store is unavailable. Try again in a moment."
	m, isMistake := errors.AsType[mistake](err)
	switch {
	case isMistake:
		status, text = http.StatusBadRequest, string(m)
	case errors.Is(err, apikey.ErrNotFound):
		status, text = http.StatusNotFound, "No such key."
	case errors.Is(err, apikey.ErrConflict):
		status, text = http.StatusConflict, "The key has changed meanwhile."
	}
	if wantsJSON(r) {
		writeJSON(w, status, map[string]string{"error": text})
		return
	}
	p.show(w, r, nil, text, status)
}

// wantsJSON reports whether the client is a script.
func wantsJSON(r *http.Request) bool {
	return isJSON(r) || strings.Contains(r.Header.Get("Accept"), "application/json")
}

func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

func readOrder(w http.ResponseWriter, r *http.Request) (order, error) {
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	if !isJSON(r) {
		if err := r.ParseForm(); err != nil {
			return order{}, mistake("The form is malformed.")
		}
		days, _ := strconv.Atoi(r.PostForm.Get("days")) // 0 is refused like any other invalid number
		return order{Name: strings.TrimSpace(r.PostForm.Get("name")), Scopes: r.PostForm["scope"], Days: days}, nil
	}
	var o order
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		return order{}, mistake("The body must be a JSON object with name, scopes and days.")
	}
	return o, nil
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
