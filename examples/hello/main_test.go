// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-go/gatehouse/authtest"
)

// snippet: test
func TestHello(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Target: "/hello"}) // listens on a loopback address
	h, err := handler(issuer.URL, issuer.Audience)
	if err != nil {
		t.Fatal(err)
	}

	r := httptest.NewRequest(http.MethodGet, "/hello", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+issuer.Token(authtest.Claims{"sub": "alice"}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK || w.Body.String() != "Hello, alice.\n" {
		t.Errorf("got %d: %s", w.Code, w.Body)
	}

	authtest.Attack(t, h, issuer) // a thousand forged, confused, stale and oversized ones
}

// end snippet

func TestAnswers(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	h, err := handler(issuer.URL, issuer.Audience)
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
		if _, err := handler(settings[0], settings[1]); err == nil {
			t.Errorf("%q: accepted", settings)
		}
	}
}
