// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-go/gatehouse"
	gateecho "github.com/gatehouse-go/gatehouse/adapter/echo"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// withEcho has the gate in a group.
func withEcho(gate *gatehouse.Gate) http.Handler {
	handle := func(f http.HandlerFunc) echo.HandlerFunc { return echo.WrapHandler(f) }
	router := echo.New()
	router.GET("/healthz", handle(healthz))
	api := router.Group("", gateecho.Wrap(gate.Handler))
	api.GET("/reports", handle(reports), gateecho.Wrap(gatehouse.Require(scopes.All("reports:read"))))
	api.GET("/tenants/:tenant/reports", handle(reports), gateecho.Wrap(gatehouse.Require(tenant.FromPath("tenant"))))
	api.GET("/events", handle(events), gateecho.Wrap(gatehouse.EndAtExpiry))
	api.GET("/socket", handle(socket), gateecho.Wrap(gatehouse.EndAtExpiry))
	return router
}
