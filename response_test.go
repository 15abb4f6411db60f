// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

func errorCode(t *testing.T, body []byte) string {
	t.Helper()
	var answer struct{ Error string }
	_ = json.Unmarshal(body, &answer)
	return answer.Error
}

// Each row of the table of refusals: everything that a refusal is on the wire.
//
// Covers RFC 6750 §3 (error); ASVS 5.0 §14.3.2.
func TestRefusalTable(t *testing.T) {
	const (
		missing     = `{"error":"missing_credentials","error_description":"This resource requires authentication."}` + "\n"
		token       = `{"error":"invalid_token","error_description":"The access token is expired, revoked, malformed or invalid for other reasons."}` + "\n"
		tokenParams = `error="invalid_token", error_description="The access token is expired, revoked, malformed or invalid for other reasons."`
		apiKey      = `{"error":"invalid_api_key","error_description":"The API key is not valid."}` + "\n"
		scope       = `{"error":"insufficient_scope","error_description":"The request requires higher privileges than the credential provides."}` + "\n"
		scopeParams = `Bearer realm="acme", error="insufficient_scope", error_description="The request requires higher privileges than the credential provides."`
		approval    = `{"error":"approval_required","error_description":"This operation requires approval."}` + "\n"
		unavailable = `{"error":"temporarily_unavailable","error_description":"The service cannot decide on this request now."}` + "\n"
	)
	challenge := func(c string) http.Header { return http.Header{"Www-Authenticate": {c}} }
	retry := func(seconds string) http.Header { return http.Header{"Retry-After": {seconds}} }
	params := func(pairs ...string) (all []gatehouse.Param) {
		for i := 0; i < len(pairs); i += 2 {
			all = append(all, gatehouse.Param{Name: pairs[i], Value: pairs[i+1]})
		}
		return all
	}
	for _, test := range []struct {
		name   string
		err    error
		status int
		body   string
		header http.Header // beside the three that every refusal has
	}{
		{"no credential", gatehouse.ErrNoCredentials, 401, missing, challenge(`Bearer realm="acme"`)}, // Covers RFC 6750 §3 (challenge), §3.1 (no error).
		{"missing credentials from an authenticator", &gatehouse.Error{Code: gatehouse.CodeMissingCredentials}, 401, missing, challenge(`Bearer realm="acme"`)},
		{
			"malformed request", &gatehouse.Error{Code: gatehouse.CodeInvalidRequest}, 400, // Covers RFC 6750 §3.1 (invalid_request).
			`{"error":"invalid_request","error_description":"The request carries malformed or several credentials."}` + "\n", http.Header{},
		},
		// Covers RFC 6750 §3 (challenge), §3.1 (invalid_token).
		{"invalid token", &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Scopes: scopeSet("a")}, 401, token, challenge(`Bearer realm="acme", ` + tokenParams)},
		{
			"invalid token under another scheme", &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Scheme: "DPoP", Params: params("algs", "ES256 EdDSA")}, 401, token,
			challenge(`DPoP realm="acme", ` + tokenParams + `, algs="ES256 EdDSA"`),
		},
		{"invalid key in a header", &gatehouse.Error{Code: codeInvalidKey}, 403, apiKey, http.Header{}},
		{
			"invalid key under a scheme", &gatehouse.Error{Code: codeInvalidKeyScheme, Scheme: "ApiKey"}, 401, apiKey,
			challenge(`ApiKey realm="acme", error="invalid_api_key", error_description="The API key is not valid."`),
		},
		// Covers RFC 6750 §3 (scope), §3.1 (insufficient_scope); RFC 9700 §2.3
		// (action).
		{"missing scope", &gatehouse.Error{Code: gatehouse.CodeInsufficientScope, Scopes: scopeSet("b", "a")}, 403, scope, challenge(scopeParams + `, scope="a b"`)},
		{"missing scope that is not named", &gatehouse.Error{Code: gatehouse.CodeInsufficientScope}, 403, scope, challenge(scopeParams)},
		{
			"denied by a policy", &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Scopes: scopeSet("a")}, 403,
			`{"error":"access_denied","error_description":"Access to this resource is denied."}` + "\n",
			http.Header{},
		},
		{
			"step-up", &gatehouse.Error{Code: codeStepUp, Params: params("acr_values", "phr", "max_age", "300")}, 401,
			`{"error":"insufficient_user_authentication","error_description":"A different authentication level is required."}` + "\n",
			challenge(`Bearer realm="acme", error="insufficient_user_authentication", error_description="A different authentication level is required.", acr_values="phr", max_age="300"`),
		},
		{"403 without parameters", &gatehouse.Error{Code: codeApproval}, 403, approval, http.Header{}},
		{
			"403 with parameters", &gatehouse.Error{Code: codeApproval, Params: params("approval", "a-1")}, 403, approval,
			challenge(`Bearer realm="acme", error="approval_required", error_description="This operation requires approval.", approval="a-1"`),
		},
		{"header", &gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Header: http.Header{"DPoP-Nonce": {"n-1"}}}, 400, "", http.Header{"Dpop-Nonce": {"n-1"}}},
		{"429", &gatehouse.Error{Code: codeBudget, RetryAfter: 90 * time.Second}, 429, `{"error":"budget_exceeded","error_description":"The request exceeds its budget."}` + "\n", retry("90")},
		{"429 without a time", &gatehouse.Error{Code: codeBudget}, 429, "", retry("5")},
		{"unavailable", &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable}, 503, unavailable, retry("5")},
		// Covers RFC 9110 §10.2.3.
		{"unavailable for 2.001 s", &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, RetryAfter: 2001 * time.Millisecond}, 503, unavailable, retry("3")},
		{"unavailable for 1 ns", &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, RetryAfter: 1}, 503, unavailable, retry("1")},
		{"unavailable for negative time", &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, RetryAfter: -time.Hour}, 503, unavailable, retry("5")},
		{"any other error", errors.New("dial tcp 10.0.0.1:5432: connection refused"), 503, unavailable, retry("5")},
		{"no code", &gatehouse.Error{Scheme: "Tea", Params: params("pot", "short")}, 503, unavailable, retry("5")},
		{"nil *Error", (*gatehouse.Error)(nil), 503, unavailable, retry("5")},
		{"wrapped refusal", fmt.Errorf("more: %w", &gatehouse.Error{Code: codeInvalidKey}), 403, apiKey, http.Header{}},
		{"refusal wrapped twice", fmt.Errorf("even more: %w", fmt.Errorf("more: %w", &gatehouse.Error{Code: codeInvalidKey})), 403, apiKey, http.Header{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate, seen := observed(t, rejects(test.err))
			a := send(gate, request())
			want := test.header.Clone()
			want.Set("Cache-Control", "no-store")
			want.Set("Content-Type", "application/json")
			want.Set("X-Content-Type-Options", "nosniff")
			a.check(t, test.status, "")
			if test.body != "" && a.Body.String() != test.body {
				t.Errorf("body = %q, want %q", a.Body, test.body)
			}
			equal(t, "header", a.Result().Header, want)
			if event := seen.only(t); event.Status != test.status || event.Code != errorCode(t, a.Body.Bytes()) {
				t.Errorf("event says %d %s, response %d %s", event.Status, event.Code, a.Code, a.Body)
			}
		})
	}
}

