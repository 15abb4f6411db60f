// SPDX-License-Identifier: Apache-2.0

package migration_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/examples/migration/auth0"
	"github.com/gatehouse-go/gatehouse/examples/migration/golangjwt"
)

// TestAPIs sends the same requests to the programs that verify access tokens, before and
// after the migration: all accept the same tokens, and those after it refuse more.
func TestAPIs(t *testing.T) {
	issuer, logger := authtest.NewIssuer(t), slog.New(slog.DiscardHandler)
	program := func(handler http.Handler, err error) http.Handler {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return handler
	}
	programs := map[string]http.Handler{
		"auth0":           program(auth0.Before(issuer.URL, issuer.Audience)),
		"golangjwt":       program(golangjwt.Before(t.Context(), issuer.URL, issuer.Audience, issuer.KeysURL)),
		"after auth0":     program(auth0.After(issuer.URL, issuer.Audience, logger)),
		"after golangjwt": program(golangjwt.After(issuer.URL, issuer.Audience, issuer.KeysURL, logger)),
	}
	reader := authtest.Claims{"sub": "alice", "scope": "profile reports:read"}
	with := func(name string, value any) authtest.Claims {
		return authtest.Claims{"sub": "alice", "scope": "reports:read", name: value}
	}
	for _, test := range []struct {
		name                    string
		authorization           []string
		auth0, golangjwt, after int
	}{
		{"valid token", []string{"Bearer " + issuer.Token(reader)}, 200, 200, 200},
		{"no token", nil, 400, 401, 401},
		{"expired", []string{"Bearer " + issuer.ExpiredToken(reader)}, 401, 401, 401},
		{"key of another issuer", []string{"Bearer " + issuer.ForeignToken(reader)}, 401, 401, 401},
		{"signed with the public key as a secret", []string{"Bearer " + issuer.ConfusedToken(reader)}, 401, 401, 401},
		{"not signed", []string{"Bearer " + issuer.UnsignedToken(reader)}, 401, 401, 401},
		{"another audience", []string{"Bearer " + issuer.Token(with("aud", "https://other.example.com"))}, 401, 401, 401},
		{"without the scope", []string{"Bearer " + issuer.Token(authtest.Claims{"scope": "profile"})}, 403, 403, 403},

		{"ID token for the same audience", []string{"Bearer " + issuer.IDToken(with("aud", issuer.Audience))}, 200, 200, 401},
		{"a scope that contains the name", []string{"Bearer " + issuer.Token(with("scope", "reports:readonly"))}, 403, 200, 403},
		{"lifetime of a year", []string{"Bearer " + issuer.Token(with("exp", time.Now().AddDate(1, 0, 0).Unix()))}, 200, 200, 401},
		{"without a subject", []string{"Bearer " + issuer.Token(with("sub", nil))}, 200, 200, 401},
		{"two tokens", []string{"Bearer " + issuer.Token(reader), "Bearer " + issuer.ForeignToken(nil)}, 200, 200, 400},
		{"without the scheme", []string{issuer.Token(reader)}, 500, 200, 401},
	} {
		for name, want := range map[string]int{
			"auth0": test.auth0, "golangjwt": test.golangjwt, "after auth0": test.after, "after golangjwt": test.after,
		} {
			r := httptest.NewRequest(http.MethodGet, "/reports", http.NoBody)
			r.Header["Authorization"] = test.authorization
			w := httptest.NewRecorder()
			programs[name].ServeHTTP(w, r)
			if w.Code != want || w.Code == http.StatusOK && w.Body.String() != "reports for alice" && test.name != "without a subject" {
				t.Errorf("%s, %s: %d %s, want %d", test.name, name, w.Code, w.Body, want)
			}
		}
	}
}
