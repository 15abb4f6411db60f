// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/budget"
	"github.com/gatehouse-go/gatehouse/agent/model"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/signin"
	"github.com/gatehouse-go/gatehouse/store"
)

// app is the gateway with its backends.
type app struct {
	handler http.Handler
	tokens  *jwtauth.Authenticator // nil if there are no issuers
	keys    *apiKeys               // nil if API keys are not configured
	people  *signin.Handler        // nil if signin is not configured
	issuer  string                 // the origin of that of people
	store   *store.DB              // of the budgets and sessions
	ledger  *budget.Ledger
	models  *model.Catalogue
	budgets []budgetLine
	tiers   []string
	logger  *slog.Logger
	cancel  context.CancelFunc
	work    sync.WaitGroup
}

// memoryHolds bounds the budgets in memory, which keep each call for an hour.
const memoryHolds = 2_000_000

// newApp makes the gateway. It connects to no other server. origin is that of the
// server.
func newApp(config *config, origin string, logger *slog.Logger) (*app, error) {
	values, err := config.settings()
	if err != nil {
		return nil, err
	}
	a := &app{logger: logger, cancel: func() {}}
	observer := gatehouse.Log(logger)
	var errTokens, errKeys, errStore, errPeople error
	if len(values.issuers) > 0 {
		a.tokens, errTokens = jwtauth.New(jwtauth.Config{Issuers: values.issuers, Observer: observer})
	}
	if config.APIKeys != nil {
		a.keys, errKeys = newAPIKeys(config.APIKeys, values.cacheTTL, observer, logger)
	}
	models, errModels := model.New(values.models)
	filter, errPrompts := newFilter(config.Prompts, observer)
	connections, errUpstreams := connect(config.Upstreams, observer)
	if a.store, errStore = openStore("ledger", store.Config{Driver: config.Ledger.Driver, DSN: config.Ledger.DSN, Logger: logger}); errStore == nil {
		if config.Ledger.Driver == "memory" {
			a.store.Budgets = budget.NewMemory(memoryHolds)
		}
		a.ledger, err = budget.New(budget.Config{Store: a.store.Budgets, Hold: values.hold, Observer: observer})
		if config.Signin != nil {
			if u, err := url.Parse(config.Signin.Issuer); err == nil {
				a.issuer = u.Scheme + "://" + u.Host
			}
			a.people, errPeople = newSignin(config.Signin, origin, a.store.Sessions, observer)
		}
	}
	if err := errors.Join(errTokens, errKeys, errModels, errPrompts, errUpstreams, errStore, err, errPeople); err != nil {
		a.close()
		return nil, config.rename(err)
	}
	a.models, a.tiers = models, sorted(config.Tiers)
	for n, b := range config.Budgets {
		a.budgets = append(a.budgets, budgetLine{b, values.windows[n]})
	}
	gateway, err := newGateway(a, connections, filter, observer)
	if err != nil {
		a.close()
		return nil, err
	}
	if a.handler, err = a.routes(gateway, values.maxBody, observer); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// authenticators returns the authenticators for API calls.
func (a *app) authenticators() []gatehouse.Authenticator {
	var all []gatehouse.Authenticator
	if a.tokens != nil {
		all = append(all, a.tokens)
	}
	if a.keys != nil {
		all = append(all, a.keys)
	}
	return all
}

// routes returns all routes with their policies. Sessions of people count for the page
// only.
func (a *app) routes(g *gateway, maxBody int64, observer gatehouse.Observer) (http.Handler, error) {
	settings := gatehouse.Config{
		Authenticators: a.authenticators(), Realm: "llmgateway", Observer: observer, Enrich: roles, ErrorBody: errorBody,
	}
	gate, err := gatehouse.New(settings)
	if err != nil {
		return nil, err
	}
	if a.people != nil {
		settings.Authenticators = append(settings.Authenticators, a.people.Sessions)
		settings.LoginURL = a.people.LoginURL
	}
	pages, err := gatehouse.New(settings)
	if err != nil {
		return nil, err
	}
	callers := gatehouse.PolicyFunc(admit)
	api := gate.Mux()
	for path, shape := range shapes {
		route := a.models.Require(model.Source{Body: shape, MaxBytes: maxBody})
		api.Handle("POST "+path, route(g.handler(shape)), callers)
	}
	api.HandleFunc("GET /v1/models", a.listModels, callers)
	api.HandleFunc("/v1/", notFound, callers)
	api.HandleFunc("GET /usage", a.usage, callers)

	spend := pages.Mux()
	spend.HandleFunc("GET /spend", a.spend, callers, scopes.All("spend:read"))

	root := http.NewServeMux()
	root.Handle("/", api)
	root.Handle("/spend", spend)
	root.HandleFunc("GET /spend.js", asset("spend.js"))
	root.HandleFunc("GET /spend.css", asset("spend.css"))
	root.HandleFunc("GET /healthz", healthz)
	root.HandleFunc("GET /readyz", a.readyz)
	if a.people != nil {
		root.Handle("GET /login", a.people)
		root.Handle("GET /callback", a.people)
		root.Handle("POST /logout", a.people)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store") // also in answers of the muxes
		root.ServeHTTP(w, r)
	}), nil
}

// shapes are the routes of the APIs.
var shapes = map[string]model.Shape{
	"/v1/chat/completions": model.ChatCompletions,
	"/v1/responses":        model.Responses,
	"/v1/embeddings":       model.Embeddings,
	"/v1/messages":         model.Messages,
}

// admit refuses callers without a tenant, and credentials whose caps are malformed.
func admit(_ *http.Request, p gatehouse.Principal) error {
	if p.Tenant == "" {
		return errors.New("llmgateway: the caller has no tenant")
	}
	_, err := budget.CapsOf(p)
	return err
}

// start prepares the stores and returns the lines for standard output.
func (a *app) start(ctx context.Context) (string, error) {
	ctx, a.cancel = context.WithCancel(ctx)
	if err := a.store.Start(ctx); err != nil {
		return "", fmt.Errorf("ledger.dsn: %w", err)
	}
	a.work.Go(func() { _ = a.ledger.Run(ctx) }) // it returns when ctx ends
	if a.keys == nil {
		return "", nil
	}
	return a.keys.start(ctx)
}

func (a *app) close() {
	a.cancel()
	a.work.Wait()
	if a.tokens != nil {
		_ = a.tokens.Close()
	}
	if a.people != nil {
		_ = a.people.Close()
	}
	if a.keys != nil {
		_ = a.keys.close()
	}
	if a.store != nil {
		_ = a.store.Close()
	}
}

// healthz reports that the process is alive. It depends on nothing else: a restart of
// this process does not repair an issuer or a store.
func healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz reports whether the key sets of all issuers are loaded and the stores answer.
// The first call fetches the key sets, so that a readiness probe warms up the process.
func (a *app) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 500*time.Millisecond)
	defer cancel()
	status := "ready"
	// The causes are in the log and stay out of the response.
	switch _, err := a.ledger.Tenant(ctx, "readyz"); {
	case a.tokens != nil && a.tokens.Ready(ctx) != nil:
		status = "no keys"
	case err != nil:
		status = "no ledger"
	case a.keys != nil && !a.keys.db.Ready():
		status = "no API keys"
	}
	if status != "ready" {
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": status})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": status})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