func TestNewCode(t *testing.T) {
	zero, unavailable := gatehouse.Code{}, gatehouse.CodeTemporarilyUnavailable
	equal(t, "zero Code", [3]any{zero.Status(), zero.String(), zero.Description()}, [3]any{503, "temporarily_unavailable", unavailable.Description()})
	if codeInvalidKey == codeInvalidKeyScheme || codeInvalidKey.String() != codeInvalidKeyScheme.String() {
		t.Error("two codes of one name must differ")
	}
	for _, status := range []int{0, 200, 302, 399, 500, 502} {
		mustPanic(t, fmt.Sprintf("gatehouse: NewCode: status %d: must be 4xx or 503", status), func() { gatehouse.NewCode(status, "a", "A.") })
	}
	const name, text = "must be lower-case letters and underscores", "must be printable ASCII without quotes"
	equal(t, "last status, name and description", gatehouse.NewCode(499, "az", "A ~.").Status(), 499)
	mustPanic(t, `gatehouse: NewCode: name "": `+name, func() { gatehouse.NewCode(400, "", "A.") })
	mustPanic(t, `gatehouse: NewCode: name "a-b": `+name, func() { gatehouse.NewCode(400, "a-b", "A.") })
	mustPanic(t, `gatehouse: NewCode: name "a{": `+name, func() { gatehouse.NewCode(400, "a{", "A.") })
	mustPanic(t, `gatehouse: NewCode: description "\x7f": `+text, func() { gatehouse.NewCode(400, "a", "\x7f") })
	mustPanic(t, `gatehouse: NewCode: description "": `+text, func() { gatehouse.NewCode(400, "a", "") })
	mustPanic(t, `gatehouse: NewCode: description "a\"b": `+text, func() { gatehouse.NewCode(400, "a", `a"b`) })
	mustPanic(t, `gatehouse: NewCode: description "a\\b": `+text, func() { gatehouse.NewCode(400, "a", `a\b`) })
	mustPanic(t, `gatehouse: NewCode: description "\n": `+text, func() { gatehouse.NewCode(400, "a", "\n") })
}

