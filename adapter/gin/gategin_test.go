// SPDX-License-Identifier: Apache-2.0

package gategin_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/gatehouse-go/gatehouse"
	gategin "github.com/gatehouse-go/gatehouse/adapter/gin"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
	"github.com/gatehouse-go/gatehouse/tenant"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	m.Run()
}

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

func hello(c *gin.Context) {
	p, _ := gatehouse.FromContext(c.Request.Context())
	c.String(http.StatusOK, "Hello, %s of %s, %q", p.Subject, p.Tenant, c.Request.Header["Authorization"])
}

// router is the right wiring.
func router(gate *gatehouse.Gate) *gin.Engine {
	router := gin.New()
	router.GET("/healthz", hello)
	router.Use(gategin.Wrap(gate.Handler))
	router.GET("/reports", gategin.Wrap(gatehouse.Require(scopes.All("reports:read"))), hello)
	router.GET("/tenants/:tenant/*rest", gategin.Wrap(gatehouse.Require(tenant.FromPath("tenant"))), hello)
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

var witness = gin.WrapH(authtest.Witness(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))

// Each wrong wiring has findings: hostile requests reach the handler.
func TestAttackFindsWrongWiring(t *testing.T) {
	for _, test := range []struct {
		name string
		wire func(router *gin.Engine, gate *gatehouse.Gate)
	}{
		{"middleware without Abort", func(router *gin.Engine, gate *gatehouse.Gate) {
			router.Use(func(c *gin.Context) {
				gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					c.Request = r
					c.Next()
				})).ServeHTTP(c.Writer, c.Request)
			})
			router.GET("/reports", witness)
		}},
		{"Use after the route", func(router *gin.Engine, gate *gatehouse.Gate) {
			router.GET("/reports", witness)
			router.Use(gategin.Wrap(gate.Handler))
		}},
		{"another group", func(router *gin.Engine, gate *gatehouse.Gate) {
			router.Group("/").Use(gategin.Wrap(gate.Handler))
			router.GET("/reports", witness)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			issuer := newIssuer(t)
			router := gin.New()
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
		{"public", "GET", "/healthz", "", 200, `Hello,  of , []`, ""},
		{"right", "GET", "/reports", token, 200, `Hello, alice of acme, []`, "/reports"},
		{"scope missing", "GET", "/reports", "Bearer " + issuer.Token(authtest.Claims{"scope": nil}), 403, "", "/reports"},
		{"no credential", "GET", "/reports", "", 401, "", "/reports"},
		{"right tenant", "GET", "/tenants/acme/reports", token, 200, `Hello, alice of acme, []`, "/tenants/:tenant/*rest"},
		{"another tenant", "GET", "/tenants/globex/reports", token, 403, "", "/tenants/:tenant/*rest"},
		{"tenant in the rest", "GET", "/tenants/globex/acme", token, 403, "", "/tenants/:tenant/*rest"},
		{"unknown path", "GET", "/nothing", token, 404, "404 page not found", ""},
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

// The middleware and handlers after a refusal do not run, those before it do.
func TestRefusalAbortsChain(t *testing.T) {
	issuer := newIssuer(t)
	var ran []string
	step := func(name string) gin.HandlerFunc { return func(*gin.Context) { ran = append(ran, name) } }
	router := gin.New()
	router.Use(func(c *gin.Context) {
		c.Next()
		ran = append(ran, fmt.Sprintf("outer: aborted %t, credential %t", c.IsAborted(), c.Request.Header["Authorization"] != nil))
	}, gategin.Wrap(newGate(issuer, nil).Handler), step("inner"))
	router.GET("/reports", step("handler"))
	for _, test := range []struct {
		authorization string
		want          []string
	}{
		{"Bearer x", []string{"outer: aborted true, credential true"}},
		{"Bearer " + issuer.Token(nil), []string{"inner", "handler", "outer: aborted false, credential false"}},
	} {
		ran = nil
		send(router, "GET", "/reports", test.authorization)
		if !slices.Equal(ran, test.want) {
			t.Errorf("ran %q, want %q", ran, test.want)
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
	wrap := gategin.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			own = &upper{ResponseWriter: w}
			next.ServeHTTP(own, r)
		})
	})
	router := gin.New()
	var after gin.ResponseWriter
	router.Use(func(c *gin.Context) {
		before := c.Writer
		c.Next()
		if after = c.Writer; after != before {
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
	for _, test := range []struct {
		path, body      string
		status, flushed int
	}{{"/text", "HELLO, WORLD", 418, 1}, {"/empty", "", 202, 0}, {"/abort", "", 409, 0}} {
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
	router := gin.New()
	router.Use(gin.CustomRecoveryWithWriter(nil, func(c *gin.Context, problem any) { c.String(http.StatusInternalServerError, "%v", problem) }))
	router.GET("/handler", gategin.Wrap(func(next http.Handler) http.Handler { return next }), func(*gin.Context) { panic("a defect") })
	router.GET("/context", gategin.Wrap(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(t.Context())) })
	}), hello)
	for path, want := range map[string]string{
		"/handler": "a defect", "/context": "gategin: Wrap: the middleware has replaced the context of the request",
	} {
		if w := send(router, "GET", path, ""); w.Code != http.StatusInternalServerError || w.Body.String() != want {
			t.Errorf("GET %s = %d %q, want 500 %q", path, w.Code, w.Body, want)
		}
	}
	defer func() {
		if got := recover(); got != "gategin: Wrap: nil middleware" {
			t.Errorf("Wrap(nil) panics with %v", got)
		}
	}()
	gategin.Wrap(nil)
}
