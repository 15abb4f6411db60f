// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/adapter/mcp"
	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/agent/approval"
	"github.com/gatehouse-go/gatehouse/audit"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/mtls"
	"github.com/gatehouse-go/gatehouse/signin"
	"github.com/gatehouse-go/gatehouse/store"
)

// maxArguments limits the arguments of a call, in bytes: people see them before code
// runs, and programs can be long.
const maxArguments = 12 << 20

// app is the server with its backends. Fields are nil if that part is not configured.
type app struct {
	handler http.Handler
	tls     *tls.Config // nil for plain HTTP

	config    *config
	logger    *slog.Logger
	observer  gatehouse.Observer
	trail     *audit.Log
	store     *store.DB
	registry  *agent.Registry
	issuer    *agent.Server    // of agents' tokens
	signing   *jwtauth.KeyRing // its keys
	tokens    *jwtauth.Authenticator
	keys      *apiKeys
	login     *signin.Handler
	approvals *approval.Approvals

	ending     context.Context // ends at shutdown, with the streams
	endStreams context.CancelFunc
	cancel     context.CancelFunc // of the background work
}

func newApp(config *config, logger *slog.Logger) (_ *app, err error) {
	values, err := config.settings()
	if err != nil {
		return nil, err
	}
	a := &app{config: config, logger: logger, cancel: func() {}}
	seed := func(ctx context.Context) error { return a.register(ctx, a.registry) }
	a.ending, a.endStreams = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			err = errors.Join(config.rename(err), a.close())
		}
	}()
	if a.store, err = openStore("store", store.Config{Driver: config.Store.Driver, DSN: config.Store.DSN, Logger: logger, Seed: seed}); err != nil {
		return nil, err
	}
	signingKey, err := loadSigningKey(config.SigningKey)
	if err != nil {
		return nil, fmt.Errorf("signing_key: %w", err)
	}
	if a.trail, err = config.openTrail(); err != nil {
		return nil, err
	}
	// A decision that cannot be recorded is a refusal.
	a.observer = gatehouse.Observers(a.trail, gatehouse.Log(logger))
	certificates, roots, err := config.clientCertificates(a.observer)
	if err != nil {
		return nil, err
	}
	if a.tls, err = config.serverTLS(roots); err != nil {
		return nil, err
	}
	proofs, err := dpop.New(dpop.Config{PublicOrigin: config.PublicOrigin, Replays: a.store.Replays})
	if err != nil {
		return nil, err
	}
	confirmers := []gatehouse.Confirmer{proofs}
	if certificates != nil {
		confirmers = append(confirmers, certificates)
	}
	people := jwtauth.Config{Issuers: values.issuers, Observer: a.observer, Confirmers: confirmers}
	if err := a.newIssuer(people, signingKey, proofs, roots); err != nil {
		return nil, err
	}
	if a.tokens, err = jwtauth.New(a.issuer.Trust(people)); err != nil {
		return nil, err
	}
	if config.APIKeys != nil {
		if a.keys, err = newAPIKeys(config.APIKeys, values.cacheTTL, a.observer, logger); err != nil {
			return nil, err
		}
	}
	if a.login, err = config.login(a.store.Sessions, a.observer); err != nil {
		return nil, err
	}
	a.approvals, err = approval.New(approval.Config{
		Store: a.store.Approvals, URL: config.PublicOrigin + "/approvals", Lifetime: values.lifetime, AllowAskingAgain: true, Observer: a.observer,
		MaxArguments: maxArguments, MaxPending: 50,
	})
	if err != nil {
		return nil, err
	}
	table, err := newTable(config, a.registry, a.approvals, values.admins, a.observer)
	if err != nil {
		return nil, err
	}
	tools, err := mcp.New(mcp.Config{Server: newTools().server(), Table: table, Origin: config.PublicOrigin, Observer: a.observer, MaxBody: maxArguments + 64<<10})
	if err != nil {
		return nil, err
	}
	a.handler, err = a.routes(tools, certificates)
	return a, err
}

