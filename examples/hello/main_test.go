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
	// An issuer on a loopback address, whose tokens have the scope of the route
	// that is to be attacked.
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
		t.Errorf("got %d: %s", w.Code, w.Body)
	}

	authtest.Attack(t, h, issuer) // a thousand requests, a few seconds
}

// end snippet

func TestAnswers(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	h, err := handler(issuer.URL, issuer.Audience, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		path, token string
		want        int
	}{
		{"/healthz", "", http.StatusOK},
		{"/hello", "", http.StatusUnauthorized},
		{"/hello", issuer.ExpiredToken(nil), http.StatusUnauthorized},
		{"/reports", issuer.Token(nil), http.StatusForbidden},
		{"/reports", issuer.Token(authtest.Claims{"scope": "reports:read"}), http.StatusOK},
		{"/tenants/acme/reports", issuer.Token(authtest.Claims{"scope": "reports:read"}), http.StatusForbidden},
		{"/tenants/acme/reports", issuer.Token(authtest.Claims{"scope": "reports:read", "tenant": "globex"}), http.StatusForbidden},
		{"/tenants/acme/reports", issuer.Token(authtest.Claims{"scope": "reports:read", "tenant": "acme"}), http.StatusOK},
	} {
		r := httptest.NewRequest(http.MethodGet, test.path, http.NoBody)
		if test.token != "" {
			r.Header.Set("Authorization", "Bearer "+test.token)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.want {
			t.Errorf("%s: got %d, want %d: %s", test.path, w.Code, test.want, w.Body)
		}
	}
}

func TestWrongSettingsEndAtStart(t *testing.T) {
	for _, settings := range [][2]string{{"", ""}, {"http://auth.example.com", "x"}, {"https://auth.example.com", ""}} {
		if _, err := handler(settings[0], settings[1], slog.Default()); err == nil {
			t.Errorf("%q: accepted", settings)
		}
	}
}
