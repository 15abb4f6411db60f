// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// scopeManage is what it takes to look after keys. No key that is made here has
// it.
const scopeManage = "keys:write"

// mayManage lets those at the keys who have the scope and belong to a tenant.
func mayManage(_ *http.Request, p gatehouse.Principal) error {
	if !p.Scopes.Has(scopeManage) || p.Tenant == "" {
		needed, _ := gatehouse.NewScopes(scopeManage)
		return &gatehouse.Error{Code: gatehouse.CodeInsufficientScope, Reason: gatehouse.ReasonScope, Scopes: needed}
	}
	return nil
}

// pages is the endpoint: each person sees and changes the keys of their tenant.
type pages struct {
	keys   *apikey.Keys
	scopes []string
}

func newPages(keys *apikey.Keys, scopes []string) *pages { return &pages{keys, scopes} }

func (p *pages) register(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", p.page)
	mux.HandleFunc("GET /keys", p.list)
	mux.HandleFunc("POST /keys", p.create)
	mux.HandleFunc("POST /keys/{id}/rotate", p.rotate)
	mux.HandleFunc("POST /keys/{id}/revoke", p.revoke)
}

// view is a key as it is shown, in the page and as JSON.
type view struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Owner   string     `json:"owner"`
	Scopes  []string   `json:"scopes"`
	Status  string     `json:"status"`
	Created time.Time  `json:"created"`
	Expires time.Time  `json:"expires"`
	Used    *time.Time `json:"last_used,omitempty"`
	Secret  string     `json:"secret,omitempty"` // just made, and never again
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

// all returns the newest keys of the caller's tenant.
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

// show renders the page with a key that was just made, or with a complaint.
func (p *pages) show(w http.ResponseWriter, r *http.Request, made *view, complaint string, status int) {
	views, err := p.all(r)
	if err != nil {
		http.Error(w, "The keys are out of reach. Try again in a moment.", http.StatusServiceUnavailable)
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

// order is what a form or a JSON body asks for.
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
			p.fail(w, r, mistake("There is no scope "+scope+"."))
			return
		}
	}
	if o.Name == "" || len(o.Name) > 64 || o.Days < 1 || o.Days > 90 {
		p.fail(w, r, mistake("A key needs a name of at most 64 characters, and 1 to 90 days."))
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
	// Of two clicks the second finds another generation, and changes nothing.
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

// own returns the key that the path names. A key of another tenant is none.
func (p *pages) own(r *http.Request) (apikey.Key, error) {
	caller, _ := gatehouse.FromContext(r.Context())
	k, err := p.keys.Describe(r.Context(), r.PathValue("id"))
	if err == nil && k.Tenant != caller.Tenant {
		return apikey.Key{}, apikey.ErrNotFound
	}
	return k, err
}

// answer shows what was done to a key, with its secret if it has a new one.
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
		// No redirect: the secret is in this answer and nowhere else.
		p.show(w, r, &v, "", status)
	default:
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

// mistake is an error that the caller can mend.
type mistake string

func (m mistake) Error() string { return string(m) }

func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusServiceUnavailable, "The keys are out of reach. Try again in a moment."
	m, isMistake := errors.AsType[mistake](err)
	switch {
	case isMistake:
		status, text = http.StatusBadRequest, string(m)
	case errors.Is(err, apikey.ErrNotFound):
		status, text = http.StatusNotFound, "There is no such key."
	case errors.Is(err, apikey.ErrConflict):
		status, text = http.StatusConflict, "The key has changed in the meantime."
	}
	if wantsJSON(r) {
		writeJSON(w, status, map[string]string{"error": text})
		return
	}
	p.show(w, r, nil, text, status)
}

// wantsJSON reports whether a script is asking.
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
			return order{}, mistake("The form cannot be read.")
		}
		return order{Name: strings.TrimSpace(r.PostForm.Get("name")), Scopes: r.PostForm["scope"], Days: days(r.PostForm.Get("days"))}, nil
	}
	var o order
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&o); err != nil {
		return order{}, mistake("The body is not what is expected: name, scopes and days.")
	}
	return o, nil
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a caller who has gone is no concern of ours
}
