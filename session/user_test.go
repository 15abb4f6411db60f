// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
)

// TestPageOfAnotherUser: a tab that still shows ada cannot write into the account of
// grace, who has signed in since in the same browser.
func TestPageOfAnotherUser(t *testing.T) {
	a := newApp(t, session.Config{})
	first := a.login(t, person("ada"))
	ada := a.principal(t, first)
	second := a.login(t, person("grace"), with(first))
	mark := func(p gatehouse.Principal) func(*http.Request) { return header(session.UserHeader, session.UserTag(p)) }
	for _, test := range []struct {
		name, method string
		change       func(*http.Request)
		status       int
	}{
		{"the own page", "POST", mark(a.principal(t, second)), 200},
		{"the page of another user", "POST", mark(ada), 409},
		{"the page of another user reads", "GET", mark(ada), 409},
		{"both", "POST", func(r *http.Request) {
			r.Header[session.UserHeader] = []string{session.UserTag(a.principal(t, second)), session.UserTag(ada)}
		}, 409},
		{"a longer value", "POST", header(session.UserHeader, session.UserTag(a.principal(t, second))+"A"), 409},
		{"an empty value", "POST", func(r *http.Request) { r.Header[session.UserHeader] = []string{""} }, 409},
		{"no value", "POST", func(*http.Request) {}, 200},
	} {
		a.refused = nil
		w := a.do(test.method, "/", with(second), test.change)
		if w.Code != test.status || test.status == 409 && (a.reason() != session.ReasonOtherUser || a.refused[0].Credential != a.principal(t, second).Credential || !strings.Contains(w.Body.String(), "user_changed")) {
			t.Errorf("%s: %d %s, reason %q, want %d", test.name, w.Code, w.Body, a.reason(), test.status)
		}
	}
	for _, target := range []string{"/strict", "/strict?%zz"} {
		a.refused = nil
		w := a.do(http.MethodPost, target, with(second))
		if w.Code != 400 || len(a.refused) != 1 || a.refused[0].Credential != a.principal(t, second).Credential {
			t.Errorf("POST %s without a user: %d %+v, want 400 with the ID of the session", target, w.Code, a.refused)
		}
	}
	if same := a.principal(t, a.login(t, person("ada"))); session.UserTag(same) != session.UserTag(ada) {
		t.Error("two sessions of one user have different tags")
	}
	other := ada
	other.Issuer, other.Subject = "https://auth.exampl", "e\x00ada"
	shifted, abroad := ada, ada
	shifted.Issuer, shifted.Subject = ada.Issuer+"a", "da"
	abroad.Issuer = "https://other.example"
	if tag := session.UserTag(ada); tag == session.UserTag(other) || tag == session.UserTag(shifted) || tag == session.UserTag(abroad) || strings.Contains(tag, "ada") || len(tag) != 22 {
		t.Error("the tag reveals the user, or is that of another issuer")
	}
}

func TestRequireUser(t *testing.T) {
	a := newApp(t, session.Config{})
	p := a.principal(t, a.login(t, person("ada")))
	other := p
	other.Subject = "grace"
	key := p
	key.Method = "api_key"
	own, foreign := session.UserTag(p), session.UserTag(other)
	form := func(body string) func(*http.Request) {
		return func(r *http.Request) {
			r.Body = io.NopCloser(strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		}
	}
	none := func(*http.Request) {}
	for _, test := range []struct {
		name, method, target string
		caller               gatehouse.Principal
		change               func(*http.Request)
		status               int
	}{
		{"header", "POST", "/", p, header(session.UserHeader, own), 200},
		{"header of another user", "POST", "/", p, header(session.UserHeader, foreign), 409},
		{"field", "POST", "/", p, form("session_user=" + own + "&note=x"), 200},
		{"field of another user", "POST", "/", p, form("session_user=" + foreign), 409},
		{"two fields", "POST", "/", p, form("session_user=" + own + "&session_user=" + foreign), 409},
		{"query", "DELETE", "/?session_user=" + own, p, none, 200},
		{"query of another user", "PUT", "/?session_user=" + foreign, p, none, 409},
		{"query and another field", "POST", "/?session_user=" + own, p, form("session_user=" + foreign), 409},
		{"header and the query of another user", "POST", "/?session_user=" + foreign, p, header(session.UserHeader, own), 409},
		{"header and the field of another user", "POST", "/", p, func(r *http.Request) {
			header(session.UserHeader, own)(r)
			form("session_user=" + foreign)(r)
		}, 409},
		{"nothing", "POST", "/", p, none, 400},
		{"header with another type", "POST", "/", p, func(r *http.Request) {
			header(session.UserHeader, own)(r)
			header("Content-Type", "application/json; charset=")(r) // malformed
			r.Body = nil
		}, 200},
		{"malformed query that others have read", "POST", "/?session_user=" + own + "&%zz", p, func(r *http.Request) { _ = r.ParseForm() }, 400},
		{"malformed query that others have read, and a form", "POST", "/?session_user=" + own + "&%zz", p, func(r *http.Request) {
			form("session_user=" + own)(r)
			_ = r.ParseForm()
		}, 400},
		{"field that others have read from a multipart form", "POST", "/", p, func(r *http.Request) {
			header("Content-Type", "multipart/form-data; boundary=b")(r)
			r.Form = url.Values{session.UserField: {own}}
		}, 400},
		{"form without the field", "POST", "/", p, form("note=x"), 400},
		{"malformed form", "POST", "/", p, form("session_user=" + own + "&%zz"), 400},
		{"DELETE", "DELETE", "/", p, none, 400},
		{"malformed query", "POST", "/?session_user=" + own + "&%zz", p, none, 400},
		{"read", "GET", "/", p, none, 200},
		{"read by HEAD", "HEAD", "/", p, none, 200},
		{"OPTIONS", "OPTIONS", "/", p, none, 200},
		{"TRACE", "TRACE", "/", p, none, 400},
		{"another credential", "POST", "/", key, none, 200},
		{"anonymous", "POST", "/", gatehouse.Principal{}, none, 200},
	} {
		called := false
		h := session.RequireUser(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			called = true
			if strings.HasPrefix(test.name, "field") && r.FormValue("note") != "x" {
				t.Errorf("%s: the handler gets no form", test.name)
			}
		}))
		r := httptest.NewRequest(test.method, test.target, http.NoBody)
		if !test.caller.IsZero() {
			r = r.WithContext(gatehouse.NewContext(r.Context(), test.caller))
		}
		test.change(r)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.status || called != (test.status == 200) {
			t.Errorf("%s: status %d, want %d; the handler was called: %v", test.name, w.Code, test.status, called)
		}
	}
}
