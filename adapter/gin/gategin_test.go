// SPDX-License-Identifier: Apache-2.0

package gategin_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/gatehouse-go/gatehouse"
	gategin "github.com/gatehouse-go/gatehouse/adapter/gin"
	"github.com/gatehouse-go/gatehouse/adapter/internal/webkit"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	m.Run()
}

func hello(c *gin.Context) { c.String(http.StatusOK, "%s", webkit.Hello(c.Request)) }

// router is the right wiring.
func router(gate *gatehouse.Gate) http.Handler {
	router := gin.New()
	router.GET("/healthz", hello)
	router.Use(gategin.Wrap(gate.Handler))
	router.GET("/reports", gategin.Wrap(gatehouse.Require(scopes.All("reports:read"))), hello)
	router.GET("/regions/:region/tenants/:tenant/*rest", gategin.Wrap(gatehouse.Require(tenant.FromPath("tenant"))), hello)
	return router
}

func TestAttack(t *testing.T) {
	issuer := webkit.Issuer(t)
	authtest.Attack(t, router(webkit.Gate(issuer, nil)), issuer)
}

// Each wrong wiring has findings: hostile requests reach the handler.
func TestAttackFindsWrongWiring(t *testing.T) {
	witness := gin.WrapH(webkit.Witness())
	webkit.WrongWirings(t, map[string]func(gate *gatehouse.Gate) http.Handler{
		"middleware without Abort": func(gate *gatehouse.Gate) http.Handler {
			router := gin.New()
			router.Use(func(c *gin.Context) {
				gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					c.Request = r
					c.Next()
				})).ServeHTTP(c.Writer, c.Request)
			})
			router.GET("/reports", witness)
			return router
		},
		"Use after the route": func(gate *gatehouse.Gate) http.Handler {
			router := gin.New()
			router.GET("/reports", witness)
			router.Use(gategin.Wrap(gate.Handler))
			return router
		},
		"another group": func(gate *gatehouse.Gate) http.Handler {
			router := gin.New()
			router.Group("/").Use(gategin.Wrap(gate.Handler))
			router.GET("/reports", witness)
			return router
		},
	})
}

func TestRoutes(t *testing.T) {
	webkit.Routes(t, router, "/regions/:region/tenants/:tenant/*rest", "404 page not found")
	if w := webkit.Send(router(webkit.Gate(webkit.Issuer(t), nil)), "GET", "/healthz", ""); w.Code != 200 || w.Body.String() != "Hello,  of , []" {
		t.Errorf("GET /healthz = %d %q, want 200: it is public", w.Code, w.Body)
	}
}

// The middleware and handlers after a refusal do not run, those before it do.
func TestRefusalAbortsChain(t *testing.T) {
	issuer := webkit.Issuer(t)
	var ran []string
	step := func(name string) gin.HandlerFunc { return func(*gin.Context) { ran = append(ran, name) } }
	router := gin.New()
	router.Use(func(c *gin.Context) {
		c.Next()
		ran = append(ran, fmt.Sprintf("outer: aborted %t, credential %t", c.IsAborted(), c.Request.Header["Authorization"] != nil))
	}, gategin.Wrap(webkit.Gate(issuer, nil).Handler), step("inner"))
	router.GET("/reports", step("handler"))
	for _, test := range []struct {
		authorization string
		want          []string
	}{
		{"Bearer x", []string{"outer: aborted true, credential true"}},
		{"Bearer " + issuer.Token(nil), []string{"inner", "handler", "outer: aborted false, credential false"}},
	} {
		ran = nil
		webkit.Send(router, "GET", "/reports", test.authorization)
		if !slices.Equal(ran, test.want) {
			t.Errorf("ran %q, want %q", ran, test.want)
		}
	}
}

func TestMiddlewareWithResponseWriter(t *testing.T) {
	var own webkit.Upper
	calls := 0
	wrap := gategin.Wrap(func(next http.Handler) http.Handler {
		calls++
		return own.Wrap(next)
	})
	router := gin.New()
	router.Use(func(c *gin.Context) {
		before := c.Writer
		c.Next()
		if c.Writer != before {
			t.Error("the ResponseWriter stays that of the middleware")
		}
	})
	router.GET("/text", wrap, func(c *gin.Context) {
		c.Header("X-Test", "1")
		c.String(http.StatusTeapot, "hello")
		c.Writer.Flush()
		_, _ = c.Writer.WriteString(", world")
	})
	router.GET("/empty", wrap, func(c *gin.Context) { c.Status(http.StatusAccepted) })
	router.GET("/abort", wrap, func(c *gin.Context) { c.AbortWithStatus(http.StatusConflict) })
	if header := own.Want(t, router, "/text", "HELLO, WORLD", 418, 1); header.Get("X-Test") != "1" {
		t.Errorf("header = %v, want that of the handler", header)
	}
	own.Want(t, router, "/empty", "", 202, 0)
	own.Want(t, router, "/abort", "", 409, 0)
	if calls != 1 {
		t.Errorf("the middleware is called %d times for three routes, want once", calls)
	}
}

func TestPanics(t *testing.T) {
	router := gin.New()
	router.Use(gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, problem any) { c.String(http.StatusInternalServerError, "%v", problem) }))
	router.GET("/handler", gategin.Wrap(func(next http.Handler) http.Handler { return next }), func(*gin.Context) { panic("a defect") })
	router.GET("/context", gategin.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(t.Context())) })
	}), hello)
	webkit.Panics(t, router, "gategin", func() { gategin.Wrap(nil) })
}
