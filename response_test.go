// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

func (a answer) code(t *testing.T) gatehouse.Code {
	t.Helper()
	var body struct {
		Error       gatehouse.Code `json:"error"`
		Description string         `json:"error_description"`
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatalf("body %q: %v", a.body, err)
	}
	return body.Error
}

// The refusal table, row by row: everything that a refusal is on the wire.
func TestRefusalTable(t *testing.T) {
	const (
		missing     = `{"error":"missing_credentials","error_description":"This resource requires authentication."}` + "\n"
		token       = `{"error":"invalid_token","error_description":"The access token is expired, revoked, malformed or invalid for other reasons."}` + "\n"
		apiKey      = `{"error":"invalid_api_key","error_description":"The API key is not valid."}` + "\n"
		budget      = `{"error":"budget_exceeded","error_description":"The request exceeds its budget."}` + "\n"
		unavailable = `{"error":"temporarily_unavailable","error_description":"The service cannot decide on this request now."}` + "\n"
	)
	for _, test := range []struct {
		name   string
		err    error
		status int
		body   string
		header http.Header // beside the four that every refusal has
	}{
		{
			"no credential", gatehouse.ErrNoCredentials, 401, missing,
			http.Header{"Www-Authenticate": {`Bearer realm="acme"`}},
		},
		{
			"missing credentials, said by an authenticator", &gatehouse.Error{Code: gatehouse.CodeMissingCredentials}, 401, missing,
			http.Header{"Www-Authenticate": {`Bearer realm="acme"`}},
		},
		{
			"malformed request", &gatehouse.Error{Code: gatehouse.CodeInvalidRequest}, 400,
			`{"error":"invalid_request","error_description":"The request carries malformed or several credentials."}` + "\n",
			http.Header{},
		},
		{
			"bad token", &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Scopes: scopeSet("a")}, 401, token,
			http.Header{"Www-Authenticate": {`Bearer realm="acme", error="invalid_token", error_description="The access token is expired, revoked, malformed or invalid for other reasons."`}},
		},
		{
			"bad token under DPoP", &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Scheme: "DPoP", Params: []gatehouse.Param{{Name: "algs", Value: "ES256 EdDSA"}}}, 401, token,
			http.Header{"Www-Authenticate": {`DPoP realm="acme", error="invalid_token", error_description="The access token is expired, revoked, malformed or invalid for other reasons.", algs="ES256 EdDSA"`}},
		},
		{
			"bad key in X-API-Key", &gatehouse.Error{Code: gatehouse.CodeInvalidAPIKey}, 403, apiKey,
			http.Header{},
		},
		{
			"bad key in Authorization", &gatehouse.Error{Code: gatehouse.CodeInvalidAPIKey, Scheme: "ApiKey"}, 401, apiKey,
			http.Header{"Www-Authenticate": {`ApiKey realm="acme", error="invalid_api_key", error_description="The API key is not valid."`}},
		},
		{
			"scope missing", &gatehouse.Error{Code: gatehouse.CodeInsufficientScope, Scopes: scopeSet("b", "a")}, 403,
			`{"error":"insufficient_scope","error_description":"The request requires higher privileges than the credential provides."}` + "\n",
			http.Header{"Www-Authenticate": {`Bearer realm="acme", error="insufficient_scope", error_description="The request requires higher privileges than the credential provides.", scope="a b"`}},
		},
		{
			"scope missing, not said which", &gatehouse.Error{Code: gatehouse.CodeInsufficientScope}, 403,
			`{"error":"insufficient_scope","error_description":"The request requires higher privileges than the credential provides."}` + "\n",
			http.Header{"Www-Authenticate": {`Bearer realm="acme", error="insufficient_scope", error_description="The request requires higher privileges than the credential provides."`}},
		},
		{
			"policy says no", &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Scopes: scopeSet("a")}, 403,
			`{"error":"access_denied","error_description":"Access to this resource is denied."}` + "\n",
			http.Header{},
		},
		{
			"stronger login", &gatehouse.Error{Code: gatehouse.CodeInsufficientUserAuthentication, Params: []gatehouse.Param{{Name: "acr_values", Value: "phr"}, {Name: "max_age", Value: "300"}}}, 401,
			`{"error":"insufficient_user_authentication","error_description":"A different authentication level is required."}` + "\n",
			http.Header{"Www-Authenticate": {`Bearer realm="acme", error="insufficient_user_authentication", error_description="A different authentication level is required.", acr_values="phr", max_age="300"`}},
		},
		{
			"approval", &gatehouse.Error{Code: gatehouse.CodeApprovalRequired}, 403,
			`{"error":"approval_required","error_description":"This operation requires approval."}` + "\n",
			http.Header{"Www-Authenticate": {`Bearer realm="acme", error="approval_required", error_description="This operation requires approval."`}},
		},
		{
			"bad DPoP proof", &gatehouse.Error{Code: gatehouse.CodeInvalidDPoPProof, Scheme: "DPoP"}, 401,
			`{"error":"invalid_dpop_proof","error_description":"The DPoP proof is not valid."}` + "\n",
			http.Header{"Www-Authenticate": {`DPoP realm="acme", error="invalid_dpop_proof", error_description="The DPoP proof is not valid."`}},
		},
		{
			"DPoP nonce", &gatehouse.Error{Code: gatehouse.CodeUseDPoPNonce, Scheme: "DPoP", Header: http.Header{"DPoP-Nonce": {"n-1"}}}, 401,
			`{"error":"use_dpop_nonce","error_description":"The DPoP proof must carry the given nonce."}` + "\n",
			http.Header{
				"Www-Authenticate": {`DPoP realm="acme", error="use_dpop_nonce", error_description="The DPoP proof must carry the given nonce."`},
				"Dpop-Nonce":       {"n-1"},
			},
		},
		{
			"over its cap", &gatehouse.Error{Code: gatehouse.CodeBudgetExceeded}, 403, budget,
			http.Header{},
		},
		{
			"over the window", &gatehouse.Error{Code: gatehouse.CodeBudgetExceeded, RetryAfter: 90 * time.Second}, 429, budget,
			http.Header{"Retry-After": {"90"}},
		},
		{
			"not to be told now", &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable}, 503, unavailable,
			http.Header{"Retry-After": {"5"}},
		},
		{
			"not to be told for a while", &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, RetryAfter: 2001 * time.Millisecond}, 503, unavailable,
			http.Header{"Retry-After": {"3"}},
		},
		{
			"a moment is a second", &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, RetryAfter: 1}, 503, unavailable,
			http.Header{"Retry-After": {"1"}},
		},
		{
			"the past is no time to retry", &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, RetryAfter: -time.Hour}, 503, unavailable,
			http.Header{"Retry-After": {"5"}},
		},
		{
			"any other error", errors.New("dial tcp 10.0.0.1:5432: connection refused"), 503, unavailable,
			http.Header{"Retry-After": {"5"}},
		},
		{
			"a code that is not in the table", &gatehouse.Error{Code: "teapot", Scheme: "Tea", Params: []gatehouse.Param{{Name: "pot", Value: "short"}}}, 503, unavailable,
			http.Header{"Retry-After": {"5"}},
		},
		{
			"no code", &gatehouse.Error{}, 503, unavailable,
			http.Header{"Retry-After": {"5"}},
		},
		{
			"a nil *Error", (*gatehouse.Error)(nil), 503, unavailable,
			http.Header{"Retry-After": {"5"}},
		},
		{
			"an error around a refusal", fmt.Errorf("more: %w", &gatehouse.Error{Code: gatehouse.CodeInvalidAPIKey}), 403, apiKey,
			http.Header{},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var told events
			gate := newGate(t, gatehouse.Config{Authenticators: []gatehouse.Authenticator{refuse(test.err)}, Observer: &told})
			a := send(gate, request())

			want := test.header.Clone()
			want.Set("Cache-Control", "no-store")
			want.Set("Content-Type", "application/json")
			want.Set("X-Content-Type-Options", "nosniff")
			if a.seen != nil {
				t.Error("the handler was reached")
			}
			if a.status != test.status {
				t.Errorf("status %d, want %d", a.status, test.status)
			}
			if a.body != test.body {
				t.Errorf("body %q, want %q", a.body, test.body)
			}
			if !reflect.DeepEqual(a.header, want) {
				t.Errorf("header\n%v, want\n%v", a.header, want)
			}

			// The observer is told what the caller is told.
			if event := told.only(t); event.Status != test.status || event.Code != a.code(t) {
				t.Errorf("event says %d %s", event.Status, event.Code)
			}
			if _, err := gate.Authenticate(request()); err == nil {
				t.Error("Authenticate: no error")
			} else if e, _ := errors.AsType[*gatehouse.Error](err); e == nil || e.Status() != test.status {
				t.Errorf("Authenticate: %v, want status %d", err, test.status)
			}
		})
	}
}

