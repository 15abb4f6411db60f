// SPDX-License-Identifier: Apache-2.0

// Package gategin puts a gatehouse.Gate in front of the handlers of a gin router.
//
//	router := gin.New()
//	router.GET("/healthz", healthz) // public: registered before Use
//	router.Use(gategin.Wrap(gate.Handler))
//	router.GET("/reports", gategin.Wrap(gatehouse.Require(scopes.All("reports:read"))), reports)
//	router.GET("/tenants/:tenant/reports", gategin.Wrap(gatehouse.Require(tenant.FromPath("tenant"))), reports)
//
// The caller is gatehouse.FromContext(c.Request.Context()). FromContext(c) finds it
// only with gin.Engine.ContextWithFallback.
//
// A gin middleware that writes a refusal and returns does not stop the handlers after
// it: they run, and append to the refusal. [Wrap] aborts the chain.
package gategin

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"
)

// Wrap converts a middleware of net/http to one of gin, such as gatehouse.Gate.Handler,
// gatehouse.Gate.Optional and the result of gatehouse.Require. The parameters of the
// route become path values, [http.Request.PathValue], and its path becomes
// [http.Request.Pattern]. The request that middleware passes on replaces that of the
// context, so that neither later handlers, nor earlier ones after Next, have the
// credential.
//
// If middleware does not call the next handler, the chain is aborted: no further
// handler runs. It must not call the next handler after it has returned or in another
// goroutine, as [http.TimeoutHandler] does: put such middleware around the router.
//
// Wrap panics if middleware is nil.
func Wrap(middleware func(http.Handler) http.Handler) gin.HandlerFunc {
	if middleware == nil {
		panic("gategin: Wrap: nil middleware")
	}
	handler := middleware(http.HandlerFunc(next))
	return func(c *gin.Context) {
		chain := &chain{context: c}
		r := c.Request
		for _, p := range c.Params {
			r.SetPathValue(p.Key, p.Value)
		}
		if path := c.FullPath(); path != "" {
			r.Pattern = path
		}
		defer func() {
			if !chain.continued { // also if it panics: not every recovery aborts the chain
				c.Abort()
			}
		}()
		handler.ServeHTTP(c.Writer, r.WithContext(context.WithValue(r.Context(), chainKey{}, chain)))
	}
}

// chain is a chain of gin handlers on its way through a middleware of net/http.
type chain struct {
	context   *gin.Context
	continued bool
}

type chainKey struct{}

// next continues the chain of the request.
func next(w http.ResponseWriter, r *http.Request) {
	chain, ok := r.Context().Value(chainKey{}).(*chain)
	if !ok {
		panic("gategin: Wrap: the middleware has replaced the context of the request")
	}
	chain.continued = true
	c := chain.context
	if w != http.ResponseWriter(c.Writer) {
		own := c.Writer
		c.Writer = writer{own, w}
		defer func() { c.Writer = own }()
	}
	c.Request = r
	c.Next()
}
