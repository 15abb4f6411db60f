// SPDX-License-Identifier: Apache-2.0

package authtest_test

import (
	"net/http"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// gate protects a handler with jwtauth as a user would.
func gate(t *testing.T, policy gatehouse.Policy, issuers ...jwtauth.Issuer) http.Handler {
	t.Helper()
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: issuers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tokens.Close(); err != nil {
			t.Error(err)
		}
	})
	g, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return g.Handler(gatehouse.Require(policy)(ok))
}

func trust(issuer *authtest.Issuer, profile jwtauth.Profile) jwtauth.Issuer {
	trusted := jwtauth.Issuer{
		URL: issuer.URL, Audience: issuer.Audience, Keys: jwtauth.RemoteKeys(issuer.KeysURL), Profile: profile,
	}
	if issuer.Secret.Len() > 0 {
		trusted.Keys = jwtauth.SharedSecret(issuer.Secret)
	}
	for _, algorithm := range issuer.Algorithms {
		trusted.Algorithms = append(trusted.Algorithms, jwtauth.Algorithm(algorithm))
	}
	return trusted
}

func TestAttackOnJWTAuth(t *testing.T) {
	for name, test := range map[string]struct {
		config  authtest.IssuerConfig
		profile jwtauth.Profile
	}{
		"all":        {authtest.IssuerConfig{Algorithms: asymmetric, Path: "/tenants/acme"}, jwtauth.RFC9068},
		"HS256":      {authtest.IssuerConfig{Algorithms: []string{"HS256"}}, jwtauth.RFC9068},
		"compatible": {authtest.IssuerConfig{Algorithms: []string{"ES256"}, Type: "JWT"}, jwtauth.Compatible},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := authtest.NewIssuer(t, test.config)
			if name == "all" {
				if err := issuer.PublishOddKeys(); err != nil {
					t.Fatal(err)
				}
			}
			authtest.Attack(t, gate(t, gatehouse.Authenticated, trust(issuer, test.profile)), issuer)
		})
	}
}

func TestAttackOnScopes(t *testing.T) {
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}, Scope: "reports:read"})
	authtest.Attack(t, gate(t, scopes.All("reports:read"), trust(issuer, jwtauth.RFC9068)), issuer)
}

func TestCrossingsOnJWTAuth(t *testing.T) {
	a := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	b := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	handler := gate(t, gatehouse.Authenticated, trust(a, jwtauth.RFC9068), trust(b, jwtauth.RFC9068))
	attempts := 0
	for attempt := range authtest.Crossings(a, b) {
		attempts++
		for _, finding := range attempt.Try(handler) {
			t.Error(finding)
		}
	}
	if attempts != 4 {
		t.Errorf("%d attempts", attempts)
	}
}