func TestInvitations(t *testing.T) {
	metadata, err := gatehouse.NewMetadata(gatehouse.ProtectedResource{
		Resource: "https://api.example.com", AuthorizationServers: []string{"https://auth.example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	scheme := func(scheme string, params ...gatehouse.Param) gatehouse.Authenticator {
		return challenger{refuse(gatehouse.ErrNoCredentials), gatehouse.Challenge{Scheme: scheme, Params: params}}
	}
	for _, test := range []struct {
		name   string
		config gatehouse.Config
		want   []string
	}{
		{
			"nobody invites",
			gatehouse.Config{Authenticators: []gatehouse.Authenticator{connection}},
			[]string{`Bearer realm="acme"`},
		},
		{
			"each scheme once, in order",
			gatehouse.Config{Authenticators: []gatehouse.Authenticator{scheme("DPoP", gatehouse.Param{Name: "algs", Value: "ES256"}), scheme("Bearer"), scheme("dpop"), scheme("bearer")}},
			[]string{`DPoP realm="acme", algs="ES256"`, `Bearer realm="acme"`},
		},
		{
			"metadata",
			gatehouse.Config{Authenticators: []gatehouse.Authenticator{scheme("ApiKey"), scheme("Bearer")}, Metadata: metadata},
			[]string{
				`ApiKey realm="acme", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"`,
				`Bearer realm="acme", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"`,
			},
		},
		{
			"realm is quoted",
			gatehouse.Config{Authenticators: []gatehouse.Authenticator{connection}, Realm: `a "b" \c`},
			[]string{`Bearer realm="a \"b\" \\c"`},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate := newGate(t, test.config)
			for range 2 { // the second is no longer than the first
				a := send(gate, request())
				a.check(t, 401, gatehouse.CodeMissingCredentials)
				if got := a.header["Www-Authenticate"]; !reflect.DeepEqual(got, test.want) {
					t.Errorf("WWW-Authenticate %q, want %q", got, test.want)
				}
			}
		})
	}
}

// RFC 9728 §5.1: the metadata is in the challenge of a refusal too.
func TestRefusalPointsToMetadata(t *testing.T) {
	metadata, err := gatehouse.NewMetadata(gatehouse.ProtectedResource{
		Resource: "https://api.example.com/v1", AuthorizationServers: []string{"https://auth.example.com"},
	})
	if err != nil {
		t.Fatal(err)
	}
	gate := newGate(t, gatehouse.Config{Authenticators: []gatehouse.Authenticator{bearer{}}, Metadata: metadata})
	a := send(gate, request("Authorization", "Bearer x"))
	const want = `Bearer realm="acme", error="invalid_token", error_description="The access token is expired, revoked, malformed or invalid for other reasons.", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/v1"`
	if got := a.header.Get("WWW-Authenticate"); got != want {
		t.Errorf("WWW-Authenticate %s, want %s", got, want)
	}
}

type challenger struct {
	gatehouse.Authenticator
	challenge gatehouse.Challenge
}

func (c challenger) Challenge() gatehouse.Challenge { return c.challenge }

func TestLogin(t *testing.T) {
	nobody := &gatehouse.Error{Code: gatehouse.CodeMissingCredentials, Cause: gatehouse.ErrNoCredentials, Login: "/login"}
	elsewhere := &gatehouse.Error{Code: gatehouse.CodeMissingCredentials, Cause: gatehouse.ErrNoCredentials, Login: "/elsewhere"}
	ended := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Login: "/login"}
	stronger := &gatehouse.Error{Code: gatehouse.CodeInsufficientUserAuthentication, Login: "/login?max_age=0"}
	denied := &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Login: "/login"}
	broken := &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Login: "/login"}
	navigation := []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none"}

	for _, test := range []struct {
		name     string
		errs     []error
		method   string
		headers  []string
		status   int
		location string
	}{
		{"nobody", []error{nobody}, "GET", navigation, 303, "/login"},
		{"the first that knows a login wins", []error{gatehouse.ErrNoCredentials, nobody, elsewhere}, "GET", navigation, 303, "/login"},
		{"session is over", []error{ended}, "GET", navigation, 303, "/login"},
		{"stronger login", []error{stronger}, "GET", navigation, 303, "/login?max_age=0"},
		{"an old browser", []error{nobody}, "GET", []string{"Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}, 303, "/login"},
		{"no login is known", []error{gatehouse.ErrNoCredentials}, "GET", navigation, 401, ""},
		{"403 is no matter of logging in", []error{denied}, "GET", navigation, 403, ""},
		{"nor is 503", []error{broken}, "GET", navigation, 503, ""},
		{"fetch", []error{nobody}, "GET", []string{"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "text/html"}, 401, ""},
		{"fetch that says document", []error{nobody}, "GET", []string{"Sec-Fetch-Mode", "same-origin", "Sec-Fetch-Dest", "document"}, 401, ""},
		{"frame", []error{nobody}, "GET", []string{"Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe", "Accept", "text/html"}, 401, ""},
		{"navigation to nowhere", []error{nobody}, "GET", []string{"Sec-Fetch-Mode", "navigate", "Accept", "text/html"}, 401, ""},
		{"form", []error{nobody}, "POST", navigation, 401, ""},
		{"head", []error{nobody}, "HEAD", navigation, 401, ""},
		{"a program", []error{nobody}, "GET", []string{"Accept", "application/json"}, 401, ""},
		{"a program that takes everything", []error{nobody}, "GET", []string{"Accept", "*/*"}, 401, ""},
		{"a program that says nothing", []error{nobody}, "GET", nil, 401, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var authenticators []gatehouse.Authenticator
			for _, err := range test.errs {
				authenticators = append(authenticators, refuse(err))
			}
			r := request(test.headers...)
			r.Method = test.method
			a := send(gateOf(t, authenticators...), r)
			if a.status != test.status || a.seen != nil {
				t.Errorf("status %d, want %d; handler reached: %v", a.status, test.status, a.seen != nil)
			}
			if got := a.header.Get("Location"); got != test.location {
				t.Errorf("Location %q, want %q", got, test.location)
			}
			if got := a.header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q", got)
			}
			if test.status == 303 && (a.body != "" || a.header.Get("WWW-Authenticate") != "") {
				t.Errorf("a redirect with body %q and challenge %q", a.body, a.header["Www-Authenticate"])
			}
		})
	}
}

// A policy can ask for a stronger login, too.
func TestLoginFromPolicy(t *testing.T) {
	stronger := func(*http.Request, gatehouse.Principal) error {
		return &gatehouse.Error{Code: gatehouse.CodeInsufficientUserAuthentication, Login: "/login"}
	}
	gate := gateOf(t, admit(person()))
	a := sendThrough(func(next http.Handler) http.Handler { return gate.Handler(gatehouse.Require(stronger)(next)) },
		request("Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"))
	if a.status != http.StatusSeeOther || a.header.Get("Location") != "/login" || a.seen != nil {
		t.Errorf("%d %q, handler reached: %v", a.status, a.header.Get("Location"), a.seen != nil)
	}
}

// What was said of the page that is not sent must not be said of the refusal.
func TestRefusalForgetsTheBody(t *testing.T) {
	gate := gateOf(t, refuse(gatehouse.ErrNoCredentials))
	w := httptest.NewRecorder()
	for name, value := range map[string]string{
		"Content-Length": "10", "Content-Encoding": "gzip", "Etag": `"1"`, "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT",
		"Cache-Control": "public, max-age=3600", "Content-Type": "text/html", "X-Request-Id": "7",
	} {
		w.Header().Set(name, value)
	}
	gate.Handler(http.NotFoundHandler()).ServeHTTP(w, request())
	want := http.Header{
		"Cache-Control": {"no-store"}, "Content-Type": {"application/json"}, "X-Content-Type-Options": {"nosniff"},
		"Www-Authenticate": {`Bearer realm="acme"`}, "X-Request-Id": {"7"},
	}
	if !reflect.DeepEqual(w.Header(), want) {
		t.Errorf("header %v, want %v", w.Header(), want)
	}
}

// An error may add to the response and may not make a refusal cacheable.
func TestErrorHeader(t *testing.T) {
	e := &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Header: http.Header{
		"dpop-nonce": {"n-1"}, "Cache-Control": {"public"}, "Content-Type": {"text/html"},
	}}
	gate := gateOf(t, refuse(e))
	w := httptest.NewRecorder()
	gate.Handler(http.NotFoundHandler()).ServeHTTP(w, request())
	want := http.Header{
		"Cache-Control": {"no-store"}, "Content-Type": {"application/json"}, "X-Content-Type-Options": {"nosniff"},
		"Dpop-Nonce": {"n-1"},
	}
	if !reflect.DeepEqual(w.Header(), want) {
		t.Errorf("header %v, want %v", w.Header(), want)
	}
	w.Header()["Dpop-Nonce"][0] = "changed"
	if e.Header["dpop-nonce"][0] != "n-1" {
		t.Error("the response shares its header with the error")
	}
}