func newMetadata(resource string) *gatehouse.Metadata {
	return must(gatehouse.NewMetadata(gatehouse.ProtectedResource{
		Resource: resource, AuthorizationServers: []string{"https://auth.example.com"}, Scopes: []string{"z", "reports:read"},
	}))
}

// The challenges of a 401: those of all schemes that are not silent, once each,
// without an error where no credential came.
//
// Covers RFC 6750 §3 (auth-param, challenge, once); RFC 9110 §11.2, §11.6.1, §15.5.2.
func TestChallenges(t *testing.T) {
	reads := func(schemes ...gatehouse.Scheme) gatehouse.Authenticator {
		return authenticator{gatehouse.Reads{Schemes: schemes}, rejects(&gatehouse.Error{Code: gatehouse.CodeInvalidToken}).Authenticate}
	}
	algs := []gatehouse.Param{{Name: "algs", Value: "ES256"}}
	const invalid = `, error="invalid_token", error_description="The access token is expired, revoked, malformed or invalid for other reasons."`
	const metadata = `, resource_metadata="https://api.example.com/.well-known/oauth-protected-resource/v1"`
	const quoted = `, resource_metadata="https://api.example.com/.well-known/oauth-protected-resource?q=\""`
	for _, test := range []struct {
		name           string
		config         gatehouse.Config
		without, under []string // no credential; one under Bearer
	}{
		{"nothing advertised", gatehouse.Config{Authenticators: list{connection()}}, []string{`Bearer realm="acme"`}, []string{`Bearer realm="acme"` + invalid}},
		{
			"each scheme once, in order",
			gatehouse.Config{Authenticators: list{
				reads(gatehouse.Scheme{Name: "DPoP", Params: algs}), reads(gatehouse.Scheme{Name: "Bearer"}), reads(gatehouse.Scheme{Name: "dpop"}, gatehouse.Scheme{Name: "bearer"}),
			}},
			[]string{`DPoP realm="acme", algs="ES256"`, `Bearer realm="acme"`},
			[]string{`Bearer realm="acme"` + invalid},
		},
		{
			"always",
			gatehouse.Config{Authenticators: list{reads(gatehouse.Scheme{Name: "Bearer"}, gatehouse.Scheme{Name: "DPoP", Params: algs, Always: true}, gatehouse.Scheme{Name: "ApiKey", Always: true})}},
			[]string{`Bearer realm="acme"`, `DPoP realm="acme", algs="ES256"`, `ApiKey realm="acme"`},
			[]string{`Bearer realm="acme"` + invalid, `DPoP realm="acme", algs="ES256"`, `ApiKey realm="acme"`},
		},
		{
			"silent",
			gatehouse.Config{Authenticators: list{reads(gatehouse.Scheme{Name: "Bearer", Silent: true, Always: true}, gatehouse.Scheme{Name: "ApiKey"})}},
			[]string{`ApiKey realm="acme"`},
			[]string{`Bearer realm="acme"` + invalid},
		},
		{
			"silent for one authenticator only",
			gatehouse.Config{Authenticators: list{reads(gatehouse.Scheme{Name: "Bearer", Silent: true}), reads(gatehouse.Scheme{Name: "bearer", Params: algs})}},
			[]string{`bearer realm="acme", algs="ES256"`},
			[]string{`bearer realm="acme"` + invalid + `, algs="ES256"`},
		},
		{
			// Covers RFC 9728 §5.1.
			"metadata",
			gatehouse.Config{Authenticators: list{reads(gatehouse.Scheme{Name: "Bearer"})}, Metadata: newMetadata("https://api.example.com/v1")},
			[]string{`Bearer realm="acme"` + metadata},
			[]string{`Bearer realm="acme"` + invalid + metadata},
		},
		{"quoted URL", gatehouse.Config{Authenticators: list{connection()}, Metadata: newMetadata(`https://api.example.com/?q="`)}, []string{`Bearer realm="acme"` + quoted}, []string{`Bearer realm="acme"` + invalid + quoted}},
		{"quoted realm", gatehouse.Config{Authenticators: list{connection()}, Realm: `a "b" \c~`}, []string{`Bearer realm="a \"b\" \\c~"`}, []string{`Bearer realm="a \"b\" \\c~"` + invalid}},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate := newGate(t, test.config)
			for range 2 { // the second is not longer than the first
				for _, row := range []struct {
					request *http.Request
					want    []string
				}{{request(), test.without}, {request("Authorization", "Bearer x"), test.under}} {
					a := send(gate, row.request)
					a.check(t, 401, "")
					equal(t, fmt.Sprintf("challenges with Authorization %q", row.request.Header["Authorization"]), a.Header()["Www-Authenticate"], row.want)
				}
			}
		})
	}
}

