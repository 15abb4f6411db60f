// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/gatehouse-go/gatehouse"
	gategin "github.com/gatehouse-go/gatehouse/adapter/gin"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// withGin has the public routes before Use.
func withGin(gate *gatehouse.Gate) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	router.GET("/healthz", gin.WrapF(healthz))
	router.Use(gategin.Wrap(gate.Handler))
	router.GET("/reports", gategin.Wrap(gatehouse.Require(scopes.All("reports:read"))), gin.WrapF(reports))
	router.GET("/tenants/:tenant/reports", gategin.Wrap(gatehouse.Require(tenant.FromPath("tenant"))), gin.WrapF(reports))
	router.GET("/events", gategin.Wrap(gatehouse.EndAtExpiry), gin.WrapF(events))
	router.GET("/socket", gategin.Wrap(gatehouse.EndAtExpiry), gin.WrapF(socket))
	return router
}
