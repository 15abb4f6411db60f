// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

const origin = "http://127.0.0.1:8081"

// site is the app.
type site struct {
	t       *testing.T
	handler http.Handler
	keys    *apikey.Keys
	login   *login
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newSite(t *testing.T) *site {
	t.Helper()
	keys := must(apikey.New(apikey.Config{Store: apikey.NewMemory(0), Prefix: "gatehouse", Scopes: []string{"reports:read", scopeManage}}))
	l := must(newLogin(origin, "acme", []string{"reports:read"}))
	return &site{t, must(handler(keys, l, []string{"reports:read"}, nil)), keys, l}
}

// key returns a new API key of a script.
func (s *site) key(tenant string, scopes ...string) string {
	issued := must(s.keys.Create(s.t.Context(), apikey.Request{Owner: "script", Tenant: tenant, Scopes: scopes, Lifetime: time.Hour}))
	return string(issued.Secret.Reveal())
}

// send sends a JSON request with an API key and checks the status. It returns the body, and
// the key that the body describes, if it does.
func (s *site) send(name, method, path, key, body string, status int) (v view, text string) {
	s.t.Helper()
	r := httptest.NewRequest(method, origin+path, strings.NewReader(body))
	r.Header.Set("Accept", "application/json")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("X-API-Key", key)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if text = w.Body.String(); w.Code != status {
		s.t.Errorf("%s: %s %s = %d %s, want %d", name, method, path, w.Code, text, status)
	}
	_ = json.Unmarshal([]byte(text), &v)
	return v, text
}

// TestLifeOfKey manages a key of the tenant as JSON.
func TestLifeOfKey(t *testing.T) {
	s := newSite(t)
	key, other := s.key("acme", scopeManage, "reports:read"), s.key("globex", scopeManage, "reports:read")
	lesser := s.key("acme", scopeManage)
	made, text := s.send("create", "POST", "/keys", key, `{"name":"ci","scopes":["reports:read"],"days":30}`, http.StatusCreated)
	if made.Name != "ci" || made.Secret == "" || made.Expires.Sub(made.Created) != 30*24*time.Hour {
		t.Fatalf("create = %s, want ci with a secret, for 30 days", text)
	}
	if _, list := s.send("list", "GET", "/keys", key, "", http.StatusOK); strings.Count(list, `"id"`) != 3 || strings.Contains(list, `"secret"`) {
		t.Errorf("list = %s, want three keys without secrets", list)
	}
	path := "/keys/" + made.ID
	// The secret of a key is for those who have its scopes.
	if _, text := s.send("rotate with fewer scopes", "POST", path+"/rotate", lesser, "{}", http.StatusForbidden); strings.Contains(text, "secret") {
		t.Errorf("rotate with fewer scopes = %s, want no secret", text)
	}
	s.send("create with more scopes", "POST", "/keys", lesser, `{"name":"ci","scopes":["reports:read"],"days":30}`, http.StatusForbidden)
	s.send("delete a valid key", "POST", path+"/delete", key, "{}", http.StatusConflict)
	if rotated, text := s.send("rotate", "POST", path+"/rotate", key, "{}", http.StatusOK); rotated.Secret == "" || rotated.Secret == made.Secret {
		t.Errorf("rotate = %s, want another secret", text)
	}
	for _, path := range []string{path + "/rotate", path + "/revoke", path + "/delete", "/keys/0123456789ABCDEF/revoke"} {
		s.send("another tenant", "POST", path, other, "{}", http.StatusNotFound)
	}
	if revoked, text := s.send("revoke", "POST", path+"/revoke", lesser, "{}", http.StatusOK); revoked.Status != "revoked" {
		t.Errorf("revoke = %s, want the status revoked", text)
	}
	s.send("rotate a revoked key", "POST", path+"/rotate", key, "{}", http.StatusConflict)
	s.send("delete", "POST", path+"/delete", key, "{}", http.StatusOK)
	s.send("delete again", "POST", path+"/delete", key, "{}", http.StatusNotFound)
}

// TestLimitAndPages: a tenant has at most 100 keys, ended ones too, listed by pages.
func TestLimitAndPages(t *testing.T) {
	s := newSite(t)
	key := s.key("acme", scopeManage)
	s.key("globex")
	const order = `{"name":"x","days":1}`
	var requests sync.WaitGroup
	for range maxKeys - 2 {
		requests.Go(func() { s.send("create", "POST", "/keys", key, order, http.StatusCreated) })
	}
	requests.Wait()
	made, _ := s.send("last", "POST", "/keys", key, order, http.StatusCreated)
	s.send("one more", "POST", "/keys", key, order, http.StatusConflict)
	s.send("revoke", "POST", "/keys/"+made.ID+"/revoke", key, "{}", http.StatusOK)
	s.send("one more, with a revoked key", "POST", "/keys", key, order, http.StatusConflict)
	s.send("another tenant", "POST", "/keys", s.key("globex", scopeManage), order, http.StatusCreated)

	ids := make(map[string]bool)
	for cursor, n := "", 0; n == 0 || cursor != ""; n++ {
		var page struct {
			Keys []view
			Next string
		}
		_, list := s.send("list", "GET", "/keys?cursor="+cursor, key, "", http.StatusOK)
		if err := json.Unmarshal([]byte(list), &page); err != nil || len(page.Keys) > pageSize {
			t.Fatalf("list = %s, want at most %d keys", list, pageSize)
		}
		for _, k := range page.Keys {
			ids[k.ID] = true
		}
		cursor = page.Next
	}
	if len(ids) != maxKeys {
		t.Errorf("the pages have %d keys, want %d", len(ids), maxKeys)
	}
	s.send("malformed cursor", "GET", "/keys?cursor=x", key, "", http.StatusBadRequest)
	s.send("delete", "POST", "/keys/"+made.ID+"/delete", key, "{}", http.StatusOK)
	s.send("create after delete", "POST", "/keys", key, order, http.StatusCreated)
}

func TestCreateRejects(t *testing.T) {
	s := newSite(t)
	key, valid := s.key("acme", scopeManage), `{"name":"x","days":1}`
	for _, test := range []struct {
		name, key, body string
		status          int
	}{
		{"no credential", "", valid, http.StatusUnauthorized},
		{"scope missing", s.key("acme", "reports:read"), valid, http.StatusForbidden},
		{"tenant missing", s.key("", scopeManage), valid, http.StatusForbidden},
		{"scope not offered", key, `{"name":"x","days":1,"scopes":["keys:write"]}`, http.StatusBadRequest},
		{"name missing", key, `{"days":1}`, http.StatusBadRequest},
		{"name too long", key, `{"days":1,"name":"` + strings.Repeat("x", 65) + `"}`, http.StatusBadRequest},
		{"days missing", key, `{"name":"x"}`, http.StatusBadRequest},
		{"too many days", key, `{"name":"x","days":91}`, http.StatusBadRequest},
		{"unknown member", key, `{"name":"x","days":1,"owner":"root"}`, http.StatusBadRequest},
		{"not JSON", key, `{`, http.StatusBadRequest},
	} {
		s.send(test.name, "POST", "/keys", test.key, test.body, test.status)
	}
}

// TestLogin: the code is accepted once, in time, and not from another site (CSRF).
func TestLogin(t *testing.T) {
	s := newSite(t)
	code := string(s.login.code.Reveal())
	for _, test := range []struct {
		name, code, site string
		status           int
	}{
		{"wrong code", "x", "same-origin", http.StatusForbidden},
		{"no code", "", "same-origin", http.StatusForbidden},
		{"another site", code, "cross-site", http.StatusForbidden},
		{"code", code, "same-origin", http.StatusSeeOther},
		{"code again", code, "same-origin", http.StatusForbidden},
		{"expired code", code, "same-origin", http.StatusForbidden},
	} {
		if test.name == "expired code" {
			s.login.code, s.login.expires = gatehouse.NewSecret([]byte(code)), time.Now()
		}
		r := httptest.NewRequest("POST", origin+"/login", strings.NewReader("code="+test.code))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", test.site)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if cookie := len(w.Result().Cookies()) == 1; w.Code != test.status || cookie != (test.status == http.StatusSeeOther) {
			t.Errorf("%s: POST /login = %d, cookie %v, want %d", test.name, w.Code, cookie, test.status)
		}
	}
}
