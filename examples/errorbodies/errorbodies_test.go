// SPDX-License-Identifier: Apache-2.0

package errorbodies_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/examples/errorbodies"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/scopes"
)

type errorBody = func(*http.Request, gatehouse.Refusal) gatehouse.Body

// handler returns an API with error bodies.
func handler(t *testing.T, issuer *authtest.Issuer, body errorBody) http.Handler {
	t.Helper()
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{{
		URL: issuer.URL, Audiences: []string{issuer.Audience}, Algorithms: []jwtauth.Algorithm{jwtauth.RS256}, Keys: jwtauth.Discover(),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tokens.Close() })
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{tokens}, Realm: "api", ErrorBody: body})
	if err != nil {
		t.Fatal(err)
	}
	mux := gate.Mux()
	mux.HandleFunc("POST /reports", func(http.ResponseWriter, *http.Request) {}, scopes.All("reports:write"))
	return mux
}

func TestBodies(t *testing.T) {
	const page = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>%[1]s</title></head>
<body><h1>%[1]s</h1><p>%s</p></body>
</html>
`
	issuer := authtest.NewIssuer(t)
	missing, denied := gatehouse.CodeMissingCredentials.Description(), gatehouse.CodeInsufficientScope.Description()
	for _, test := range []struct {
		name        string
		body        errorBody
		mode        string
		token       bool
		status      int
		contentType string
		want        string
	}{
		{"problem", errorbodies.Problem, "cors", true, 403, "application/problem+json", `{"title":"Forbidden","status":403,"detail":"` + denied + `","code":"insufficient_scope","required_scopes":["reports:write"]}` + "\n"},
		{"problem without scopes", errorbodies.Problem, "cors", false, 401, "application/problem+json", `{"title":"Unauthorized","status":401,"detail":"` + missing + `","code":"missing_credentials"}` + "\n"},
		{"page for a form", errorbodies.Page, "navigate", true, 403, "text/html; charset=utf-8", fmt.Sprintf(page, "Forbidden", "You cannot do this with your account.")},
		{"page without session", errorbodies.Page, "navigate", false, 401, "text/html; charset=utf-8", fmt.Sprintf(page, "Unauthorized", "Your session has ended. Sign in and try again.")},
		{"page for a script", errorbodies.Page, "cors", true, 403, "application/json", `{"error":"insufficient_scope","error_description":"` + denied + `"}` + "\n"},
		{"OpenAI", errorbodies.OpenAI, "", false, 401, "application/json", `{"error":{"message":"` + missing + `","type":"invalid_request_error","param":null,"code":"missing_credentials"}}` + "\n"},
		{"Anthropic", errorbodies.Anthropic, "", true, 403, "application/json", `{"type":"error","error":{"type":"permission_error","message":"` + denied + `"}}` + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/reports", http.NoBody)
			r.Header.Set("Sec-Fetch-Mode", test.mode)
			if test.token {
				r.Header.Set("Authorization", "Bearer "+issuer.Token(nil))
			}
			w := httptest.NewRecorder()
			handler(t, issuer, test.body).ServeHTTP(w, r)
			if w.Code != test.status || w.Body.String() != test.want {
				t.Errorf("POST /reports = %d %s\nwant %d %s", w.Code, w.Body, test.status, test.want)
			}
			if got := w.Header().Get("Content-Type"); got != test.contentType {
				t.Errorf("Content-Type = %q, want %q", got, test.contentType)
			}
			if w.Header().Get("WWW-Authenticate") == "" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("header = %v, want a challenge and no-store", w.Header())
			}
		})
	}
}

func TestTypesByStatus(t *testing.T) {
	for status, want := range map[int][2]string{
		http.StatusBadRequest:         {"invalid_request_error", "invalid_request_error"},
		http.StatusUnauthorized:       {"invalid_request_error", "authentication_error"},
		http.StatusForbidden:          {"invalid_request_error", "permission_error"},
		http.StatusTooManyRequests:    {"rate_limit_error", "rate_limit_error"},
		http.StatusServiceUnavailable: {"server_error", "api_error"},
	} {
		refusal := gatehouse.Refusal{Status: status, Code: "c", Description: "d"}
		openai, anthropic := errorbodies.OpenAI(nil, refusal).Content, errorbodies.Anthropic(nil, refusal).Content
		if body := `{"error":{"message":"d","type":"` + want[0] + `","param":null,"code":"c"}}` + "\n"; string(openai) != body {
			t.Errorf("OpenAI(%d) = %s, want %s", status, openai, body)
		}
		if body := `{"type":"error","error":{"type":"` + want[1] + `","message":"d"}}` + "\n"; string(anthropic) != body {
			t.Errorf("Anthropic(%d) = %s, want %s", status, anthropic, body)
		}
	}
}
