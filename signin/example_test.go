// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

// snippet: signin

// website puts pages behind a login at an OpenID provider. The browser gets a
// cookie that names a session; the tokens stay on the server.
func website(origin string, logger *slog.Logger) (http.Handler, error) {
	secret, err1 := gatehouse.LoadSecret("env:CLIENT_SECRET", 16)
	cookieKey, err2 := gatehouse.LoadSecret("env:COOKIE_KEY", 32) // openssl rand -hex 32
	observer := gatehouse.Log(logger)
	s, err3 := signin.New(signin.Config{
		Client:        oauth.Config{Issuer: "https://auth.example.com", ClientID: "web", Secret: secret},
		RedirectURI:   origin + "/auth/callback", // and /auth/login, /auth/logout, /auth/backchannel-logout
		Scopes:        []string{"offline_access"},
		CookieSecrets: []gatehouse.Secret{cookieKey},
		Session:       session.Config{Store: session.NewMemory(0)},
		Observer:      observer,
	})
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{s.Sessions}, Realm: "app", LoginURL: s.LoginURL, Observer: observer,
	})
	if err != nil {
		return nil, err
	}
	mux := gate.Mux()
	mux.Public("/auth/", s)
	mux.HandleFunc("GET /reports", func(w http.ResponseWriter, r *http.Request) {
		tokens, err := s.Sessions.Tokens(r.Context()) // refreshed if they expired
		if err != nil {
			gatehouse.Refuse(w, r, err)
			return
		}
		showReports(w, r, "Bearer "+string(tokens.Access.Reveal())) // from another server
	}, gatehouse.Authenticated)
	return mux, nil
}

// end snippet

func showReports(http.ResponseWriter, *http.Request, string) {}

func TestWebsite(t *testing.T) {
	t.Setenv("CLIENT_SECRET", "a secret of the client")
	t.Setenv("COOKIE_KEY", strings.Repeat("c", 64))
	h, err := website("https://app.example.com", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, path, accept string
		status               int
		location             string
	}{
		{"GET", "/reports", "application/json", http.StatusUnauthorized, ""},
		{"GET", "/reports", "text/html", http.StatusSeeOther, "/auth/login?return_to=%2Freports"},
		{"GET", "/auth/callback?state=x", "text/html", http.StatusBadRequest, ""},
		{"POST", "/auth/backchannel-logout", "", http.StatusBadRequest, ""},
		{"POST", "/auth/logout", "text/html", http.StatusForbidden, ""},
	} {
		r := httptest.NewRequest(test.method, test.path, http.NoBody)
		r.Header.Set("Accept", test.accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != test.status || w.Header().Get("Location") != test.location {
			t.Errorf("%s %s: %d to %q, want %d to %q", test.method, test.path, w.Code, w.Header().Get("Location"), test.status, test.location)
		}
	}
	t.Setenv("COOKIE_KEY", "short")
	if _, err := website("http://app.example.com", slog.New(slog.DiscardHandler)); err == nil {
		t.Error("website with a short COOKIE_KEY: error = nil")
	}
}
