// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"slices"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// chain is a chain of middleware, the outermost first.
type chain []func(http.Handler) http.Handler

func (c chain) then(handler http.Handler) http.Handler {
	for _, middleware := range slices.Backward(c) {
		handler = middleware(handler)
	}
	return handler
}

// withChain has a chain for each route of an http.ServeMux. A new service uses
// gate.Mux, on which no route can lack its policies.
func withChain(gate *gatehouse.Gate) http.Handler {
	authenticated := chain{gate.Handler}
	with := func(policies ...gatehouse.Policy) chain {
		return append(slices.Clone(authenticated), gatehouse.Require(policies...))
	}
	stream := append(slices.Clone(authenticated), gatehouse.EndAtExpiry)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", healthz)
	mux.Handle("GET /reports", with(scopes.All("reports:read")).then(http.HandlerFunc(reports)))
	mux.Handle("GET /tenants/{tenant}/reports", with(tenant.FromPath("tenant")).then(http.HandlerFunc(reports)))
	mux.Handle("GET /events", stream.then(http.HandlerFunc(events)))
	mux.Handle("GET /socket", stream.then(http.HandlerFunc(socket)))
	mux.Handle("/", authenticated.then(http.NotFoundHandler()))
	return mux
}
