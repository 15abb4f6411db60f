// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
	"github.com/gatehouse-go/gatehouse/stepup"
	"github.com/gatehouse-go/gatehouse/store"
)

// app is the application with its backends.
type app struct {
	handler http.Handler
	store   *store.DB
	signin  *signin.Handler
	notes   notes
	notice  session.Data[string] // is shown once, on the next page
	stepUp  stepup.Requirement
	keeps   bool   // whether a user can ask to stay signed in
	base    string // the path of the application, "" for the root
	issuer  string
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
		notes:  notes{all: make(map[gatehouse.Key]string)},
		stepUp: values.stepUp, keeps: values.remember != (session.Lifetime{}), base: config.BasePath, issuer: config.Issuer, logger: logger, cancel: func() {},
	}
	if a.store, err = store.Open(store.Config{Driver: config.Store.Driver, DSN: config.Store.DSN, Logger: logger}); err != nil {
		return nil, rename(err)
	}
	observer := gatehouse.Log(logger)
	a.signin, err = signin.New(signin.Config{
		Client:                oauth.Config{Issuer: config.Issuer, ClientID: config.ClientID, Secret: values.secret},
		RedirectURI:           config.PublicOrigin + a.base + "/callback",
		PostLogoutRedirectURI: config.PublicOrigin + a.base + "/",
		Home:                  a.base + "/",
		Scopes:                config.Scopes,
		CookieSecrets:         values.cookieKeys,
		Session: session.Config{
			Store: a.store.Sessions, Name: "signin" + strings.ReplaceAll(a.base, "/", "-"), Idle: values.idle, Absolute: values.absolute,
			TrustedOrigins: []string{config.PublicOrigin}, // checks that it is an origin
		},
		Admit: signin.Admit{
			Groups: config.Admit.Groups, GroupsClaim: config.Admit.GroupsClaim, EmailDomains: config.Admit.EmailDomains,
		},
		Userinfo: config.Userinfo,
		Remember: values.remember,
		Complete: func(r *http.Request, login *session.Login) error {
			login.Label = browserName(r.UserAgent())
			return nil
		},
		Page:     messagePage(a.base),
		Observer: observer,
	})
	if err != nil {
		a.close()
		return nil, rename(err)
	}
	a.notice = session.Data[string]{Sessions: a.signin.Sessions, Name: "notice"}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{a.signin.Sessions},
		Realm:          "signin",
		LoginURL:       a.signin.LoginURL,
		ErrorBody:      a.signin.ErrorBody,
		Observer:       observer,
	})
	if err != nil {
		a.close()
		return nil, err
	}
	a.handler = secure(a.routes(gate), config.Issuer)
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

// routes returns all routes: the API behind the gate, the login and the page in
// front of it.
func (a *app) routes(gate *gatehouse.Gate) http.Handler {
	api := gate.Mux()
	api.HandleFunc("GET "+a.base+"/api/me", a.me, gatehouse.Authenticated)
	api.HandleFunc("GET "+a.base+"/api/note", a.notes.read, gatehouse.Authenticated)
	api.HandleFunc("POST "+a.base+"/api/note", a.notes.write, gatehouse.Authenticated)
	api.HandleFunc("GET "+a.base+"/api/upstream", a.upstream, gatehouse.Authenticated)
	api.HandleFunc("GET "+a.base+"/api/sessions", a.listSessions, gatehouse.Authenticated)
	api.HandleFunc("POST "+a.base+"/api/sessions/{id}/end", a.endSession, gatehouse.Authenticated)
	// The export contains all data: require a recent login, because a session may have
	// been left open.
	recent := gatehouse.Authenticated
	if a.asksAgain() {
		recent = stepup.Require(a.stepUp)
	}
	api.HandleFunc("GET "+a.base+"/export", a.export, recent)
	api.Handle("POST "+a.base+"/note", session.RequireUser(http.HandlerFunc(a.saveByForm)), gatehouse.Authenticated)

	root := http.NewServeMux()
	root.Handle(a.base+"/api/", api)
	root.Handle("GET "+a.base+"/export", api)
	root.Handle("POST "+a.base+"/note", http.MaxBytesHandler(api, 4*maxNote))
	root.Handle("GET "+a.base+"/login", a.signin)
	root.Handle("GET "+a.base+"/callback", a.signin)
	root.Handle("POST "+a.base+"/logout", a.signin)
	root.Handle("POST "+a.base+"/backchannel-logout", a.signin)
	root.HandleFunc("GET "+a.base+"/{$}", a.index)
	root.HandleFunc("GET "+a.base+"/app.js", asset("app.js"))
	root.HandleFunc("GET "+a.base+"/style.css", asset("style.css"))
	root.HandleFunc("GET "+a.base+"/healthz", healthz)
	return root
}

// healthz reports that the process is alive. It depends on nothing else: a restart
// of this process does not repair a store.
func healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}
