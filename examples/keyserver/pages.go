// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// scopeManage is the scope for managing keys. No key created here has it.
const scopeManage = "keys:write"

const (
	// maxKeys is the limit of the keys of a tenant, with the revoked and expired ones
	// that are not deleted. Servers that share a store can exceed it by one each.
	maxKeys  = 100
	pageSize = 50
)

// hasTenant requires a tenant, whose keys the caller manages.
func hasTenant(_ *http.Request, p gatehouse.Principal) error {
	if p.Tenant == "" {
		return errors.New("the caller has no tenant")
	}
	return nil
}

// pages are the routes: each caller lists and changes the keys of its tenant.
type pages struct {
	keys     *apikey.Keys
	scopes   []string
	creating sync.Mutex // from the count of keys to the new key
}

func newPages(keys *apikey.Keys, scopes []string) *pages { return &pages{keys: keys, scopes: scopes} }

func (p *pages) register(mux *gatehouse.Mux) {
	scope, tenant := scopes.All(scopeManage), gatehouse.PolicyFunc(hasTenant)
	mux.HandleFunc("GET /{$}", p.page, scope, tenant)
	mux.HandleFunc("GET /keys", p.list, scope, tenant)
	mux.HandleFunc("POST /keys", p.create, scope, tenant)
	mux.HandleFunc("POST /keys/{id}/rotate", p.rotate, scope, tenant)
	mux.HandleFunc("POST /keys/{id}/revoke", p.revoke, scope, tenant)
	mux.HandleFunc("POST /keys/{id}/delete", p.delete, scope, tenant)
}

// some returns the page of the keys of the caller's tenant that the query parameter
// cursor names, in the order of their creation, and the cursor of the next page.
func (p *pages) some(r *http.Request) (views []view, next string, err error) {
	caller, _ := gatehouse.FromContext(r.Context())
	query := apikey.Query{Filter: apikey.Filter{Tenant: caller.Tenant}, Limit: pageSize}
	page, err := p.keys.List(r.Context(), query, r.URL.Query().Get("cursor"))
	if err != nil {
		return nil, "", err
	}
	views = []view{}
	for _, k := range page.Keys {
		views = append(views, newView(k))
	}
	return views, page.Next, nil
}

func (p *pages) list(w http.ResponseWriter, r *http.Request) {
	views, next, err := p.some(r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"keys": views, "next": next})
}

func (p *pages) page(w http.ResponseWriter, r *http.Request) { p.show(w, r, nil, "", http.StatusOK) }

// show renders the page with a new key or an error message.
func (p *pages) show(w http.ResponseWriter, r *http.Request, made *view, complaint string, status int) {
	views, next, err := p.some(r)
	if errors.Is(err, apikey.ErrInvalid) { // an old link
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if err != nil {
		http.Error(w, "The key store is unavailable. Try again in a moment.", http.StatusServiceUnavailable)
		return
	}
	caller, _ := gatehouse.FromContext(r.Context())
	render(w, status, keysPage, struct {
		Tenant, Complaint string
		Keys              []view
		Next              string
		Scopes            []string
		Made              *view
	}{caller.Tenant, complaint, views, next, p.scopes, made})
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
	issued, err := p.createFor(r.Context(), caller, apikey.Request{
		Owner: caller.Subject, Tenant: caller.Tenant, Scopes: o.Scopes,
		Lifetime: time.Duration(o.Days) * 24 * time.Hour, Metadata: metadata,
	})
	p.answer(w, r, http.StatusCreated, issued, err)
}

// createFor creates a key, within the limit of the tenant and the caller's own
// scopes.
func (p *pages) createFor(ctx context.Context, caller gatehouse.Principal, request apikey.Request) (apikey.Issued, error) {
	granted, err := gatehouse.NewScopes(request.Scopes...)
	if err != nil || !caller.Scopes.HasAll(granted) {
		return apikey.Issued{}, errScopes
	}
	p.creating.Lock()
	defer p.creating.Unlock()
	page, err := p.keys.List(ctx, apikey.Query{Filter: apikey.Filter{Tenant: caller.Tenant}, Limit: maxKeys}, "")
	if err != nil {
		return apikey.Issued{}, err
	}
	if len(page.Keys) >= maxKeys {
		return apikey.Issued{}, refusal{http.StatusConflict, fmt.Sprintf("There are %d keys, which is the limit. Delete keys that are revoked or expired.", maxKeys)}
	}
	return p.keys.Create(ctx, request)
}

func (p *pages) rotate(w http.ResponseWriter, r *http.Request) {
	k, err := p.own(r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	// The new secret is shown to the caller, whom it must not give more scopes.
	if caller, _ := gatehouse.FromContext(r.Context()); !caller.Scopes.HasAll(k.Scopes) {
		p.fail(w, r, errScopes)
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

func (p *pages) delete(w http.ResponseWriter, r *http.Request) {
	k, err := p.own(r)
	if err == nil {
		err = p.keys.Delete(r.Context(), k.ID)
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

// refusal is an error of the caller; its text is shown.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

func mistake(text string) error { return refusal{http.StatusBadRequest, text} }

var errScopes = refusal{http.StatusForbidden, "You lack a scope of this key."}

func (p *pages) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, text := http.StatusServiceUnavailable, "The key store is unavailable. Try again in a moment."
	refused, ok := errors.AsType[refusal](err)
	switch {
	case ok:
		status, text = refused.status, refused.text
	case errors.Is(err, apikey.ErrInvalid):
		status, text = http.StatusBadRequest, "The request is invalid."
	case errors.Is(err, apikey.ErrNotFound):
		status, text = http.StatusNotFound, "No such key."
	case errors.Is(err, apikey.ErrConflict):
		status, text = http.StatusConflict, "The state of the key does not allow this, or it has changed meanwhile."
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
