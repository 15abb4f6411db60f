// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// app is the API with its backends.
type app struct {
	handler http.Handler
	tokens  *jwtauth.Authenticator // nil if only opaque tokens are accepted
	opaque  *oauth.Introspector    // nil if opaque tokens are not configured
	keys    *apiKeys               // nil if API keys are not configured
	watched *telemetry
	bound   *bound
	tls     *tls.Config // nil for plain HTTP
	logger  *slog.Logger
	cancel  context.CancelFunc
}

func newApp(config *config, logger *slog.Logger) (*app, error) {
	values, err := config.settings()
	if err != nil {
		return nil, err
	}
	a := &app{logger: logger, cancel: func() {}}
	resource := gatehouse.ProtectedResource{Resource: config.Resource, Scopes: []string{"reports:read", "reports:write"}}
	for _, issuer := range config.issuerNames() {
		if isPublic(issuer) {
			resource.AuthorizationServers = append(resource.AuthorizationServers, issuer)
		}
	}
	observer, err := newTelemetry(config, logger)
	if err != nil {
		return nil, err
	}
	a.watched = observer
	var errTokens, errOpaque, errKeys, errTLS error
	bound, errBound := newBound(config, observer, logger)
	a.bound = bound
	a.tls, errTLS = config.serverTLS(bound.roots)
	if len(values.issuers) > 0 || len(config.Introspection) == 0 {
		a.tokens, errTokens = jwtauth.New(jwtauth.Config{Issuers: values.issuers, Observer: observer, Confirmers: bound.confirmers()})
	}
	a.opaque, errOpaque = config.introspector(bound.confirmers())
	if config.APIKeys != nil {
		a.keys, errKeys = newAPIKeys(config.APIKeys, values.cacheTTL, observer, logger)
	}
	a.watch()
	var metadata *gatehouse.Metadata
	var errMetadata error
	if errTokens == nil {
		metadata, errMetadata = gatehouse.NewMetadata(resource)
	}
	if err := errors.Join(errTokens, errOpaque, errKeys, errMetadata, errBound, errTLS); err != nil {
		a.close()
		return nil, config.rename(err)
	}

	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: a.authenticators(),
		Realm:          "reports",
		Metadata:       metadata,
		Observer:       observer,
	})
	if err != nil {
		a.close()
		return nil, err
	}
	a.handler = a.routes(gate, metadata)
	if a.bound.proofs != nil {
		a.handler = a.bound.proofs.Nonces(a.handler)
	}
	if config.AccessLog {
		a.handler = accessLog(logger, a.handler)
	}
	return a, nil
}

// watch adds caches and key sets to the metrics.
func (a *app) watch() {
	if a.tokens != nil {
		a.watched.WatchTokens(a.tokens)
	}
	if a.opaque != nil {
		a.watched.WatchIntrospector(a.opaque)
	}
	if a.keys != nil {
		a.watched.WatchKeys(a.keys.Keys)
	}
}

// authenticators returns the authenticators. That of opaque tokens comes after that of
// API keys, because the introspector introspects every token without dots.
func (a *app) authenticators() []gatehouse.Authenticator {
	var all []gatehouse.Authenticator
	if a.bound.certificates != nil {
		all = append(all, a.bound.certificates.HeaderGuard(), a.bound.certificates)
	}
	if a.tokens != nil {
		all = append(all, a.bound.require(a.tokens))
	}
	if a.keys != nil {
		all = append(all, a.keys)
	}
	if a.opaque != nil {
		all = append(all, a.bound.require(a.opaque))
	}
	return all
}

// start prepares the store of API keys and returns the lines for standard output.
func (a *app) start(ctx context.Context) (string, error) {
	ctx, a.cancel = context.WithCancel(ctx)
	if err := a.bound.start(ctx); err != nil {
		return "", err
	}
	if a.keys == nil {
		return "", nil
	}
	return a.keys.start(ctx)
}

func (a *app) close() {
	a.cancel()
	if a.tokens != nil {
		_ = a.tokens.Close()
	}
	if a.opaque != nil {
		_ = a.opaque.Close()
	}
	if a.keys != nil {
		_ = a.keys.close()
	}
	a.bound.close()
	a.watched.close()
}

// routes returns all routes with their policies. The mux also serves the metadata.
func (a *app) routes(gate *gatehouse.Gate, metadata *gatehouse.Metadata) http.Handler {
	mux := gate.Mux()
	mux.HandleFunc("GET /whoami", whoami, gatehouse.Authenticated)
	mux.HandleFunc("GET /sensitive", sensitive, gatehouse.PolicyFunc(requireBinding))
	mux.HandleFunc("GET /reports", reports, scopes.All("reports:read"))
	mux.HandleFunc("POST /reports", reports, scopes.All("reports:write"))
	mux.HandleFunc("GET /tenants/{tenant}/reports", reports, tenant.FromPath("tenant"), scopes.All("reports:read"))
	mux.PublicFunc("GET /healthz", healthz)
	mux.PublicFunc("GET /readyz", a.readyz)
	// RFC 9728 §3.1: the path of the resource follows the well-known path. Clients that
	// know only the host request it without the path.
	const wellKnown = "/.well-known/oauth-protected-resource"
	if metadata.Path != wellKnown {
		mux.Public(wellKnown, metadata)
	}
	return mux
}

// healthz reports that the process is alive. It depends on nothing else: a restart
// of this process does not repair an issuer.
func healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz reports whether the key sets of all issuers are loaded. The first call
// fetches them, so that a readiness probe warms up the process.
func (a *app) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 500*time.Millisecond)
	defer cancel()
	if a.tokens == nil {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
		return
	}
	if err := a.tokens.Ready(ctx); err != nil {
		// The cause is in the log and stays out of the response.
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "no keys"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// whoami returns the principal of the request.
func whoami(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	granted := []string{} // never null
	for scope := range p.Scopes.All() {
		granted = append(granted, scope)
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"subject":    p.Subject,
		"issuer":     p.Issuer,
		"tenant":     p.Tenant,
		"client":     p.Client,
		"method":     p.Method,
		"credential": p.Credential,
		"binding":    p.Binding,
		"scopes":     granted,
		"expires":    p.Expires.UTC().Format(time.RFC3339),
	})
}

// reports stands for the work of the API. The policies of the route have run; a
// real handler also selects by tenant in its query.
func reports(w http.ResponseWriter, r *http.Request) {
	p, _ := gatehouse.FromContext(r.Context())
	writeJSON(w, http.StatusOK, map[string]any{"tenant": p.Tenant, "reports": []string{}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