// The error of a policy is in the challenge of the scheme that the caller used.
func TestChallengeOfThePolicyUsesTheScheme(t *testing.T) {
	gate := gateOf(t, authenticator{gatehouse.Reads{Schemes: []gatehouse.Scheme{
		{Name: "Bearer"}, {Name: "DPoP", Always: true}, {Name: "Quiet", Silent: true},
	}}, accepts(user()).Authenticate}, connection())
	for _, test := range []struct{ authorization, want string }{
		{"dpop x", "DPoP"}, {"Bearer x", "Bearer DPoP"}, {"Quiet x", "Bearer DPoP"}, {"", "Bearer DPoP"},
	} {
		r := overTLS(request())
		if test.authorization != "" {
			r.Header.Set("Authorization", test.authorization)
		}
		a := sendThrough(behind(gate, gatehouse.Bound()), r)
		a.check(t, 401, "invalid_token")
		var schemes []string
		for i, c := range a.Header()["Www-Authenticate"] {
			scheme, params, _ := strings.Cut(c, " ")
			schemes = append(schemes, scheme)
			equal(t, fmt.Sprintf("Authorization %q: error in challenge %d", test.authorization, i), strings.Contains(params, "error="), i == 0)
		}
		equal(t, fmt.Sprintf("Authorization %q: challenges", test.authorization), strings.Join(schemes, " "), test.want)
	}
}

// A parameter of an error replaces the declared one of the same name, and keeps the
// others.
func TestChallengeParameters(t *testing.T) {
	scheme := gatehouse.Scheme{Name: "DPoP", Params: []gatehouse.Param{{Name: "algs", Value: "ES256"}, {Name: "a", Value: "1"}}}
	e := &gatehouse.Error{Code: codeApproval, Params: []gatehouse.Param{{Name: "ALGS", Value: "EdDSA"}}}
	always := gatehouse.Scheme{Name: "Other", Always: true} // in a 401 only
	gate := gateOf(t, authenticator{gatehouse.Reads{Schemes: []gatehouse.Scheme{scheme, always}}, rejects(e).Authenticate})
	const want = `DPoP realm="acme", error="approval_required", error_description="This operation requires approval.", ALGS="EdDSA", a="1"`
	equal(t, "WWW-Authenticate", send(gate, request("Authorization", "DPoP x")).Header()["Www-Authenticate"], []string{want})
}

