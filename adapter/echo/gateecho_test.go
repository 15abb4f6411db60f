// SPDX-License-Identifier: Apache-2.0

package gateecho_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-go/gatehouse"
	gateecho "github.com/gatehouse-go/gatehouse/adapter/echo"
	"github.com/gatehouse-go/gatehouse/adapter/internal/webkit"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

func hello(c *echo.Context) error { return c.String(http.StatusOK, webkit.Hello(c.Request())) }

// router is the right wiring.
func router(gate *gatehouse.Gate) http.Handler {
	router := echo.New()
	router.Use(gateecho.Wrap(gate.Handler))
	router.GET("/reports", hello, gateecho.Wrap(gatehouse.Require(scopes.All("reports:read"))))
	router.GET("/regions/:region/tenants/:tenant/*", hello, gateecho.Wrap(gatehouse.Require(tenant.FromPath("tenant"))))
	return router
}

func TestAttack(t *testing.T) {
	issuer := webkit.Issuer(t)
	authtest.Attack(t, router(webkit.Gate(issuer, nil)), issuer)
}

// Each wrong wiring has findings: hostile requests reach the handler.
func TestAttackFindsWrongWiring(t *testing.T) {
	witness := echo.WrapHandler(webkit.Witness())
	webkit.WrongWirings(t, map[string]func(gate *gatehouse.Gate) http.Handler{
		"middleware that always calls the next": func(gate *gatehouse.Gate) http.Handler {
			router := echo.New()
			router.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c *echo.Context) error {
					gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { c.SetRequest(r) })).ServeHTTP(c.Response(), c.Request())
					return next(c)
				}
			})
			router.GET("/reports", witness)
			return router
		},
		"another group": func(gate *gatehouse.Gate) http.Handler {
			router := echo.New()
			router.Group("").Use(gateecho.Wrap(gate.Handler))
			router.GET("/reports", witness)
			return router
		},
	})
}

func TestRoutes(t *testing.T) {
	webkit.Routes(t, router, "/regions/:region/tenants/:tenant/*", `{"message":"Not Found"}`+"\n")
}

// The handlers after a refusal do not run, those before it do.
func TestRefusalEndsChain(t *testing.T) {
	issuer := webkit.Issuer(t)
	var ran []string
	step := func(name string) echo.MiddlewareFunc {
		return func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c *echo.Context) error {
				err := next(c)
				ran = append(ran, fmt.Sprintf("%s: %v, credential %t", name, err, c.Request().Header["Authorization"] != nil))
				return err
			}
		}
	}
	router := echo.New()
	router.Use(step("outer"), gateecho.Wrap(webkit.Gate(issuer, nil).Handler), step("inner"))
	router.GET("/reports", func(*echo.Context) error { return echo.NewHTTPError(http.StatusConflict, "a conflict") })
	for _, test := range []struct {
		authorization string
		status        int
		want          []string
	}{
		{"Bearer x", 401, []string{"outer: <nil>, credential true"}},
		{"Bearer " + issuer.Token(nil), 409, []string{"inner: code=409, message=a conflict, credential false", "outer: code=409, message=a conflict, credential false"}},
	} {
		ran = nil
		if w := webkit.Send(router, "GET", "/reports", test.authorization); w.Code != test.status || !slices.Equal(ran, test.want) {
			t.Errorf("status %d, ran %q, want %d, %q", w.Code, ran, test.status, test.want)
		}
	}
}

func TestMiddlewareWithResponseWriter(t *testing.T) {
	var own webkit.Upper
	calls := 0
	wrap := gateecho.Wrap(func(next http.Handler) http.Handler {
		calls++
		return own.Wrap(next)
	})
	router := echo.New()
	router.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			before := c.Response()
			err := next(c)
			if c.Response() != before {
				t.Error("the ResponseWriter stays that of the middleware")
			}
			return err
		}
	})
	router.GET("/text", func(c *echo.Context) error {
		c.Response().Header().Set("X-Test", "1")
		if err := c.String(http.StatusTeapot, "hello"); err != nil {
			return err
		}
		return http.NewResponseController(c.Response()).Flush()
	}, wrap)
	router.GET("/empty", func(c *echo.Context) error { return c.NoContent(http.StatusAccepted) }, wrap)
	if header := own.Want(t, router, "/text", "HELLO", 418, 1); header.Get("X-Test") != "1" {
		t.Errorf("header = %v, want that of the handler", header)
	}
	own.Want(t, router, "/empty", "", 202, 0)
	if calls != 1 {
		t.Errorf("the middleware is called %d times for two routes, want once", calls)
	}
}

func TestPanics(t *testing.T) {
	router := echo.New()
	router.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) (err error) {
			defer func() { err = c.String(http.StatusInternalServerError, fmt.Sprint(recover())) }()
			return next(c)
		}
	})
	router.GET("/handler", func(*echo.Context) error { panic("a defect") }, gateecho.Wrap(func(next http.Handler) http.Handler { return next }))
	router.GET("/context", hello, gateecho.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(t.Context())) })
	}))
	webkit.Panics(t, router, "gateecho", func() { gateecho.Wrap(nil) })
}
