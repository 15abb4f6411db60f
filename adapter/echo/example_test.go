// SPDX-License-Identifier: Apache-2.0

package gateecho_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-go/gatehouse"
	gateecho "github.com/gatehouse-go/gatehouse/adapter/echo"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/tenant"
)

// newRouter is a service in which each tenant has its own reports.
func newRouter(issuer, audience string) (*echo.Echo, error) {
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: issuer, Audiences: []string{audience}, Algorithms: []jwtauth.Algorithm{jwtauth.ES256}, Keys: jwtauth.Discover(),
	}}})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "reports"})
	if err != nil {
		return nil, err
	}
	router := echo.New()
	router.GET("/healthz", func(c *echo.Context) error { return c.NoContent(http.StatusOK) }) // public
	api := router.Group("", gateecho.Wrap(gate.Handler))
	api.GET("/tenants/:tenant/reports", func(c *echo.Context) error {
		p, _ := gatehouse.FromContext(c.Request().Context())
		return c.String(http.StatusOK, "the reports of "+p.Tenant)
	}, gateecho.Wrap(gatehouse.Require(tenant.FromPath("tenant"))))
	return router, nil
}

func Example() {
	issuer, err := authtest.StartIssuer(authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	if err != nil {
		log.Fatal(err)
	}
	defer issuer.Close()
	router, err := newRouter(issuer.URL, issuer.Audience)
	if err != nil {
		log.Fatal(err)
	}
	token := issuer.Token(authtest.Claims{"tenant": "acme"})
	for _, path := range []string{"/tenants/acme/reports", "/tenants/globex/reports"} {
		r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		router.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 200 the reports of acme
	// 403 {"error":"access_denied","error_description":"Access to this resource is denied."}
}
