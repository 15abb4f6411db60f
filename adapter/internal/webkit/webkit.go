// SPDX-License-Identifier: Apache-2.0

// Package webkit has the tests of the adapters for web frameworks.
package webkit

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// Issuer returns an issuer for attacks on GET /reports, which needs reports:read.
func Issuer(t *testing.T) *authtest.Issuer {
	return authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}, Target: "/reports", Scope: "reports:read"})
}

// Gate returns a gate for the tokens of an issuer, and records its events if events is
// not nil.
func Gate(issuer *authtest.Issuer, events *[]gatehouse.Event) *gatehouse.Gate {
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

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Hello says who the caller is, and which credential the handler sees.
func Hello(r *http.Request) string {
	p, _ := gatehouse.FromContext(r.Context())
	return fmt.Sprintf("Hello, %s of %s, %q", p.Subject, p.Tenant, r.Header["Authorization"])
}

// Witness reports to the attack of package authtest that a handler runs.
func Witness() http.Handler {
	return authtest.Witness(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

// Send sends a request without a body.
func Send(handler http.Handler, method, path, authorization string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(context.Background(), method, path, http.NoBody)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// WrongWirings fails the test if hostile requests do not reach the [Witness] at /reports
// of each router, which are wired wrongly.
func WrongWirings(t *testing.T, wirings map[string]func(gate *gatehouse.Gate) http.Handler) {
	for name, wire := range wirings {
		t.Run(name, func(t *testing.T) {
			issuer := Issuer(t)
			handler, accepted := wire(Gate(issuer, nil)), 0
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

// Routes tests a router that says [Hello] at /reports, to tokens with reports:read, and
// at the route tenants, for a region, a tenant and any rest. missing is its body for unknown paths.
func Routes(t *testing.T, router func(gate *gatehouse.Gate) http.Handler, tenants, missing string) {
	issuer := Issuer(t)
	var events []gatehouse.Event
	handler := router(Gate(issuer, &events))
	token := "Bearer " + issuer.Token(authtest.Claims{"sub": "alice", "tenant": "acme"})
	for _, test := range []struct {
		name, method, path, authorization string
		status                            int
		body, route                       string
	}{
		{"right", "GET", "/reports", token, 200, `Hello, alice of acme, []`, "/reports"},
		{"scope missing", "GET", "/reports", "Bearer " + issuer.Token(authtest.Claims{"scope": nil}), 403, "", "/reports"},
		{"no credential", "GET", "/reports", "", 401, "", "/reports"},
		{"right tenant", "GET", "/regions/eu/tenants/acme/reports", token, 200, `Hello, alice of acme, []`, tenants},
		{"another tenant", "GET", "/regions/eu/tenants/globex/reports", token, 403, "", tenants},
		{"tenant in the rest", "GET", "/regions/eu/tenants/globex/acme", token, 403, "", tenants},
		{"unknown path", "GET", "/nothing", token, 404, missing, ""},
		{"unknown path, no credential", "GET", "/nothing", "", 401, "", ""},
		{"unknown path, HEAD, no credential", "HEAD", "/nothing", "", 401, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			events = nil
			w := Send(handler, test.method, test.path, test.authorization)
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

// Upper is a ResponseWriter of a middleware, which writes in upper case.
type Upper struct {
	http.ResponseWriter
	status, flushed int
}

// Wrap returns a middleware that passes u on as the ResponseWriter of each request.
func (u *Upper) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*u = Upper{ResponseWriter: w}
		next.ServeHTTP(u, r)
	})
}

// WriteHeader implements [http.ResponseWriter].
func (u *Upper) WriteHeader(status int) {
	u.status = status
	u.ResponseWriter.WriteHeader(status)
}

// Write implements [http.ResponseWriter].
func (u *Upper) Write(p []byte) (int, error) { return u.ResponseWriter.Write(bytes.ToUpper(p)) }

// Flush implements [http.Flusher].
func (u *Upper) Flush() { u.flushed++ }

// Want fails the test if the response to GET path is another one, or did not pass u.
func (u *Upper) Want(t *testing.T, handler http.Handler, path, body string, status, flushed int) http.Header {
	t.Helper()
	w := Send(handler, "GET", path, "")
	if w.Code != status || w.Body.String() != body || u.status != status || u.flushed != flushed {
		t.Errorf("GET %s = %d %q, own %+v, want %d %q", path, w.Code, w.Body, u, status, body)
	}
	return w.Header()
}

// Panics tests a router that answers with panics: of the handler at /handler, and of the
// adapter name at /context, whose middleware replaces the context.
func Panics(t *testing.T, handler http.Handler, name string, wrapNil func()) {
	for path, want := range map[string]string{
		"/handler": "a defect", "/context": name + ": Wrap: the middleware has replaced the context of the request",
	} {
		if w := Send(handler, "GET", path, ""); w.Code != http.StatusInternalServerError || w.Body.String() != want {
			t.Errorf("GET %s = %d %q, want 500 %q", path, w.Code, w.Body, want)
		}
	}
	defer func() {
		if got := recover(); got != name+": Wrap: nil middleware" {
			t.Errorf("Wrap(nil) panics with %v", got)
		}
	}()
	wrapNil()
}
