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

func newSite(t *testing.T) *site {
	t.Helper()
	keys, err := apikey.New(apikey.Config{Store: apikey.NewMemory(0), Prefix: "gatehouse", Scopes: []string{"reports:read", scopeManage}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLogin(origin, "acme", []string{"reports:read"})
	if err != nil {
		t.Fatal(err)
	}
	h, err := handler(keys, l, []string{"reports:read"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &site{t, h, keys, l}
}

// key returns a new API key of a script.
func (s *site) key(tenant string, scopes ...string) string {
	s.t.Helper()
	issued, err := s.keys.Create(s.t.Context(), apikey.Request{Owner: "script", Tenant: tenant, Scopes: scopes, Lifetime: time.Hour})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(issued.Secret.Reveal())
}

// send sends a JSON request with an API key and checks the status.
func (s *site) send(name, method, path, key, body string, status int) *httptest.ResponseRecorder {
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
	if w.Code != status {
		s.t.Errorf("%s: %s %s = %d %s, want %d", name, method, path, w.Code, w.Body, status)
	}
	return w
}

// TestLifeOfKey manages a key of the tenant as JSON.
func TestLifeOfKey(t *testing.T) {
	s := newSite(t)
	key, other := s.key("acme", scopeManage, "reports:read"), s.key("globex", scopeManage, "reports:read")
	lesser := s.key("acme", scopeManage)
	var made, rotated view
	w := s.send("create", "POST", "/keys", key, `{"name":"ci","scopes":["reports:read"],"days":30}`, http.StatusCreated)
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || made.Name != "ci" || made.Secret == "" {
		t.Fatalf("create = %s, want ci with a secret", w.Body)
	}
	w = s.send("list", "GET", "/keys", key, "", http.StatusOK)
	if strings.Count(w.Body.String(), `"id"`) != 3 || strings.Contains(w.Body.String(), `"secret"`) {
		t.Errorf("list = %s, want three keys without secrets", w.Body)
	}
	path := "/keys/" + made.ID
	// The secret of a key is for those who have its scopes.
	if w := s.send("rotate with fewer scopes", "POST", path+"/rotate", lesser, "{}", http.StatusForbidden); strings.Contains(w.Body.String(), "secret") {
		t.Errorf("rotate with fewer scopes = %s, want no secret", w.Body)
	}
	s.send("create with more scopes", "POST", "/keys", lesser, `{"name":"ci","scopes":["reports:read"],"days":30}`, http.StatusForbidden)
	s.send("delete a valid key", "POST", path+"/delete", key, "{}", http.StatusConflict)
	w = s.send("rotate", "POST", path+"/rotate", key, "{}", http.StatusOK)
	if err := json.Unmarshal(w.Body.Bytes(), &rotated); err != nil || rotated.Secret == "" || rotated.Secret == made.Secret {
		t.Errorf("rotate = %s, want another secret", w.Body)
	}
	for _, path := range []string{path + "/rotate", path + "/revoke", path + "/delete", "/keys/0123456789ABCDEF/revoke"} {
		s.send("another tenant", "POST", path, other, "{}", http.StatusNotFound)
	}
	if w := s.send("revoke", "POST", path+"/revoke", lesser, "{}", http.StatusOK); !strings.Contains(w.Body.String(), "revoked") {
		t.Errorf("revoke = %s, want the status revoked", w.Body)
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
	var made view
	var requests sync.WaitGroup
	for range maxKeys - 2 {
		requests.Go(func() { s.send("create", "POST", "/keys", key, order, http.StatusCreated) })
	}
	requests.Wait()
	w := s.send("last", "POST", "/keys", key, order, http.StatusCreated)
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
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
		w := s.send("list", "GET", "/keys?cursor="+cursor, key, "", http.StatusOK)
		if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || len(page.Keys) > pageSize {
			t.Fatalf("list = %s, want at most %d keys", w.Body, pageSize)
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
