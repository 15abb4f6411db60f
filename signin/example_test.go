// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

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

func Example() {
	_ = os.Setenv("CLIENT_SECRET", "a secret of the client")
	_ = os.Setenv("COOKIE_KEY", strings.Repeat("c", 64))
	h, err := website("https://app.example.com", slog.New(slog.DiscardHandler))
	if err != nil {
		log.Fatal(err)
	}
	for _, request := range []struct{ method, path, accept string }{
		{"GET", "/reports", "application/json"},
		{"GET", "/reports", "text/html"},
		{"GET", "/auth/callback?state=invented", "text/html"},
		{"POST", "/auth/backchannel-logout", ""},
		{"POST", "/auth/logout", "text/html"}, // without the headers of a browser
	} {
		r := httptest.NewRequest(request.method, request.path, http.NoBody)
		r.Header.Set("Accept", request.accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(strings.TrimSpace(fmt.Sprintln(request.method, r.URL.Path, w.Code, w.Header().Get("Location"))))
	}
	// Output:
	// GET /reports 401
	// GET /reports 303 /auth/login?return_to=%2Freports
	// GET /auth/callback 400
	// POST /auth/backchannel-logout 400
	// POST /auth/logout 403
}