// newIssuer makes the registry of agents and the issuer of their tokens.
func (a *app) newIssuer(people jwtauth.Config, key jwtauth.SigningKey, proofs *dpop.Verifier, roots *mtls.Roots) (err error) {
	roles := make(map[string]agent.Role)
	for name, scopes := range a.config.Roles {
		roles[name] = agent.Role{Scopes: scopes}
	}
	known := agent.Config{
		Issuer: a.config.PublicOrigin, Store: a.store.Agents, Replays: a.store.Replays, Roles: roles, Observer: a.observer,
		// The assertion of the token request is the evidence.
		Attestations: map[string]agent.Attestation{"key": {Attestor: agent.KeyPossession{}, Issue: true}},
	}
	if a.config.Store.Driver != "memory" { // which has no agents of an earlier process
		known.Store = configured{a.store.Agents, a.config.Agents}
	}
	if a.registry, err = agent.New(known); err != nil {
		return err
	}
	// An invalid agent ends the process even if the store is down.
	known.Store, known.Observer = agent.NewMemory(len(a.config.Agents)), nil
	trial, err := agent.New(known)
	if err != nil {
		return err
	}
	if err := a.register(context.Background(), trial); err != nil {
		return err
	}
	if a.signing, err = jwtauth.NewKeyRing(key); err != nil {
		return err
	}
	settings := agent.ServerConfig{
		Registry: a.registry, Keys: a.signing, Audience: a.config.PublicOrigin + "/mcp",
		TokenEndpoint: a.config.PublicOrigin + "/token", JWKS: a.config.PublicOrigin + "/jwks",
		Subjects: people, DPoP: proofs,
	}
	if roots != nil {
		settings.Certificates = &mtls.Config{Roots: roots}
	}
	a.issuer, err = agent.NewServer(settings)
	return err
}

// routes returns all routes. Those of the tools take tokens and API keys, those of
// people also the session of a browser.
func (a *app) routes(tools *mcp.Handler, certificates *mtls.Authenticator) (http.Handler, error) {
	resource := gatehouse.ProtectedResource{Resource: a.config.PublicOrigin + "/mcp", Scopes: allScopes}
	// The clients of people take the first one, and agents know theirs.
	for _, i := range a.config.Issuers {
		if isPublic(i.Issuer) {
			resource.AuthorizationServers = append(resource.AuthorizationServers, i.Issuer)
		}
	}
	resource.AuthorizationServers = append(resource.AuthorizationServers, a.config.PublicOrigin)
	metadata, err := gatehouse.NewMetadata(resource)
	if err != nil {
		return nil, err
	}
	var explicit []gatehouse.Authenticator
	if certificates != nil {
		explicit = append(explicit, certificates.HeaderGuard())
	}
	explicit = append(explicit, a.registry.Guard(a.tokens))
	if a.keys != nil {
		explicit = append(explicit, a.registry.Guard(a.keys))
	}
	agents, err := gatehouse.New(gatehouse.Config{
		Authenticators: explicit, Realm: "tools", Metadata: metadata, Observer: a.observer, ErrorBody: mcp.ErrorBody,
	})
	if err != nil {
		return nil, err
	}
	settings := gatehouse.Config{Authenticators: explicit, Realm: "approvals", Observer: a.observer}
	if a.login != nil {
		settings.Authenticators = append(explicit[:len(explicit):len(explicit)], a.login.Sessions)
		settings.LoginURL = a.login.LoginURL
	}
	people, err := gatehouse.New(settings)
	if err != nil {
		return nil, err
	}
	sites, err := cookie.NewCrossSite(cookie.CrossSiteConfig{TrustedOrigins: []string{a.config.PublicOrigin}})
	if err != nil {
		return nil, err
	}

	endpoint := agents.Mux()
	endpoint.Handle("/mcp", a.registry.EndWithAgent(a.endAtShutdown(tools)), gatehouse.Authenticated)
	pages := people.Mux()
	pages.Handle("/approvals", a.approvals, gatehouse.Authenticated)
	pages.Handle("/approvals/", a.approvals, gatehouse.Authenticated)
	pages.Handle("POST /agents/{id}/decommission", a.registry.DecommissionEndpoint("admin"), gatehouse.Authenticated)

	root := http.NewServeMux()
	root.Handle("/mcp", tools.Front(endpoint))
	root.Handle(metadata.Path, endpoint)
	root.Handle("/.well-known/oauth-protected-resource", metadata) // for clients that know only the host
	root.Handle("/approvals", a.sameOrigin(sites, pages))
	root.Handle("/approvals/", a.sameOrigin(sites, pages))
	root.Handle("/agents/", a.sameOrigin(sites, pages))
	root.Handle("POST /token", a.issuer)
	root.Handle("GET /jwks", a.signing)
	root.Handle("GET /.well-known/oauth-authorization-server", a.issuer.Metadata())
	if a.login != nil {
		for _, pattern := range []string{"GET /login", "GET /callback", "POST /logout", "POST /backchannel-logout"} {
			root.Handle(pattern, a.login)
		}
	}
	root.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	return root, nil
}

