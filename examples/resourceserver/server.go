// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/examples/internal/configfile"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// app is the API with all that it needs.
type app struct {
	handler http.Handler
	tokens  *jwtauth.Authenticator
	keys    *apiKeys // nil if there are none
}

func newApp(config *config, logger *slog.Logger) (*app, error) {
	issuers, err1 := config.issuers()
	tokens, err2 := jwtauth.New(jwtauth.Config{
		Issuers: issuers,
		OnKeyProblem: func(issuer string, err error) {
			logger.Warn("key set", "issuer", issuer, "problem", err)
		},
	})
	a := &app{tokens: tokens}
	authenticators := []gatehouse.Authenticator{tokens}
	var err3 error
	if config.APIKeys != nil {
		a.keys, err3 = newAPIKeys(config.APIKeys, logger)
		authenticators = append(authenticators, a.keys)
	}
	resource := gatehouse.ProtectedResource{
		Resource: config.Resource,
		Scopes:   []string{"reports:read", "reports:write"},
	}
	for _, issuer := range config.Issuers {
		resource.AuthorizationServers = append(resource.AuthorizationServers, issuer.Issuer)
	}
	metadata, err4 := gatehouse.NewMetadata(resource)
	if err := configfile.Join(config.check(), err1, config.explain(err2), err3, config.explain(err4)); err != nil {
		a.close()
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: authenticators,
		Realm:          "reports",
		Metadata:       metadata,
		Observer:       gatehouse.Log(logger),
	})
	if err != nil {
		a.close()
		return nil, err
	}
	a.handler = a.routes(gate, metadata)
	return a, nil
}

// start does what must be done before the first request, and returns what is to
// be said of it on standard output.
func (a *app) start(ctx context.Context) (string, error) {
	if a.keys == nil {
		return "", nil
	}
	return a.keys.start(ctx)
}

func (a *app) close() {
	if a.tokens != nil {
		_ = a.tokens.Close()
	}
	if a.keys != nil {
		a.keys.close()
	}
}

// routes are all routes. What needs nobody stands outside the gate, and every
// other path behind it, also those that do not exist.
func (a *app) routes(gate *gatehouse.Gate, metadata *gatehouse.Metadata) http.Handler {
	canRead := gatehouse.Require(scopes.All("reports:read"))
	canWrite := gatehouse.Require(scopes.All("reports:write"))
	canReadAsTenant := gatehouse.Require(tenant.FromPath("tenant"), scopes.All("reports:read"))

	api := http.NewServeMux()
	api.HandleFunc("GET /whoami", whoami)
	api.Handle("GET /reports", canRead(http.HandlerFunc(reports)))
	api.Handle("POST /reports", canWrite(http.HandlerFunc(reports)))
	api.Handle("GET /tenants/{tenant}/reports", canReadAsTenant(http.HandlerFunc(reports)))

	root := http.NewServeMux()
	root.HandleFunc("GET /healthz", healthz)
	root.HandleFunc("GET /readyz", a.readyz)
	// RFC 9728 §3.1 puts the path of the resource behind the well-known path.
	// Clients that know no more than the host ask without it.
	const wellKnown = "/.well-known/oauth-protected-resource"
	root.Handle(wellKnown, metadata)
	if metadata.Path != wellKnown {
		root.Handle(metadata.Path, metadata)
	}
	root.Handle("/", gate.Handler(api))
	return root
}

// healthz says that the process is alive. It must not depend on anything: an
// orchestrator that restarts this process does not mend an issuer.
func healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz says whether the keys of all issuers are at hand. It starts the first
// fetch, so that a probe warms the process up before requests come.
func (a *app) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 500*time.Millisecond)
	defer cancel()
	if err := a.tokens.Ready(ctx); err != nil {
		// What is wrong is in the log. It is nobody's business out here.
		writeJSON(w, http.StatusServiceUnavailable, map[string]string{"status": "no keys"})
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
}

// whoami tells callers who they are. Every handler behind the gate gets to know
// it in the same way.
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
		"scopes":     granted,
		"expires":    p.Expires.UTC().Format(time.RFC3339),
	})
}

// reports stands for what the API is about. Where it is reached, the caller may
// have what it does; that it is the tenant's own is a matter of the query.
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
