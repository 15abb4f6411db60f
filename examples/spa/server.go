// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/examples/internal/answer"
	"github.com/gatehouse-go/gatehouse/examples/internal/clientconfig"
	"github.com/gatehouse-go/gatehouse/examples/internal/configfile"
	"github.com/gatehouse-go/gatehouse/examples/internal/engine"
	"github.com/gatehouse-go/gatehouse/examples/internal/notes"
	"github.com/gatehouse-go/gatehouse/examples/internal/userinfo"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
)

// app is the back end with all that it needs, and the page.
type app struct {
	backend  http.Handler
	page     http.Handler
	engine   *engine.Engine
	client   *oauth.Client
	login    *oauth.Login
	sessions *session.Manager
	notes    *notes.Notes
	calls    *http.Client // to other servers, with the token of a person
	origin   string       // of the back end
	home     string       // where the page is
	logger   *slog.Logger
}

func newApp(config *config, logger *slog.Logger) (*app, error) {
	values, err := config.Values(logger)
	a := &app{
		engine: values.Engine, notes: notes.New(), calls: userinfo.NewClient(),
		origin: config.PublicOrigin, home: config.AppOrigin + "/", logger: logger,
	}
	if err := configfile.Join(err, config.check(), a.open(config, values)); err != nil {
		a.close()
		return nil, err
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

// open makes the client of the provider, the login there, and the sessions that
// begin with it. None of them calls anybody yet. It returns all that they find
// wrong with the configuration.
func (a *app) open(config *config, values clientconfig.Values) error {
	var err1, err2, err3 error
	a.client, err1 = oauth.New(oauth.Config{
		Issuer: config.Issuer, ClientID: config.ClientID, Secret: values.Secret,
	})
	request := oauth.AuthorizationRequest{RedirectURI: config.PublicOrigin + "/callback", Scopes: values.Scopes}
	if values.Scopes.Has("offline_access") {
		// OpenID Connect Core 1.0 §11: the server "MUST ignore the offline_access
		// request" without it, in most cases.
		request.Params = url.Values{"prompt": {"consent"}}
	}
	a.sessions, err2 = session.New(session.Config{
		Store: a.engine.Sessions, Keys: values.Keys, Refresh: a.client.RefreshSession, Login: "/login",
		// The page may use the sessions from its own origin. To read the answers it
		// needs CORS too.
		TrustedOrigins: []string{config.PublicOrigin, config.AppOrigin},
		Idle:           values.Idle, Absolute: values.Absolute, Name: "spa", Events: a.sessionEvent,
	})
	if a.client != nil {
		a.login, err3 = oauth.NewLogin(oauth.LoginConfig{
			Client: a.client, Keys: values.Keys, Request: request, Observer: gatehouse.Log(a.logger),
		})
	}
	return clientconfig.Join(err1, err2, err3)
}

// start prepares the store. Where it is down, the app is there all the same, and
// answers with 503 until it is up.
func (a *app) start(ctx context.Context) error {
	if err := a.engine.Start(ctx, a.logger); err != nil {
		return fmt.Errorf("session_store.dsn: %w", err)
	}
	return nil
}

func (a *app) close() {
	if a.sessions != nil {
		_ = a.sessions.Close()
	}
	if a.client != nil {
		_ = a.client.Close()
	}
	a.calls.CloseIdleConnections()
	_ = a.engine.Close()
}

// routes are all routes of the back end.
func (a *app) routes(gate *gatehouse.Gate) http.Handler {
	api := http.NewServeMux()
	api.HandleFunc("GET /api/me", me)
	api.HandleFunc("GET /api/note", a.notes.Read)
	api.HandleFunc("POST /api/note", a.notes.Write)
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

// secure sets what every answer of the back end needs. It has no pages.
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

// healthz says that the process is alive. It must not depend on anything: an
// orchestrator that restarts this process does not mend a store.
func healthz(w http.ResponseWriter, _ *http.Request) {
	answer.JSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// sessionEvent puts into the log what becomes of sessions. What is in an event
// is not secret.
func (a *app) sessionEvent(ctx context.Context, e session.Event) error {
	level := slog.LevelInfo
	if e.Type == session.EventSignedOut || e.Type == session.EventRefreshLost {
		level = slog.LevelWarn
	}
	a.logger.Log(ctx, level, "session", "event", string(e.Type), "subject", e.Session.Subject+e.Selector.Subject, "credential", e.Session.ID)
	return nil
}
