// SPDX-License-Identifier: Apache-2.0

package authtest_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
)

// newGate makes a gate with jwtauth.
func newGate(t *testing.T, issuers ...jwtauth.Issuer) *gatehouse.Gate {
	t.Helper()
	tokens := must(jwtauth.New(jwtauth.Config{Issuers: issuers}))
	t.Cleanup(func() {
		if err := tokens.Close(); err != nil {
			t.Error(err)
		}
	})
	return must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "test"}))
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })

func protected(t *testing.T, policy gatehouse.Policy, issuers ...jwtauth.Issuer) http.Handler {
	t.Helper()
	mux := newGate(t, issuers...).Mux()
	mux.Handle("/", ok, policy)
	return mux
}

func trust(issuer *authtest.Issuer, profile jwtauth.Profile) jwtauth.Issuer {
	trusted := jwtauth.Issuer{
		URL: issuer.URL, Audiences: []string{issuer.Audience}, Keys: jwtauth.RemoteKeys(issuer.KeysURL), Profile: profile, AnyTenant: true,
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
		// The tokens of one second are equal.
		"without jti and client_id": {
			authtest.IssuerConfig{Algorithms: []string{"RS256", "EdDSA"}, Type: "JWT", Claims: authtest.Claims{"jti": nil, "client_id": nil}}, jwtauth.Compatible,
		},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := authtest.NewIssuer(t, test.config)
			if name == "all" {
				if err := issuer.PublishOddKeys(); err != nil {
					t.Fatal(err)
				}
			}
			authtest.Attack(t, protected(t, gatehouse.Authenticated, trust(issuer, test.profile)), issuer)
		})
	}
}

func TestAttackOnScopes(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}, Scope: "reports:read"})
	authtest.Attack(t, protected(t, scopes.All("reports:read"), trust(issuer, jwtauth.RFC9068)), issuer)
}

func TestCrossIssuerAttacksOnJWTAuth(t *testing.T) {
	a := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	b := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	handler := protected(t, gatehouse.Authenticated, trust(a, jwtauth.RFC9068), trust(b, jwtauth.RFC9068))
	attempts := 0
	for attempt := range authtest.CrossIssuerAttacks(a, b) {
		attempts++
		token, _, err := jwt.NewParser().ParseUnverified(bearer(attempt.Request), jwt.MapClaims{})
		want := map[bool]string{true: a.URL, false: b.URL}[strings.Contains(attempt.Name, "name of the first")]
		if iss := must(must(token, err).Claims.GetIssuer()); iss != want {
			t.Errorf("%s: iss = %s, want %s", attempt.Name, iss, want)
		}
		for _, finding := range attempt.Try(handler) {
			t.Error(finding)
		}
	}
	if attempts != 4 {
		t.Errorf("%d attempts, want 4", attempts)
	}
}

func TestAttackRoutes(t *testing.T) {
	t.Parallel()
	issuer := authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"ES256"}})
	mux := newGate(t, trust(issuer, jwtauth.RFC9068)).Mux()
	mux.Handle("GET /hello", ok, gatehouse.Authenticated)
	mux.Handle("/files/{path...}", ok, scopes.All("files:read"))
	mux.Handle("DELETE users.example.com/users/{id}/{$}", ok, scopes.Any("users:write", "admin"))
	mux.Optional("GET /optional", ok)
	mux.Public("GET /public", ok)
	authtest.AttackRoutes(t, mux, mux.Routes(), issuer)

	// The same table in front of a handler without a gate.
	open := record(t, func(tb testing.TB) { authtest.AttackRoutes(tb, ok, mux.Routes(), issuer) })
	for _, route := range mux.Routes() {
		reported := 0
		for _, e := range open.errors {
			if strings.HasPrefix(e, "authtest: "+route.Pattern+": ") {
				reported++
			}
		}
		if want := map[bool]int{true: 0, false: 6}[route.Access == gatehouse.AccessPublic]; reported != want {
			t.Errorf("%s: %d findings, want %d", route.Pattern, reported, want)
		}
	}
	const scopeless = ": accepted: scopes of the route: valid token without scopes: status 204"
	open.wantReported(t, "/files/{path...}"+scopeless, "DELETE users.example.com/users/{id}/{$}"+scopeless)
	// A handler that fetches keys from where the token says.
	fetching := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var header struct{ JKU string }
		text, _, _ := strings.Cut(bearer(r), ".")
		if decoded, err := base64.RawURLEncoding.DecodeString(text); err == nil && json.Unmarshal(decoded, &header) == nil && header.JKU != "" {
			_, _, _ = get(t, header.JKU)
		}
		mux.ServeHTTP(w, r)
	})
	fetched := record(t, func(tb testing.TB) { authtest.AttackRoutes(tb, fetching, mux.Routes()[:1], issuer) })
	if len(fetched.errors) == 0 || !strings.HasPrefix(fetched.errors[0], "authtest: attacker-controlled URL fetched: key in the header: ") {
		t.Errorf("findings for a handler that fetches keys = %q", fetched.errors)
	}
	// A handler that needs no credentials.
	careless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header["Authorization"] == nil {
			ok(w, r)
		} else {
			mux.ServeHTTP(w, r)
		}
	})
	passed := record(t, func(tb testing.TB) { authtest.AttackRoutes(tb, careless, mux.Routes()[:1], issuer) })
	if !slices.ContainsFunc(passed.errors, func(e string) bool { return strings.Contains(e, ": accepted: empty credential: no header: ") }) {
		t.Errorf("findings for a handler that needs no credentials = %q", passed.errors)
	}
	for name, f := range map[string]func(testing.TB){
		"no protected route": func(tb testing.TB) { authtest.AttackRoutes(tb, ok, mux.Routes()[len(mux.Routes())-1:], issuer) },
		"ignore Accepted":    func(tb testing.TB) { authtest.AttackRoutes(tb, ok, mux.Routes(), issuer, authtest.Accepted) },
	} {
		if r := record(t, f); len(r.fatal) != 1 {
			t.Errorf("AttackRoutes(%s) = %q, want it fatal", name, r.fatal)
		}
	}
}