// A parser of RFC 9110 reads each written challenge back, with "?" for what must
// not be sent.
//
// Covers RFC 9110 §5.6.4.
func FuzzChallenge(f *testing.F) {
	equal(f, "String without parameters", gatehouse.Challenge{Scheme: "Bearer"}.String(), "Bearer")
	for _, seed := range []string{
		"", "acme", `"`, `\`, `\"`, "a\r\nSet-Cookie: b=c", `a", error="b`, "\x00\t\x1f ~\x7f\x80\xff", "\u0080é€\u2028", strings.Repeat(`\`, 100),
	} {
		f.Add(seed, "plain")
		f.Add("plain", seed)
	}
	// printable replaces what must not be sent.
	printable := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r < 0x20 || r > 0x7e {
				return '?'
			}
			return r
		}, s)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		challenge := gatehouse.Challenge{Scheme: "Bearer", Params: []gatehouse.Param{{Name: "realm", Value: one}, {Name: "x-2", Value: two}}}
		written := challenge.String()
		if i := strings.IndexFunc(written, func(r rune) bool { return r < 0x20 || r > 0x7e }); i >= 0 {
			t.Errorf("String has the byte %#x: %q", written[i], written)
		}
		want := gatehouse.Challenge{Scheme: "Bearer", Params: []gatehouse.Param{{Name: "realm", Value: printable(one)}, {Name: "x-2", Value: printable(two)}}}
		if got, err := parseChallenge(written); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q reads as %+v, %v; want %+v", written, got, err, want)
		}
	})
}

// A browser navigation without an explicit credential is redirected to the login
// page instead of a 401.
func TestLoginRedirect(t *testing.T) {
	invalid := &gatehouse.Error{Code: gatehouse.CodeInvalidToken}
	stepUp := &gatehouse.Error{Code: codeStepUp, Params: []gatehouse.Param{{Name: "max_age", Value: "0"}, {Name: "acr_values", Value: "a b"}}}
	leaked := &gatehouse.Error{Code: gatehouse.CodeMissingCredentials, Reason: gatehouse.ReasonCredentialInURL}
	const back = "return_to=%2Freports%3Fpage%3D2"
	with := func(change func(*http.Request)) *http.Request {
		r := navigation()
		change(r)
		return r
	}
	uri := func(uri string) *http.Request { return with(func(r *http.Request) { r.RequestURI = uri }) }
	for _, test := range []struct {
		name     string
		login    string
		err      error
		request  *http.Request
		status   int
		location string
	}{
		{"no credentials", "/login", gatehouse.ErrNoCredentials, navigation(), 303, "/login?" + back},
		{"ended session", "/login", invalid, navigation(), 303, "/login?" + back},
		{"step-up", "/login", stepUp, navigation(), 303, "/login?max_age=0&acr_values=a+b&" + back},
		{"login with a query", "/login?hint=a%20b", gatehouse.ErrNoCredentials, navigation(), 303, "/login?hint=a%20b&" + back},
		{"login on another host", "https://id.example.com/login", gatehouse.ErrNoCredentials, navigation(), 303, "https://id.example.com/login"},
		{"old browser", "/login", gatehouse.ErrNoCredentials, request("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"), 303, "/login"},
		{"the start page", "/login", gatehouse.ErrNoCredentials, uri("/"), 303, "/login"},
		{"no path", "/login", gatehouse.ErrNoCredentials, uri(""), 303, "/login"},
		{"absolute URI", "/login", gatehouse.ErrNoCredentials, uri("http://evil.example/"), 303, "/login"},
		{"the longest path", "/login", gatehouse.ErrNoCredentials, uri("/" + strings.Repeat("a", 2047)), 303, "/login?return_to=%2F" + strings.Repeat("a", 2047)},
		{"another host", "/login", gatehouse.ErrNoCredentials, uri("//evil.example/a"), 303, "/login"},
		{"another host for browsers", "/login", gatehouse.ErrNoCredentials, uri(`/\evil.example/a`), 303, "/login"},
		{"two slashes in the path", "/login", gatehouse.ErrNoCredentials, uri("/a//b"), 303, "/login?return_to=%2Fa%2F%2Fb"},
		{"a backslash in the path", "/login", gatehouse.ErrNoCredentials, uri(`/a\evil.example`), 303, "/login"},
		{"a longer path", "/login", gatehouse.ErrNoCredentials, uri("/" + strings.Repeat("a", 2048)), 303, "/login"},
		{"a token in the URL", "/login", gatehouse.ErrNoCredentials, uri("/a?access_token=x"), 303, "/login"},
		{"a token in the URL under an escaped name", "/login", invalid, with(func(r *http.Request) { r.URL.RawQuery = "access%5Ftoken=x" }), 303, "/login"},
		{"a key in the URL", "/login", leaked, navigation(), 303, "/login"},
		{"the login page itself", "/reports?a=b", gatehouse.ErrNoCredentials, navigation(), 401, ""},
		{"the login page itself, absolute", "https://api.example.com/reports", gatehouse.ErrNoCredentials, navigation(), 401, ""},
		{"the login page itself, in capitals", "https://API.example.com/reports", gatehouse.ErrNoCredentials, navigation(), 401, ""},
		{"a page with a longer path", "/rep", gatehouse.ErrNoCredentials, navigation(), 303, "/rep?" + back},
		{"a page of that path elsewhere", "https://id.example.com/reports", gatehouse.ErrNoCredentials, navigation(), 303, "https://id.example.com/reports"},
		{"no login", "", gatehouse.ErrNoCredentials, navigation(), 401, ""},
		{"explicit credential", "/login", invalid, navigation("Authorization", "Bearer x"), 401, ""},
		{"unknown scheme", "/login", invalid, navigation("Authorization", "Basic YTpi"), 401, ""},
		{"403", "/login", &gatehouse.Error{Code: gatehouse.CodeAccessDenied}, navigation(), 403, ""},
		{"503", "/login", &gatehouse.Error{}, navigation(), 503, ""},
		{"fetch", "/login", gatehouse.ErrNoCredentials, request("Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Accept", "text/html"), 401, ""},
		{"POST", "/login", gatehouse.ErrNoCredentials, with(func(r *http.Request) { r.Method = "POST" }), 401, ""},
		{"program", "/login", gatehouse.ErrNoCredentials, request("Accept", "*/*"), 401, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate := newGate(t, gatehouse.Config{Authenticators: list{rejects(test.err), goodToken()}, LoginURL: test.login})
			a := send(gate, test.request)
			a.check(t, test.status, "")
			equal(t, "Location", a.Result().Header.Get("Location"), test.location)
			equal(t, "Cache-Control", a.Header().Get("Cache-Control"), "no-store")
			if test.status == 303 && (a.Body.Len() > 0 || a.Header().Get("WWW-Authenticate") != "") {
				t.Errorf("redirect has body %q and challenge %q", a.Body, a.Header()["Www-Authenticate"])
			}
		})
	}
}

