// SPDX-License-Identifier: Apache-2.0

package gateecho_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-go/gatehouse"
	gateecho "github.com/gatehouse-go/gatehouse/adapter/echo"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newGate returns a gate for the tokens of an issuer, and records its events.
func newGate(issuer *authtest.Issuer, events *[]gatehouse.Event) *gatehouse.Gate {
	tokens := must(jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: issuer.URL, Audiences: []string{issuer.Audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover(),
	}}}))
	config := gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "acme"}
	if events != nil {
		config.Observer = gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			*events = append(*events, e)
			return nil
		})
	}
	return must(gatehouse.New(config))
}

func newIssuer(t *testing.T) *authtest.Issuer {
	return authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}, Target: "/reports", Scope: "reports:read"})
}

func hello(c *echo.Context) error {
	p, _ := gatehouse.FromContext(c.Request().Context())
	return c.String(http.StatusOK, fmt.Sprintf("Hello, %s of %s, %q", p.Subject, p.Tenant, c.Request().Header["Authorization"]))
}

// router is the right wiring.
func router(gate *gatehouse.Gate) *echo.Echo {
	router := echo.New()
	router.Use(gateecho.Wrap(gate.Handler))
	router.GET("/reports", hello, gateecho.Wrap(gatehouse.Require(scopes.All("reports:read"))))
	router.GET("/tenants/:tenant/*", hello, gateecho.Wrap(gatehouse.Require(tenant.FromPath("tenant"))))
	return router
}

func send(handler http.Handler, method, path, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, http.NoBody)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func TestAttack(t *testing.T) {
	issuer := newIssuer(t)
	authtest.Attack(t, router(newGate(issuer, nil)), issuer)
}

var witness = echo.WrapHandler(authtest.Witness(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))

// Each wrong wiring has findings: hostile requests reach the handler.
func TestAttackFindsWrongWiring(t *testing.T) {
	for _, test := range []struct {
		name string
		wire func(router *echo.Echo, gate *gatehouse.Gate)
	}{
		{"middleware that always calls the next", func(router *echo.Echo, gate *gatehouse.Gate) {
			router.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c *echo.Context) error {
					gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { c.SetRequest(r) })).ServeHTTP(c.Response(), c.Request())
					return next(c)
				}
			})
			router.GET("/reports", witness)
		}},
		{"another group", func(router *echo.Echo, gate *gatehouse.Gate) {
			router.Group("").Use(gateecho.Wrap(gate.Handler))
			router.GET("/reports", witness)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			issuer := newIssuer(t)
			router := echo.New()
			test.wire(router, newGate(issuer, nil))
			handler, accepted := http.Handler(router), 0
			for attempt := range authtest.Attacks(issuer) {
				for _, finding := range attempt.Try(handler) {
					if finding.Kind == authtest.Accepted {
						accepted++
					}
				}
			}
			if accepted < 500 {
				t.Errorf("%d findings of hostile requests that reach the handler, want more", accepted)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	issuer := newIssuer(t)
	var events []gatehouse.Event
	handler := router(newGate(issuer, &events))
	token := "Bearer " + issuer.Token(authtest.Claims{"sub": "alice", "tenant": "acme"})
	for _, test := range []struct {
		name, method, path, authorization string
		status                            int
		body, route                       string
	}{
		{"right", "GET", "/reports", token, 200, `Hello, alice of acme, []`, "/reports"},
		{"scope missing", "GET", "/reports", "Bearer " + issuer.Token(authtest.Claims{"scope": nil}), 403, "", "/reports"},
		{"no credential", "GET", "/reports", "", 401, "", "/reports"},
		{"right tenant", "GET", "/tenants/acme/reports", token, 200, `Hello, alice of acme, []`, "/tenants/:tenant/*"},
		{"another tenant", "GET", "/tenants/globex/reports", token, 403, "", "/tenants/:tenant/*"},
		{"tenant in the rest", "GET", "/tenants/globex/acme", token, 403, "", "/tenants/:tenant/*"},
		{"unknown path", "GET", "/nothing", token, 404, `{"message":"Not Found"}` + "\n", ""},
		{"unknown path, no credential", "GET", "/nothing", "", 401, "", ""},
		{"unknown path, HEAD, no credential", "HEAD", "/nothing", "", 401, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			events = nil
			w := send(handler, test.method, test.path, test.authorization)
			if w.Code != test.status || test.body != "" && w.Body.String() != test.body {
				t.Errorf("%s %s = %d %q, want %d %q", test.method, test.path, w.Code, w.Body, test.status, test.body)
			}
			for _, event := range events {
				if event.Route != test.route {
					t.Errorf("event of the route %q, want %q", event.Route, test.route)
				}
			}
			if refused := test.status == 401 || test.status == 403; refused && (len(events) == 0 || events[len(events)-1].Status != test.status) {
				t.Errorf("events = %v, want the refusal", events)
			}
		})
	}
}

// The handlers after a refusal do not run, those before it do.
func TestRefusalEndsChain(t *testing.T) {
	issuer := newIssuer(t)
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
	router.Use(step("outer"), gateecho.Wrap(newGate(issuer, nil).Handler), step("inner"))
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
		if w := send(router, "GET", "/reports", test.authorization); w.Code != test.status || !slices.Equal(ran, test.want) {
			t.Errorf("status %d, ran %q, want %d, %q", w.Code, ran, test.status, test.want)
		}
	}
}

// upper is a middleware with a ResponseWriter of its own.
type upper struct {
	http.ResponseWriter
	status, flushed int
}

func (u *upper) WriteHeader(status int) {
	u.status = status
	u.ResponseWriter.WriteHeader(status)
}

func (u *upper) Write(p []byte) (int, error) { return u.ResponseWriter.Write(bytes.ToUpper(p)) }

func (u *upper) Flush() { u.flushed++ }

func TestMiddlewareWithResponseWriter(t *testing.T) {
	var own *upper
	wrap := gateecho.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			own = &upper{ResponseWriter: w}
			next.ServeHTTP(own, r)
		})
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
	for _, test := range []struct {
		path, body      string
		status, flushed int
	}{{"/text", "HELLO", 418, 1}, {"/empty", "", 202, 0}} {
		w := send(router, "GET", test.path, "")
		if w.Code != test.status || w.Body.String() != test.body || own.status != test.status || own.flushed != test.flushed {
			t.Errorf("GET %s = %d %q, own %+v, want %d %q", test.path, w.Code, w.Body, own, test.status, test.body)
		}
	}
	if w := send(router, "GET", "/text", ""); w.Header().Get("X-Test") != "1" {
		t.Errorf("header = %v, want that of the handler", w.Header())
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
	for path, want := range map[string]string{
		"/handler": "a defect", "/context": "gateecho: Wrap: the middleware has replaced the context of the request",
	} {
		if w := send(router, "GET", path, ""); w.Code != http.StatusInternalServerError || w.Body.String() != want {
			t.Errorf("GET %s = %d %q, want 500 %q", path, w.Code, w.Body, want)
		}
	}
	defer func() {
		if got := recover(); got != "gateecho: Wrap: nil middleware" {
			t.Errorf("Wrap(nil) panics with %v", got)
		}
	}()
	gateecho.Wrap(nil)
}
