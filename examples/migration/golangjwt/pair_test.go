// SPDX-License-Identifier: Apache-2.0

package golangjwt_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/examples/migration/golangjwt"
)

// TestPair sends the same requests to both programs: both accept the same tokens, and
// the second one refuses more.
func TestPair(t *testing.T) {
	issuer := authtest.NewIssuer(t)
	old, err := golangjwt.Before(t.Context(), issuer.URL, issuer.Audience, issuer.KeysURL)
	if err != nil {
		t.Fatal(err)
	}
	replaced, err := golangjwt.After(issuer.URL, issuer.Audience, issuer.KeysURL, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	reader := authtest.Claims{"sub": "alice", "scope": "profile reports:read"}
	with := func(name string, value any) authtest.Claims {
		return authtest.Claims{"sub": "alice", "scope": "reports:read", name: value}
	}
	for _, test := range []struct {
		name          string
		authorization []string
		before, after int
	}{
		{"valid token", []string{"Bearer " + issuer.Token(reader)}, 200, 200},
		{"no token", nil, 401, 401},
		{"expired", []string{"Bearer " + issuer.ExpiredToken(reader)}, 401, 401},
		{"key of another issuer", []string{"Bearer " + issuer.ForeignToken(reader)}, 401, 401},
		{"signed with the public key as a secret", []string{"Bearer " + issuer.ConfusedToken(reader)}, 401, 401},
		{"not signed", []string{"Bearer " + issuer.UnsignedToken(reader)}, 401, 401},
		{"another audience", []string{"Bearer " + issuer.Token(with("aud", "https://other.example.com"))}, 401, 401},
		{"without the scope", []string{"Bearer " + issuer.Token(authtest.Claims{"scope": "profile"})}, 403, 403},

		{"ID token for the same audience", []string{"Bearer " + issuer.IDToken(with("aud", issuer.Audience))}, 200, 401},
		{"a scope that contains the name", []string{"Bearer " + issuer.Token(with("scope", "reports:readonly"))}, 200, 403},
		{"lifetime of a year", []string{"Bearer " + issuer.Token(with("exp", time.Now().AddDate(1, 0, 0).Unix()))}, 200, 401},
		{"without a subject", []string{"Bearer " + issuer.Token(with("sub", nil))}, 200, 401},
		{"two tokens", []string{"Bearer " + issuer.Token(reader), "Bearer " + issuer.ForeignToken(nil)}, 200, 400},
		{"without the scheme", []string{issuer.Token(reader)}, 200, 401},
	} {
		for name, program := range map[string]struct {
			handler http.Handler
			want    int
		}{"before": {old, test.before}, "after": {replaced, test.after}} {
			r := httptest.NewRequest(http.MethodGet, "/reports", http.NoBody)
			r.Header["Authorization"] = test.authorization
			w := httptest.NewRecorder()
			program.handler.ServeHTTP(w, r)
			if w.Code != program.want || w.Code == http.StatusOK && w.Body.String() != "reports for alice" && test.name != "without a subject" {
				t.Errorf("%s, %s: %d %s, want %d", test.name, name, w.Code, w.Body, program.want)
			}
		}
	}
}
