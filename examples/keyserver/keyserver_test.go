// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

// site is the app as a client sees it.
type site struct {
	t       *testing.T
	handler http.Handler
	keys    *apikey.Keys
	login   *login
}

const origin = "http://127.0.0.1:8081"

func newSite(t *testing.T) *site {
	t.Helper()
	keys, err := apikey.New(apikey.Config{Store: apikey.NewMemory(0), Prefix: "gatehouse", Scopes: []string{"reports:read", scopeManage}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := newLogin(origin, "acme")
	if err != nil {
		t.Fatal(err)
	}
	h, err := handler(keys, s, []string{"reports:read"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &site{t, h, keys, s}
}

// key makes a key with which a script comes.
func (s *site) key(tenant string, scopes ...string) string {
	s.t.Helper()
	issued, err := s.keys.Create(s.t.Context(), apikey.Request{Owner: "script", Tenant: tenant, Scopes: scopes, Lifetime: time.Hour})
	if err != nil {
		s.t.Fatal(err)
	}
	return string(issued.Secret.Reveal())
}

func (s *site) send(method, path, key, body string) *httptest.ResponseRecorder {
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
	return w
}

// Scripts make, see, rotate and revoke the keys of their own tenant.
func TestJSON(t *testing.T) {
	s := newSite(t)
	key, other := s.key("acme", scopeManage), s.key("globex", scopeManage)
	var made, rotated view
	w := s.send("POST", "/keys", key, `{"name":"ci","scopes":["reports:read"],"days":30}`)
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != http.StatusCreated || made.Name != "ci" || made.Secret == "" {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	w = s.send("GET", "/keys", key, "")
	if w.Code != http.StatusOK || strings.Count(w.Body.String(), `"id"`) != 2 || strings.Contains(w.Body.String(), `"secret"`) {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	w = s.send("POST", "/keys/"+made.ID+"/rotate", key, "{}")
	if err := json.Unmarshal(w.Body.Bytes(), &rotated); err != nil || w.Code != http.StatusOK || rotated.Secret == made.Secret {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	for _, path := range []string{"/keys/" + made.ID + "/rotate", "/keys/" + made.ID + "/revoke", "/keys/0123456789ABCDEF/revoke"} {
		if w := s.send("POST", path, other, "{}"); w.Code != http.StatusNotFound {
			t.Errorf("another tenant at %s: %d", path, w.Code)
		}
	}
	if w := s.send("POST", "/keys/"+made.ID+"/revoke", key, "{}"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "revoked") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := s.send("POST", "/keys/"+made.ID+"/rotate", key, "{}"); w.Code != http.StatusConflict {
		t.Errorf("rotating what is revoked: %d", w.Code)
	}
}

func TestRefusals(t *testing.T) {
	s := newSite(t)
	key := s.key("acme", scopeManage)
	for _, test := range []struct {
		name, key, body string
		want            int
	}{
		{"nobody", "", `{"name":"x","days":1}`, http.StatusUnauthorized},
		{"without the scope", s.key("acme", "reports:read"), `{"name":"x","days":1}`, http.StatusForbidden},
		{"without a tenant", s.key("", scopeManage), `{"name":"x","days":1}`, http.StatusForbidden},
		{"more than is offered", key, `{"name":"x","days":1,"scopes":["keys:write"]}`, http.StatusBadRequest},
		{"no name", key, `{"days":1}`, http.StatusBadRequest},
		{"too long a name", key, `{"days":1,"name":"` + strings.Repeat("x", 65) + `"}`, http.StatusBadRequest},
		{"no days", key, `{"name":"x"}`, http.StatusBadRequest},
		{"too many days", key, `{"name":"x","days":91}`, http.StatusBadRequest},
		{"unknown member", key, `{"name":"x","days":1,"owner":"root"}`, http.StatusBadRequest},
		{"no JSON", key, `{`, http.StatusBadRequest},
	} {
		if w := s.send("POST", "/keys", test.key, test.body); w.Code != test.want {
			t.Errorf("%s: got %d %s", test.name, w.Code, w.Body)
		}
	}
}

// The code is good once, from the page itself, and in time.
func TestLogin(t *testing.T) {
	s := newSite(t)
	code := string(s.login.code.Reveal())
	login := func(code, from string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", origin+"/login", strings.NewReader("code="+code))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", from)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		return w
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"wrong": login("x", "same-origin"), "empty": login("", "same-origin"), "another site": login(code, "cross-site"),
	} {
		if w.Code != http.StatusForbidden || len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: got %d", name, w.Code)
		}
	}
	w := login(code, "same-origin")
	if w.Code != http.StatusSeeOther || len(w.Result().Cookies()) != 1 {
		t.Fatalf("got %d", w.Code)
	}
	if again := login(code, "same-origin"); again.Code != http.StatusForbidden {
		t.Errorf("twice: got %d", again.Code)
	}
	s.login.code, s.login.expires = gatehouse.NewSecret([]byte(code)), time.Now()
	if late := login(code, "same-origin"); late.Code != http.StatusForbidden {
		t.Errorf("late: got %d", late.Code)
	}
}