// A proof may add to the response, and many responses may share one proof.
func TestProofHeader(t *testing.T) {
	shared := http.Header{"DPoP-Nonce": append(make([]string, 0, 4), "n-1")}
	gate := gateOf(t, gatehouse.AuthenticatorFunc(func(*http.Request) (gatehouse.Proof, error) {
		return gatehouse.Proof{Principal: person(), Source: gatehouse.SourceHeader, Name: "Authorization", Header: shared}, nil
	}))
	for range 2 {
		a := send(gate, request())
		a.check(t, 200, "")
		if got := a.header["Dpop-Nonce"]; !reflect.DeepEqual(got, []string{"n-1"}) {
			t.Errorf("DPoP-Nonce %q", got)
		}
		a.header["Dpop-Nonce"][0] = "changed"
	}
}

// Over a real connection: no body after HEAD, and the length of what is sent.
func TestRefusalOnTheWire(t *testing.T) {
	server := httptest.NewServer(gateOf(t, bearer{}).Handler(http.NotFoundHandler()))
	defer server.Close()
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer x")
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != 401 || !strings.HasPrefix(response.Header.Get("WWW-Authenticate"), "Bearer ") {
			t.Errorf("%s: %d %v", method, response.StatusCode, response.Header)
		}
		if wantBody := method != "HEAD"; (len(body) > 0) != wantBody || wantBody && !json.Valid(body) {
			t.Errorf("%s: body %q", method, body)
		}
	}
}

