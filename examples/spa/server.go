// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
	"github.com/gatehouse-go/gatehouse/store"
)

// app is the backend, and the page.
type app struct {
	backend http.Handler
	page    http.Handler
	home    string // the URL of the page
	store   *store.DB
	signin  *signin.Handler
	notes   notes
	logger  *slog.Logger
	cancel  context.CancelFunc
}

// newApp creates the application. It does not connect to other servers.
func newApp(config *config, logger *slog.Logger) (*app, error) {
	values, err := config.settings()
	if err != nil {
		return nil, err
	}
	a := &app{
		home: config.AppOrigin + "/", notes: notes{all: make(map[gatehouse.Key]string)}, logger: logger, cancel: func() {},
	}
	if a.store, err = store.Open(store.Config{Driver: config.Store.Driver, DSN: config.Store.DSN, Logger: logger}); err != nil {
		return nil, rename(err)
	}
	observer := gatehouse.Log(logger)
	a.signin, err = signin.New(signin.Config{
		Client:                oauth.Config{Issuer: config.Issuer, ClientID: config.ClientID, Secret: values.secret},
		RedirectURI:           config.PublicOrigin + "/callback",
		PostLogoutRedirectURI: config.PublicOrigin + "/", // redirects to the page
		Home:                  a.home,
		Scopes:                config.Scopes,
		CookieSecrets:         values.cookieKeys,
		Session: session.Config{
			Store: a.store.Sessions, Name: "spa", Idle: values.idle, Absolute: values.absolute,
			// The page may send requests with the cookie. To read the responses it
			// needs CORS too.
			TrustedOrigins: []string{config.PublicOrigin, config.AppOrigin},
		},
		Page:     a.problem,
		Observer: observer,
	})
	if err != nil {
		a.close()
		return nil, rename(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{a.signin.Sessions},
		Realm:          "spa",
		LoginURL:       a.signin.LoginURL,
		Observer:       observer,
	})
	if err == nil {
		a.page, err = newPage(config, a.signin)
	}
	if err != nil {
		a.close()
		return nil, err
	}
	a.backend = cors(config.AppOrigin, secure(a.routes(gate)))
	return a, nil
}

// start prepares the store. If the store is down, the application starts nevertheless and
// responds with 503 until the store is up.
func (a *app) start(ctx context.Context) error {
	ctx, a.cancel = context.WithCancel(ctx)
	if err := a.store.Start(ctx); err != nil {
		return fmt.Errorf("session_store.dsn: %w", err)
	}
	return nil
}

func (a *app) close() {
	a.cancel()
	if a.signin != nil {
		_ = a.signin.Close()
	}
	_ = a.store.Close()
}

// routes returns the routes of the backend: the API behind the gate, and the login
// in front of it.
func (a *app) routes(gate *gatehouse.Gate) http.Handler {
	api := gate.Mux()
	api.HandleFunc("GET /api/me", me, gatehouse.Authenticated)
	api.HandleFunc("GET /api/note", a.notes.read, gatehouse.Authenticated)
	api.HandleFunc("POST /api/note", a.notes.write, gatehouse.Authenticated)
	api.HandleFunc("GET /api/upstream", a.upstream, gatehouse.Authenticated)

	root := http.NewServeMux()
	root.Handle("/api/", api)
	root.Handle("GET /login", a.signin)
	root.Handle("GET /callback", a.signin)
	root.Handle("POST /logout", a.signin)
	root.Handle("POST /backchannel-logout", a.signin)
	root.Handle("GET /{$}", http.RedirectHandler(a.home, http.StatusSeeOther))
	root.HandleFunc("GET /healthz", healthz)
	return root
}

// secure sets the headers of every response of the backend, which has no pages.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-site")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// problem redirects a navigation that failed at the login or the logout to the page, with
// the problem as a word. The page has a link to the login instead of a redirect, which
// could be an endless loop.
func (a *app) problem(_ *http.Request, p signin.Page) gatehouse.Body {
	if p.Reason == cookie.ReasonCrossSite { // CSRF: a logout form of another site
		return gatehouse.Body{}
	}
	problem := "unavailable"
	switch p.Status {
	case http.StatusForbidden:
		problem = "refused"
	case http.StatusBadRequest:
		problem = "incomplete"
	}
	return gatehouse.Body{ContentType: "text/plain", Header: http.Header{"Location": {a.home + "?problem=" + problem}}}
}

// healthz reports that the process is alive. It depends on nothing else: a restart
// of this process does not repair a store.
func healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}
