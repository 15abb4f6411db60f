// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// withChi has the gate in a group, and the policies in With: middleware of Use runs
// before chi has found the route, when there are no path values.
func withChi(gate *gatehouse.Gate) http.Handler {
	router := chi.NewRouter()
	router.Get("/healthz", healthz)
	router.Group(func(router chi.Router) {
		router.Use(gate.Handler)
		router.With(gatehouse.Require(scopes.All("reports:read"))).Get("/reports", reports)
		router.With(gatehouse.Require(tenant.FromPath("tenant"))).Get("/tenants/{tenant}/reports", reports)
		router.Method(http.MethodGet, "/events", gatehouse.EndAtExpiry(http.HandlerFunc(events)))
		router.Method(http.MethodGet, "/socket", gatehouse.EndAtExpiry(http.HandlerFunc(socket)))
	})
	return router
}