// A policy can send the user to a stronger login. One that needs a bound
// credential does not: the same login would come back.
func TestLoginRedirectByPolicy(t *testing.T) {
	gate := newGate(t, gatehouse.Config{Authenticators: list{accepts(user()), goodToken(), apiKey("k1")}, LoginURL: "/login"})
	stepUp := deny(&gatehouse.Error{Code: codeStepUp, Params: []gatehouse.Param{{Name: "max_age", Value: "0"}}})
	a := sendThrough(behind(gate, stepUp), navigation())
	if got := a.Header().Get("Location"); a.Code != 303 || got != "/login?max_age=0&return_to=%2Freports%3Fpage%3D2" {
		t.Errorf("step-up: %d, Location %q", a.Code, got)
	}
	sendThrough(behind(gate, stepUp), navigation("Authorization", "Bearer good")).check(t, 401, "insufficient_user_authentication")
	sendThrough(behind(gate, gatehouse.Bound()), navigation()).check(t, 401, "invalid_token")
	// The credential stays an explicit one for a caller that the handler replaces.
	sendThrough(func(next http.Handler) http.Handler {
		denied := gatehouse.Require(stepUp)(next)
		return gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			denied.ServeHTTP(w, r.WithContext(gatehouse.NewContext(r.Context(), *service("ci"))))
		}))
	}, navigation("X-API-Key", "k1")).check(t, 401, "insufficient_user_authentication")
}

// The headers that an outer handler set for its own body do not go with the
// refusal; others do. An error may add headers, and not make a refusal cacheable.
func TestRefusalHeader(t *testing.T) {
	e := &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Header: http.Header{
		"dpop-nonce": {"n-1"}, "Cache-Control": {"public"}, "Content-Type": {"text/html"}, "Set-Cookie": {"sid=; Max-Age=0"},
	}}
	w := httptest.NewRecorder()
	for name, value := range map[string]string{
		"Content-Length": "10", "Content-Encoding": "gzip", "Etag": `"1"`, "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT",
		"Cache-Control": "public, max-age=3600", "Content-Type": "text/html", "X-Request-Id": "7", "Set-Cookie": "theme=dark", "Dpop-Nonce": "n-0",
	} {
		w.Header().Set(name, value)
	}
	gateOf(t, rejects(e)).Handler(http.NotFoundHandler()).ServeHTTP(w, request())
	want := http.Header{
		"Cache-Control": {"no-store"}, "Content-Type": {"application/json"}, "X-Content-Type-Options": {"nosniff"},
		"Dpop-Nonce": {"n-1"}, "X-Request-Id": {"7"}, "Set-Cookie": {"theme=dark", "sid=; Max-Age=0"},
	}
	equal(t, "header", w.Header(), want)
	w.Header()["Dpop-Nonce"][0] = "changed"
	if e.Header["dpop-nonce"][0] != "n-1" {
		t.Error("the response shares its header with the error")
	}
}