// HEAD has no body even where the server does not see to it.
func TestRefusalOfHead(t *testing.T) {
	r := request()
	r.Method = http.MethodHead
	if a := send(gateOf(t, bearer{}), r); a.status != 401 || a.body != "" {
		t.Errorf("%d %q", a.status, a.body)
	}
}

// TestAnswersArePrivate: shared caches know that an answer to a request with an
// Authorization header is for one caller, and must be told so of every other.
func TestAnswersArePrivate(t *testing.T) {
	for name, test := range map[string]struct {
		proof         gatehouse.Proof
		outer, answer string
		want          string
	}{
		"authorization":    {gatehouse.Proof{Source: gatehouse.SourceHeader, Name: "Authorization"}, "", "", ""},
		"cookie":           {gatehouse.Proof{Source: gatehouse.SourceCookie, Name: "session"}, "", "", "no-store"},
		"certificate":      {gatehouse.Proof{Source: gatehouse.SourceConnection}, "", "", "no-store"},
		"another header":   {gatehouse.Proof{Source: gatehouse.SourceHeader, Name: "X-Api-Key"}, "", "", "no-store"},
		"a handler's word": {gatehouse.Proof{Source: gatehouse.SourceCookie, Name: "session"}, "", "private, max-age=60", "private, max-age=60"},
		"said before":      {gatehouse.Proof{Source: gatehouse.SourceCookie, Name: "session"}, "private", "", "private"},
	} {
		test.proof.Principal = person()
		g, err := gatehouse.New(gatehouse.Config{Realm: "test", Authenticators: []gatehouse.Authenticator{
			gatehouse.AuthenticatorFunc(func(*http.Request) (gatehouse.Proof, error) { return test.proof, nil }),
		}})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if test.outer != "" {
			w.Header().Set("Cache-Control", test.outer)
		}
		g.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if test.answer != "" {
				w.Header().Set("Cache-Control", test.answer)
			}
		})).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		if got := strings.Join(w.Header()["Cache-Control"], " | "); got != test.want || w.Code != http.StatusOK {
			t.Errorf("%s: %d, Cache-Control %q, want %q", name, w.Code, got, test.want)
		}
	}
}