// sameOrigin refuses cross-origin requests that change state, with any credential.
// Clients other than browsers send neither of the two headers.
func (a *app) sameOrigin(sites *cookie.CrossSite, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		if r.Method != http.MethodGet && r.Method != http.MethodHead && (len(r.Header["Origin"]) > 0 || len(r.Header["Sec-Fetch-Site"]) > 0) {
			if err := sites.Check(r); err != nil {
				if failed := gatehouse.Report(r.Context(), a.observer, gatehouse.NewEvent(r, err, start)); failed != nil {
					err = failed
				}
				gatehouse.Refuse(w, r, err) // outside the gate, so it reports no event
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// endAtShutdown ends the streams when the server shuts down.
func (a *app) endAtShutdown(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(a.ending, cancel)() //nolint:contextcheck // the second context that ends it
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// start prepares the stores and registers the agents. It returns the lines for standard
// output. If a database server is down, the app starts and answers 503 until it is up.
func (a *app) start(ctx context.Context) (string, error) {
	ctx, a.cancel = context.WithCancel(ctx)
	if err := a.store.Start(ctx); err != nil {
		return "", err
	}
	if a.keys == nil {
		return "", nil
	}
	return a.keys.start(ctx)
}

// register registers the configured agents. A decommissioned agent stays decommissioned.
func (a *app) register(ctx context.Context, registry *agent.Registry) error {
	for n, c := range a.config.Agents {
		roles, err := gatehouse.NewRoles(c.Roles...)
		if err != nil {
			return fmt.Errorf("agents[%d].roles: %w", n, err)
		}
		attestation := c.Attestation
		if attestation == "none" {
			attestation = ""
		}
		_, err = registry.Register(ctx, agent.Registration{Agent: agent.Agent{
			ID: c.ID, Tenant: c.Tenant, Owner: c.Owner, Roles: roles, Keys: []string{string(c.JWK)}, Attestation: attestation,
		}})
		switch {
		case errors.Is(err, agent.ErrDecommissioned):
			a.logger.Warn("agent is decommissioned", "id", c.ID)
		case err != nil:
			return fmt.Errorf("agents[%d]: %w", n, err)
		}
	}
	return nil
}

// close ends the background work and closes the backends, the audit log last.
func (a *app) close() error {
	a.cancel()
	a.endStreams()
	if a.login != nil {
		_ = a.login.Close()
	}
	if a.tokens != nil {
		_ = a.tokens.Close()
	}
	if a.issuer != nil {
		_ = a.issuer.Close()
	}
	if a.keys != nil {
		_ = a.keys.close()
	}
	if a.registry != nil {
		_ = a.registry.Close()
	}
	if a.store != nil {
		_ = a.store.Close()
	}
	if a.trail == nil {
		return nil
	}
	return a.trail.Close()
}
