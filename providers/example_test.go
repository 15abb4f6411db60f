// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/providers"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// newGate returns a gate for the users of Auth0 and the services of a Kubernetes
// cluster.
func newGate(logger *slog.Logger) (*gatehouse.Gate, error) {
	// snippet: gate
	people := providers.Auth0("acme.eu.auth0.com", "https://api.acme.example")
	people.AnyTenant = true // the organizations of Auth0 are our tenants

	pods := providers.Kubernetes("https://kubernetes.default.svc.cluster.local",
		"https://kubernetes.default.svc/openid/v1/jwks", "https://api.acme.example")
	pods.Tenants = []string{"shop", "billing"} // the namespaces

	observer := gatehouse.Log(logger)
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{people, pods}, Observer: observer})
	if err != nil {
		return nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{tokens},
		Realm:          "acme",
		Observer:       observer,
	})
	// end snippet
	return gate, err
}

// A gate for the tokens of two providers. The first token of each fetches its keys.
func Example() {
	gate, err := newGate(slog.New(slog.DiscardHandler))
	if err != nil {
		log.Fatal(err)
	}
	mux := gate.Mux()
	mux.HandleFunc("GET /reports", func(http.ResponseWriter, *http.Request) {}, scopes.All("reports:read"))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/reports", http.NoBody))
	fmt.Println(w.Code)
	// Output: 401
}

// A parameter that is invalid is an error of jwtauth.New.
func ExampleOkta() {
	_, err := jwtauth.New(jwtauth.Config{
		Issuers: []jwtauth.Issuer{providers.Okta("acme.okta.com", "", "https://api.acme.example")},
	})
	fmt.Println(err)
	// Output: jwtauth: Config.Issuers[0]: providers.Okta: server: got "", want a name such as "default"
}

// families returns an issuer of each family.
func families() []jwtauth.Issuer {
	const api = "https://api.acme.example"
	// snippet: families
	issuers := []jwtauth.Issuer{
		providers.Auth0("acme.eu.auth0.com", api),
		providers.EntraV2("8eaef023-2b34-4da1-9baa-8bc8c9d6a490", "0d5d1b5a-3c1e-4b58-8f0e-0f5f3d1f2a11"), // V1, B2C, External, ADFS
		providers.Okta("acme.okta.com", "default", api),
		providers.Keycloak("https://login.acme.example/realms/acme", "reports-api"),
		providers.Cognito("eu-west-1_Ab12Cd", "4p26exampleclient"), // the app clients of the API
		providers.GoogleServiceAccount(api),                        // also IAP
		providers.Firebase("acme-1a2b3"),
		providers.Clerk("https://clerk.acme.example", "https://app.acme.example"),
		providers.Supabase("abcdefghijklmnopqrst", jwtauth.ES256),
		providers.Zitadel("https://acme.zitadel.cloud", "267912345678901234"),
		providers.Kubernetes("https://kubernetes.default.svc.cluster.local", "https://kubernetes.default.svc/openid/v1/jwks", api),
		providers.GitHubActions(api, "1234567"), // the numeric ID of the organization
		providers.CloudflareAccess("acme", "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"),
	}
	// end snippet
	return issuers
}

// TestOneGateForAllFamilies: the issuers do not exclude each other.
func TestOneGateForAllFamilies(t *testing.T) {
	issuers := families()
	for i := range issuers {
		issuers[i].AnyTenant = issuers[i].Tenants == nil
	}
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: issuers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tokens.Close() })
	if _, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "acme"}); err != nil {
		t.Error(err)
	}
}

// newCookieGate returns a gate for session cookies of Firebase, and the cookie.
func newCookieGate(config jwtauth.Config) (*gatehouse.Gate, *cookie.AccessToken, error) {
	// snippet: cookie
	config.Issuers = []jwtauth.Issuer{providers.FirebaseCookie("acme-1a2b3")}
	tokens, err := jwtauth.New(config)
	if err != nil {
		return nil, nil, err
	}
	// At the login: session.Set(w, r, value), with the value that the Admin SDK returns.
	session, err := cookie.NewAccessToken(cookie.AccessTokenConfig{Verifier: tokens, Name: "session", MaxAge: 5 * 24 * time.Hour})
	if err != nil {
		return nil, nil, err
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{session}, Realm: "acme"})
	// end snippet
	return gate, session, err
}

// TestSessionCookie: the cookie is accepted from pages of this site only.
func TestSessionCookie(t *testing.T) { synctest.Test(t, testSessionCookie) }

func testSessionCookie(t *testing.T) {
	p := firebaseProviders()[1]
	gate, session, err := newCookieGate(jwtauth.Config{Transport: p.documents})
	if err != nil {
		t.Fatal(err)
	}
	login := httptest.NewRecorder()
	if err := session.Set(login, httptest.NewRequest(http.MethodPost, "https://acme.example/login", http.NoBody), p.sign(p.key, nil, nil)); err != nil {
		t.Fatal(err)
	}
	h := gate.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for site, want := range map[string]int{"same-origin": 200, "cross-site": 403} {
		r := httptest.NewRequest(http.MethodPost, "https://acme.example/", http.NoBody)
		r.Header.Set("Sec-Fetch-Site", site)
		r.AddCookie(login.Result().Cookies()[0])
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != want {
			t.Errorf("POST from %s = %d, want %d", site, w.Code, want)
		}
	}
}
