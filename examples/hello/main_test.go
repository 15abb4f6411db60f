// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-go/gatehouse/authtest"
)

// snippet: test
func TestHello(t *testing.T) {
	// An issuer on a loopback address. Its tokens have the scope of the route that
	// Attack calls.
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Target: "/reports", Scope: "reports:read"})
	h, err := handler(issuer.URL, issuer.Audience, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}

	r := httptest.NewRequest(http.MethodGet, "/reports", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+issuer.Token(authtest.Claims{"sub": "alice"}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK || w.Body.String() != "Hello, alice.\n" {
		t.Errorf("GET /reports = %d %q, want 200", w.Code, w.Body)
	}

	authtest.Attack(t, h, issuer) // a thousand requests, a few seconds
}

// end snippet

func TestRoutes(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	h, err := handler(issuer.URL, issuer.Audience, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	reader := func(tenant any) string {
		return issuer.Token(authtest.Claims{"scope": "reports:read", "tenant": tenant})
	}
	for _, test := range []struct {
		name, path, token string
		want              int
	}{
		{"public", "/healthz", "", http.StatusOK},
		{"no token", "/hello", "", http.StatusUnauthorized},
		{"no token, no route", "/nothing", "", http.StatusUnauthorized},
		{"expired token", "/hello", issuer.ExpiredToken(nil), http.StatusUnauthorized},
		{"no scope", "/reports", issuer.Token(nil), http.StatusForbidden},
		{"scope", "/reports", reader(nil), http.StatusOK},
		{"no tenant", "/tenants/acme/reports", reader(nil), http.StatusForbidden},
		{"another tenant", "/tenants/acme/reports", reader("globex"), http.StatusForbidden},
		{"tenant", "/tenants/acme/reports", reader("acme"), http.StatusOK},
		{"no route", "/nothing", reader("acme"), http.StatusNotFound},
	} {
		r := httptest.NewRequest(http.MethodGet, test.path, http.NoBody)
		if test.token != "" {
			r.Header.Set("Authorization", "Bearer "+test.token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s: GET %s = %d %s, want %d", test.name, test.path, w.Code, w.Body, test.want)
		}
	}
}

func TestInvalidConfigIsRefused(t *testing.T) {
	for _, test := range []struct{ issuer, audience string }{{"", ""}, {"http://auth.example.com", "x"}, {"https://auth.example.com", ""}} {
		if _, err := handler(test.issuer, test.audience, slog.Default()); err == nil {
			t.Errorf("handler(%q, %q) = nil error", test.issuer, test.audience)
		}
	}
}
