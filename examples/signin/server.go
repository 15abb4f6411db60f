// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

// app is the application with its backends.
type app struct {
	handler http.Handler
	store   *store
	signin  *signin.Handler
	notes   notes
	issuer  string
	logger  *slog.Logger
	cancel  context.CancelFunc
}

// newApp makes the application. It connects to no other server.
func newApp(config *config, logger *slog.Logger) (*app, error) {
	values, err := config.settings()
	if err != nil {
		return nil, err
	}
	a := &app{notes: notes{all: make(map[gatehouse.Key]string)}, issuer: config.Issuer, logger: logger, cancel: func() {}}
	if a.store, err = openStore(config.Store.Driver, config.Store.DSN); err != nil {
		return nil, fmt.Errorf("session_store.%w", err)
	}
	observer := gatehouse.Log(logger)
	a.signin, err = signin.New(signin.Config{
		Client:                oauth.Config{Issuer: config.Issuer, ClientID: config.ClientID, Secret: values.secret},
		RedirectURI:           config.PublicOrigin + "/callback",
		PostLogoutRedirectURI: config.PublicOrigin + "/",
		Scopes:                config.Scopes,
		CookieSecrets:         values.cookieKeys,
		Session: session.Config{
			Store: a.store.sessions, Name: "signin", Idle: values.idle, Absolute: values.absolute,
			TrustedOrigins: []string{config.PublicOrigin}, // checks that it is an origin
		},
		Complete: func(r *http.Request, login *session.Login) error {
			login.Label = browserName(r.UserAgent())
			return nil
		},
		ErrorPage: errorPage,
		Observer:  observer,
	})
	if err != nil {
		a.close()
		return nil, rename(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{a.signin.Sessions},
		Realm:          "signin",
		LoginURL:       a.signin.LoginURL,
		Observer:       observer,
	})
	if err != nil {
		a.close()
		return nil, err
	}
	a.handler = secure(a.routes(gate), config.Issuer)
	return a, nil
}

// start prepares the store. If the store is down, the application starts all the
// same and responds with 503 until the store is up.
func (a *app) start(ctx context.Context) error {
	ctx, a.cancel = context.WithCancel(ctx)
	if err := a.store.start(ctx, a.logger); err != nil {
		return fmt.Errorf("session_store.dsn: %w", err)
	}
	return nil
}

func (a *app) close() {
	a.cancel()
	if a.signin != nil {
		_ = a.signin.Close()
	}
	_ = a.store.close()
}

// routes returns all routes: the API behind the gate, the login and the page in
// front of it.
func (a *app) routes(gate *gatehouse.Gate) http.Handler {
	api := gate.Mux()
	api.HandleFunc("GET /api/me", me, gatehouse.Authenticated)
	api.HandleFunc("GET /api/note", a.notes.read, gatehouse.Authenticated)
	api.HandleFunc("POST /api/note", a.notes.write, gatehouse.Authenticated)
	api.HandleFunc("GET /api/upstream", a.upstream, gatehouse.Authenticated)
	api.HandleFunc("GET /api/sessions", a.listSessions, gatehouse.Authenticated)
	api.HandleFunc("POST /api/sessions/{id}/end", a.endSession, gatehouse.Authenticated)

	root := http.NewServeMux()
	root.Handle("/api/", api)
	root.Handle("GET /login", a.signin)
	root.Handle("GET /callback", a.signin)
	root.Handle("POST /logout", a.signin)
	root.Handle("POST /backchannel-logout", a.signin)
	root.HandleFunc("GET /{$}", a.index)
	root.HandleFunc("GET /app.js", asset("app.js"))
	root.HandleFunc("GET /style.css", asset("style.css"))
	root.HandleFunc("GET /healthz", healthz)
	return root
}

// healthz reports that the process is alive. It depends on nothing else: a restart
// of this process does not repair a store.
func healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}
