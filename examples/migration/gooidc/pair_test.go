// SPDX-License-Identifier: Apache-2.0

package gooidc_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/examples/migration/gooidc"
	"github.com/gatehouse-go/gatehouse/internal/providertest"
)

const origin = "https://www.example.com"

// browser navigates in one program and keeps its cookies.
type browser struct {
	handler http.Handler
	cookies map[string]string
}

func (b *browser) get(path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, origin+path, http.NoBody)
	r.Header.Set("Accept", "text/html")
	for name, value := range map[string]string{"Site": "same-origin", "Mode": "navigate", "Dest": "document"} {
		r.Header.Set("Sec-Fetch-"+name, value)
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	for _, c := range w.Result().Cookies() {
		b.cookies[c.Name] = c.Value
	}
	return w
}

// TestPair logs in to both programs, with a provider that behaves and with responses
// that an attacker changed: both accept the same logins, and the second one refuses
// more.
func TestPair(t *testing.T) {
	set := func(name string, value any) func(providertest.Object) {
		return func(claims providertest.Object) { claims[name] = value }
	}
	for _, test := range []struct {
		name          string
		claims        func(providertest.Object) // of the ID token
		response      func(url.Values)          // of the authorization request
		before, after bool
	}{
		{"login", nil, nil, true, true},
		{"state of another browser", nil, func(v url.Values) { v.Set("state", "x") }, false, false},
		{"no state", nil, func(v url.Values) { v.Del("state") }, false, false},
		{"unknown code", nil, func(v url.Values) { v.Set("code", "x") }, false, false},
		{"nonce of another login", set("nonce", "x"), nil, false, false},
		{"no nonce", set("nonce", nil), nil, false, false},
		{"ID token of another issuer", set("iss", "https://other.example.com"), nil, false, false},
		{"ID token for another client", set("aud", "other"), nil, false, false},
		{"expired ID token", set("exp", time.Now().Add(-time.Hour).Unix()), nil, false, false},

		{"response of another issuer", nil, func(v url.Values) { v.Set("iss", "https://other.example.com") }, true, false},
		{"response without the issuer", nil, func(v url.Values) { v.Del("iss") }, true, false},
		{"state twice", nil, func(v url.Values) { v.Add("state", "x") }, true, false},
		{"ID token issued to another client", set("azp", "other"), nil, true, false},
		{"ID token for two clients", set("aud", []string{providertest.ClientID, "other"}), nil, true, false},
		{"ID token without a subject", set("sub", nil), nil, true, false},
		{"ID token from the future", set("iat", time.Now().Add(time.Hour).Unix()), nil, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, want := range map[string]bool{"before": test.before, "after": test.after} {
				provider := providertest.New(t)
				if test.claims != nil {
					provider.Claims = test.claims
				}
				var handler http.Handler
				var err error
				if name == "before" {
					ctx := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: provider})
					handler, err = gooidc.Before(ctx, providertest.Issuer, providertest.ClientID, providertest.Secret, origin)
				} else {
					secret, key := gatehouse.NewSecret([]byte(providertest.Secret)), gatehouse.NewSecret([]byte(strings.Repeat("k", 32)))
					handler, err = gooidc.After(providertest.Issuer, providertest.ClientID, secret, key, origin, provider, slog.New(slog.DiscardHandler))
				}
				if err != nil {
					t.Fatal(err)
				}
				b := &browser{handler, make(map[string]string)}
				if w := b.get("/me"); w.Code == http.StatusOK {
					t.Errorf("%s: GET /me before the login: 200", name)
				}
				response := provider.Authorize(b.get("/auth/login").Header().Get("Location"))
				if test.response != nil {
					test.response(response)
				}
				callback := b.get("/auth/callback?" + response.Encode())
				page := b.get("/me")
				if got := callback.Code == http.StatusSeeOther && page.Code == http.StatusOK; got != want {
					t.Errorf("%s: callback %d %s, GET /me %d, want a login: %t", name, callback.Code, callback.Body, page.Code, want)
				}
				if want && test.name != "ID token without a subject" && page.Body.String() != "page of alice" {
					t.Errorf("%s: GET /me = %s, want the page of alice", name, page.Body)
				}
			}
		})
	}
}