// The response and the caller of Admit get a header of their own: many requests
// may share the one of the proof.
func TestProofHeaderIsCopied(t *testing.T) {
	shared := http.Header{"DPoP-Nonce": append(make([]string, 0, 4), "n-1")}
	gate := gateOf(t, acceptsWith(user(), shared))
	for range 2 {
		a := sendThrough(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("DPoP-Nonce", "n-0")
				gate.Handler(next).ServeHTTP(w, r)
			})
		}, request())
		a.check(t, 200, "")
		equal(t, "DPoP-Nonce", a.Header()["Dpop-Nonce"], []string{"n-1"})
		_, header, err := gate.Admit(request())
		noError(t, err)
		equal(t, "DPoP-Nonce of Admit", header["DPoP-Nonce"], []string{"n-1"})
		a.Header()["Dpop-Nonce"][0], header["DPoP-Nonce"][0] = "changed", "changed"
	}
}

// HEAD gets no body, also where the server does not see to it, and every other
// method a JSON body.
//
// Covers RFC 9110 §9.3.2.
func TestRefusalOfMethods(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"} {
		r := request("Authorization", "Bearer x")
		r.Method = method
		a := send(gateOf(t, goodToken()), r)
		if body := a.Body.Bytes(); a.Code != 401 || !strings.HasPrefix(a.Header().Get("WWW-Authenticate"), "Bearer ") || (method == "HEAD") != (len(body) == 0) || len(body) > 0 && !json.Valid(body) {
			t.Errorf("%s: %d %v %q, want 401 with a challenge, and a JSON body unless it is HEAD", method, a.Code, a.Header(), body)
		}
	}
}

// Shared caches know that a response to a request with an Authorization header is
// for one caller. Every other response to a caller needs no-store.
//
// Covers ASVS 5.0 §14.3.2; RFC 9111 §3.5.
func TestResponsesToCallersAreNotCached(t *testing.T) {
	for _, test := range []struct {
		name                 string
		credential           []string
		outer, handler, want string
	}{
		{"Authorization", []string{"Authorization", "Bearer good"}, "", "", ""},
		{"another header", []string{"X-API-Key", "k1"}, "", "", "no-store"},
		{"ambient credential", nil, "", "", "no-store"},
		{"set by the handler", nil, "", "private, max-age=60", "private, max-age=60"},
		{"set before", nil, "private", "", "private"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, w := request(test.credential...), httptest.NewRecorder()
			if test.outer != "" {
				w.Header().Set("Cache-Control", test.outer)
			}
			gateOf(t, goodToken(), apiKey("k1"), accepts(user())).Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if test.handler != "" {
					w.Header().Set("Cache-Control", test.handler)
				}
			})).ServeHTTP(w, r)
			if got := strings.Join(w.Header()["Cache-Control"], " | "); got != test.want || w.Code != http.StatusOK {
				t.Errorf("%d, Cache-Control %q, want %q", w.Code, got, test.want)
			}
		})
	}
}

