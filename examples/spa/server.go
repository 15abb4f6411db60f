// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

// app is the backend, and the page.
type app struct {
	backend  http.Handler
	page     http.Handler
	store    *store
	client   *oauth.Client
	login    *oauth.Login
	sessions *session.Manager
	notes    notes
	calls    *http.Client // to other servers, with access tokens
	origin   string       // of the backend
	home     string       // the URL of the page
	logger   *slog.Logger
	cancel   context.CancelFunc
}

// newApp makes the application. It connects to no other server.
func newApp(config *config, logger *slog.Logger) (*app, error) {
	values, err := config.settings()
	if err != nil {
		return nil, err
	}
	a := &app{
		notes: notes{all: make(map[user]string)}, calls: newCalls(),
		origin: config.PublicOrigin, home: config.AppOrigin + "/", logger: logger, cancel: func() {},
	}
	if a.store, err = openStore(config.Store.Driver, config.Store.DSN); err != nil {
		return nil, fmt.Errorf("session_store.%w", err)
	}
	if err := a.open(config, values); err != nil {
		a.close()
		return nil, rename(err)
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{a.sessions},
		Realm:          "spa",
		Observer:       gatehouse.Log(logger),
	})
	if err == nil {
		a.page, err = newPage(config)
	}
	if err != nil {
		a.close()
		return nil, err
	}
	a.backend = cors(config.AppOrigin, secure(a.routes(gate)))
	return a, nil
}

// open makes the client of the authorization server, the login and the sessions.
func (a *app) open(config *config, values settings) error {
	var errClient, errSessions, errLogin error
	a.client, errClient = oauth.New(oauth.Config{
		Issuer: config.Issuer, ClientID: config.ClientID, Secret: values.secret,
	})
	a.sessions, errSessions = session.New(session.Config{
		Store: a.store.sessions, Keys: values.keys, Refresh: a.client.RefreshSession, Login: "/login",
		// The page may send requests with the cookie. To read the responses it needs
		// CORS too.
		TrustedOrigins: []string{config.PublicOrigin, config.AppOrigin},
		Idle:           values.idle, Absolute: values.absolute, Name: "spa", Events: a.sessionEvent,
	})
	if a.client != nil {
		request := oauth.AuthorizationRequest{RedirectURI: config.PublicOrigin + "/callback", Scopes: values.scopes}
		if values.scopes.Has("offline_access") {
			// OpenID Connect Core 1.0 §11: without prompt=consent the server "MUST
			// ignore the offline_access request", in most cases.
			request.Params = url.Values{"prompt": {"consent"}}
		}
		a.login, errLogin = oauth.NewLogin(oauth.LoginConfig{
			Client: a.client, Keys: values.keys, Request: request, Observer: gatehouse.Log(a.logger),
		})
	}
	return errors.Join(errClient, errSessions, errLogin)
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
	if a.sessions != nil {
		_ = a.sessions.Close()
	}
	if a.client != nil {
		_ = a.client.Close()
	}
	a.calls.CloseIdleConnections()
	_ = a.store.close()
}

// routes returns the routes of the backend.
func (a *app) routes(gate *gatehouse.Gate) http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("GET /api/me", me)
	api.HandleFunc("GET /api/note", a.notes.read)
	api.HandleFunc("POST /api/note", a.notes.write)
	api.HandleFunc("GET /api/upstream", a.upstream)

	root := http.NewServeMux()
	root.Handle("/api/", gate.Handler(api))
	root.HandleFunc("GET /{$}", a.goHome)
	root.HandleFunc("GET /login", a.begin)
	root.HandleFunc("GET /callback", a.callback)
	root.HandleFunc("POST /logout", a.logout)
	root.Handle("POST /backchannel-logout", a.login.BackChannelLogout(a.sessions))
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

// healthz reports that the process is alive. It depends on nothing else: a restart
// of this process does not repair a store.
func healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// sessionEvent logs the events of sessions, which contain no secrets.
func (a *app) sessionEvent(ctx context.Context, e session.Event) error {
	level := slog.LevelInfo
	if e.Type == session.EventSignedOut || e.Type == session.EventRefreshLost {
		level = slog.LevelWarn
	}
	a.logger.Log(ctx, level, "session", "event", string(e.Type), "subject", e.Session.Subject+e.Selector.Subject, "credential", e.Session.ID)
	return nil
}
