// SPDX-License-Identifier: Apache-2.0

// Package gateecho puts a gatehouse.Gate in front of the handlers of an echo router,
// version 5.
//
//	router := echo.New()
//	router.GET("/healthz", healthz) // public
//	api := router.Group("", gateecho.Wrap(gate.Handler))
//	api.GET("/reports", reports, gateecho.Wrap(gatehouse.Require(scopes.All("reports:read"))))
//	api.GET("/tenants/:tenant/reports", reports, gateecho.Wrap(gatehouse.Require(tenant.FromPath("tenant"))))
//
// The caller is gatehouse.FromContext(c.Request().Context()).
package gateecho

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v5"
)

// Wrap converts a middleware of net/http to one of echo, such as gatehouse.Gate.Handler,
// gatehouse.Gate.Optional and the result of gatehouse.Require. The parameters of the
// route become path values, [http.Request.PathValue], and its path becomes
// [http.Request.Pattern]. The request that middleware passes on replaces that of the
// context, so that no handler behind it has the credential.
//
// Unlike [echo.WrapMiddleware], Wrap calls middleware once instead of for each request,
// so middleware may have state.
//
// If middleware does not call the next handler, no further handler runs. It must not
// call the next handler after it has returned or in another goroutine, as
// [http.TimeoutHandler] does: put such middleware around the router.
//
// Wrap panics if middleware is nil.
func Wrap(middleware func(http.Handler) http.Handler) echo.MiddlewareFunc {
	if middleware == nil {
		panic("gateecho: Wrap: nil middleware")
	}
	handler := middleware(http.HandlerFunc(next))
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			chain := &chain{context: c, next: next}
			r := c.Request()
			for _, p := range c.PathValues() {
				r.SetPathValue(p.Name, p.Value)
			}
			if path := c.Path(); path != "" {
				r.Pattern = path
			}
			handler.ServeHTTP(c.Response(), r.WithContext(context.WithValue(r.Context(), chainKey{}, chain)))
			return chain.err
		}
	}
}

// chain is a chain of echo handlers on its way through a middleware of net/http.
type chain struct {
	context *echo.Context
	next    echo.HandlerFunc
	err     error
}

type chainKey struct{}

// next continues the chain of the request.
func next(w http.ResponseWriter, r *http.Request) {
	chain, ok := r.Context().Value(chainKey{}).(*chain)
	if !ok {
		panic("gateecho: Wrap: the middleware has replaced the context of the request")
	}
	c := chain.context
	if own := c.Response(); w != own {
		c.SetResponse(echo.NewResponse(w, c.Logger()))
		defer c.SetResponse(own)
	}
	c.SetRequest(r)
	chain.err = chain.next(c)
}