func TestErrorBody(t *testing.T) {
	scope := &gatehouse.Error{Code: gatehouse.CodeInsufficientScope, Scopes: scopeSet("a"), RetryAfter: time.Minute, Cause: errors.New("secret cause")}
	down := &gatehouse.Error{RetryAfter: 1500 * time.Millisecond, Scopes: scopeSet("a")}
	type key struct{}
	own := http.Header{
		"www-authenticate": {"None"}, "Cache-Control": {"public"}, "Set-Cookie": {"a=b"}, "Retry-After": {"1"}, "Content-Length": {"99"}, "x-more": {"1"},
	}
	for _, test := range []struct {
		name    string
		err     error
		refusal gatehouse.Refusal
	}{
		{"scope", scope, gatehouse.Refusal{Status: 403, Code: "insufficient_scope", Description: gatehouse.CodeInsufficientScope.Description(), Scopes: scopeSet("a")}},
		{"unavailable", down, gatehouse.Refusal{Status: 503, Code: "temporarily_unavailable", Description: gatehouse.CodeTemporarilyUnavailable.Description(), RetryAfter: 2 * time.Second}},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate := newGate(t, gatehouse.Config{
				Authenticators: list{rejects(test.err)},
				ErrorBody: func(r *http.Request, refusal gatehouse.Refusal) gatehouse.Body {
					if !reflect.DeepEqual(refusal, test.refusal) {
						t.Errorf("refusal = %+v, want %+v", refusal, test.refusal)
					}
					want := http.Header{"Accept": {"application/problem+json"}, "Sec-Fetch-Mode": {"cors"}}
					equal(t, "header of the hook", r.Header, want)
					if r.URL.String() != "/repor%74s" || r.RequestURI != "" || r.Body != http.NoBody || r.Method != "GET" || r.Host != "api.example.com" ||
						r.Pattern != "/{x}" || r.Context().Value(key{}) != "trace" || r.Proto != "HTTP/2.0" || r.ProtoMajor != 2 || r.ProtoMinor != 0 {
						t.Errorf("request of the hook = %+v", r)
					}
					r.Header["Accept"][0] = "changed"
					return gatehouse.Body{ContentType: "application/problem+json", Content: []byte("{}"), Header: own}
				},
			})
			plain := send(gateOf(t, rejects(test.err)), request())
			r := request("Accept", "application/problem+json", "Sec-Fetch-Mode", "cors", "Cookie", "sid=secret", "X-Api-Key", "secret")
			r = r.WithContext(context.WithValue(r.Context(), key{}, "trace"))
			r.URL.RawQuery, r.URL.RawPath, r.Pattern = "key=secret", "/repor%74s", "/{x}"
			r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
			a := send(gate, r)
			want := plain.Header().Clone()
			want.Set("Content-Type", "application/problem+json")
			want.Set("X-More", "1")
			if d := diff(a.Header(), want); a.Code != test.refusal.Status || a.Body.String() != "{}" || d != "" {
				t.Errorf("%d %s, header (-want +got):\n%s", a.Code, a.Body, d)
			}
			a.Header()["X-More"][0] = "changed"
			equal(t, "header of the hook, and Accept, after changes of others", [2]string{own["x-more"][0], r.Header.Get("Accept")}, [2]string{"1", "application/problem+json"})
		})
	}
	// A Body without a type means the default one.
	for _, body := range []gatehouse.Body{{}, {Content: []byte("x")}} {
		gate := newGate(t, gatehouse.Config{Authenticators: list{goodToken()}, ErrorBody: func(*http.Request, gatehouse.Refusal) gatehouse.Body { return body }})
		send(gate, request()).check(t, 401, "missing_credentials")
	}
}

// One challenge, as strictly as RFC 9110 sections 11.3 and 5.6 allow in ASCII, with
// the optional whitespace that senders should write.
const (
	tokenText     = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
	authParam     = `(` + tokenText + `)="((?:[\t !#-\[\]-~]|\\[\t -~])*)"`
	challengeText = `^(` + tokenText + `)(?: ` + authParam + `(?:, ` + authParam + `)*)?$`
)

var challengeGrammar, paramGrammar, quotedPair = regexp.MustCompile(challengeText), regexp.MustCompile(authParam), regexp.MustCompile(`\\(.)`)

// parseChallenge reads one challenge.
func parseChallenge(s string) (gatehouse.Challenge, error) {
	match := challengeGrammar.FindStringSubmatch(s)
	if match == nil {
		return gatehouse.Challenge{}, errors.New("not a challenge of RFC 9110")
	}
	c := gatehouse.Challenge{Scheme: match[1]}
	for _, p := range paramGrammar.FindAllStringSubmatch(s, -1) {
		c.Params = append(c.Params, gatehouse.Param{Name: p[1], Value: quotedPair.ReplaceAllString(p[2], "$1")})
	}
	return c, nil
}
