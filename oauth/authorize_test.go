// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// Covers RFC 6749 §3.1 (once); RFC 9126 §2.1 (request_uri).
func TestCheckReportsInvalidFields(t *testing.T) {
	s := providertest.New(t)
	client := s.Client()
	unverified := s.Client(keyless)
	for name, test := range map[string]struct {
		client *oauth.Client
		change func(*oauth.AuthorizationRequest)
		want   string
	}{
		"no redirect URI": {client, func(r *oauth.AuthorizationRequest) { r.RedirectURI = "" }, "RedirectURI: required"},
		// Covers RFC 9700 §2.6.
		"redirect over http": {client, func(r *oauth.AuthorizationRequest) { r.RedirectURI = "http://app.example.com/" }, "RedirectURI: plain http"},
		// Covers RFC 6749 §3.1.2.
		"redirect fragment":   {client, func(r *oauth.AuthorizationRequest) { r.RedirectURI += "#x" }, "RedirectURI: has a fragment"},
		"redirect two slashs": {client, func(r *oauth.AuthorizationRequest) { r.RedirectURI = "https://app.example.com//callback" }, "RedirectURI: empty path segment"},
		"no ID token keys":    {unverified, func(*oauth.AuthorizationRequest) {}, "Scopes: oauth: issuer keys: not configured"},
		// Covers RFC 8707 §2.
		"relative resource": {client, func(r *oauth.AuthorizationRequest) { r.Resources = []string{"/api"} }, "Resources: not an absolute URI"},
		// Covers RFC 8707 §2.
		"resource escaped":  {client, func(r *oauth.AuthorizationRequest) { r.Resources = []string{"https://api/%zz"} }, "Resources: not an absolute URI"},
		"resource fragment": {client, func(r *oauth.AuthorizationRequest) { r.Resources = []string{"https://one", "https://api#x"} }, "Resources: not an absolute URI"},
		"MaxAge in ms":      {client, func(r *oauth.AuthorizationRequest) { r.MaxAge = time.Millisecond }, "MaxAge: must be in whole seconds"},
		"MaxAge negative":   {client, func(r *oauth.AuthorizationRequest) { r.MaxAge = -time.Second }, "MaxAge: must be in whole seconds"},
		"MaxAge, no openid": {client, func(r *oauth.AuthorizationRequest) { r.MaxAge, r.Scopes = time.Second, gatehouse.Scopes{} }, "MaxAge: requires the scope openid"},
	} {
		request := oauth.AuthorizationRequest{RedirectURI: redirect, Scopes: scopes("openid")}
		test.change(&request)
		if err := test.client.Check(request); err == nil || !strings.Contains(err.Error(), "oauth: AuthorizationRequest."+test.want) {
			t.Errorf("%s: Check error = %v, want %s", name, err, test.want)
		}
		if _, err := test.client.Authorize(t.Context(), request); err == nil {
			t.Errorf("%s: Authorize error = nil, want %s", name, test.want)
		}
	}
	for _, name := range []string{
		"response_type", "response_mode", "redirect_uri", "scope", "resource", "max_age", "state", "nonce", "code_challenge",
		"code_challenge_method", "request", "request_uri", "client_id", "client_secret", "client_assertion", "client_assertion_type", "code_verifier",
	} {
		err := client.Check(oauth.AuthorizationRequest{RedirectURI: redirect, Params: url.Values{name: {"code"}}})
		if err == nil || !strings.Contains(err.Error(), "Params: "+name) {
			t.Errorf("Check error with parameter %s = %v, want it named", name, err)
		}
	}
	two := url.Values{"state": {"x"}, "nonce": {"x"}}
	if err := client.Check(oauth.AuthorizationRequest{RedirectURI: redirect, Params: two}); strings.Count(fmt.Sprint(err), "Params: ") != 2 {
		t.Errorf("Check error with two parameters = %v, want both named", err)
	}
	if err := client.Check(oauth.AuthorizationRequest{RedirectURI: redirect + "/a//b"}); err != nil {
		t.Errorf("Check error with an empty path segment in the middle = %v, want none", err)
	}
}

// TestAuthorizationRequestsAreFresh: the provider checks that nothing that protects
// one login protects another.
//
// Covers RFC 6749 §4.1.1; RFC 9700 §2.1.1 (transaction); OIDC Core §3.1.2.1
// (nonce).
func TestAuthorizationRequestsAreFresh(t *testing.T) {
	newLogin(t).begin()
}

// TestVerifierGoesToTokenEndpointOnly: after a failure there is no attempt without
// PKCE.
//
// Covers RFC 7636 §4.1 (fresh), §4.2 (client), §4.3 (request), §7.2; RFC 9700
// §2.1.1 (public, transaction, S256); ASVS 5.0 §10.1.2.
func TestVerifierGoesToTokenEndpointOnly(t *testing.T) {
	l := newLogin(t)
	var verifiers []string
	l.Routes["/token"] = func(w http.ResponseWriter, r *http.Request) {
		verifiers = append(verifiers, r.PostFormValue("code_verifier"))
		answer(w, 400, object{"error": "invalid_grant"})
	}
	for n := range 2 {
		if _, err := l.redeem(); reasonOf(err) != oauth.ReasonCode || len(verifiers) != n+1 {
			t.Fatalf("Redeem error = %v after %d token requests, want %s after %d", err, len(verifiers), oauth.ReasonCode, n+1)
		}
		if strings.Contains(l.transaction.URL, verifiers[n]) || len(verifiers[n]) != 43 {
			t.Errorf("verifier %q, URL %s", verifiers[n], l.transaction.URL)
		}
		l.begin()
	}
	if verifiers[0] == verifiers[1] {
		t.Error("a verifier is used twice")
	}
	l.response = url.Values{"error": {"invalid_request"}, "state": {l.transaction.State}, "iss": {issuer}}
	if _, err := l.redeem(); reasonOf(err) != oauth.ReasonDenied || len(verifiers) != 2 {
		t.Errorf("Redeem(invalid_request) error = %v after %d token requests, want %s after 2", err, len(verifiers), oauth.ReasonDenied)
	}
}

// TestAuthorizeChecksAlgorithms: a login whose ID token would be rejected does not
// begin.
func TestAuthorizeChecksAlgorithms(t *testing.T) {
	for _, test := range []struct {
		listed any
		scope  string
		fails  bool
	}{
		{nil, "openid", false},
		{[]string{}, "openid", false},
		{[]string{"RS256", "ES256"}, "openid", false},
		{[]string{"RS256", "HS256"}, "openid", true},
		{[]string{"RS256"}, "reports:read", false},
		{"ES256", "openid", true},
	} {
		s := providertest.New(t)
		if test.listed != nil {
			s.Metadata["id_token_signing_alg_values_supported"] = test.listed
		}
		algorithms := []jwtauth.Algorithm{jwtauth.EdDSA, jwtauth.ES256}
		client := s.Client(func(c *oauth.Config) { c.Algorithms = algorithms })
		algorithms[1] = jwtauth.ES512 // the client has a copy
		_, err := client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect, Scopes: scopes(test.scope)})
		if (err != nil) != test.fails || err != nil && !strings.Contains(err.Error(), "id_token_signing_alg_values_supported") {
			t.Errorf("%v, scope %s: Authorize error = %v, want one: %t", test.listed, test.scope, err, test.fails)
		}
		// It is found before the first login too.
		ready := s.Client().Ready(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect, Scopes: scopes(test.scope)})
		if (ready != nil) != test.fails || ready != nil && errors.Is(err, oauth.ErrUnsupported) != errors.Is(ready, oauth.ErrUnsupported) {
			t.Errorf("%v, scope %s: Ready error = %v, want that of Authorize: %v", test.listed, test.scope, ready, err)
		}
	}
}

// TestReady: what would fail at the first login is found at the start.
func TestReady(t *testing.T) {
	plain := oauth.AuthorizationRequest{RedirectURI: redirect}
	openid := oauth.AuthorizationRequest{RedirectURI: redirect, Scopes: scopes("openid")}
	for name, test := range map[string]struct {
		change  func(*providertest.Server)
		request oauth.AuthorizationRequest
		want    error
	}{
		"ready":             {func(*providertest.Server) {}, openid, nil},
		"without openid":    {func(s *providertest.Server) { s.Routes["/jwks"] = down }, plain, nil},
		"no discovery":      {func(s *providertest.Server) { s.Routes[wellKnown] = down }, plain, oauth.ErrUnavailable},
		"no keys":           {func(s *providertest.Server) { s.Routes["/jwks"] = down }, openid, oauth.ErrUnavailable},
		"no login":          {func(s *providertest.Server) { delete(s.Metadata, "authorization_endpoint") }, plain, oauth.ErrNotOffered},
		"no such algorithm": {func(s *providertest.Server) { s.Metadata["id_token_signing_alg_values_supported"] = []string{"HS256"} }, openid, oauth.ErrUnsupported},
	} {
		s := providertest.New(t)
		test.change(s)
		if err := s.Client().Ready(t.Context(), test.request); !errors.Is(err, test.want) {
			t.Errorf("%s: Ready error = %v, want %v", name, err, test.want)
		}
	}
	if err := providertest.New(t).Client().Ready(t.Context(), oauth.AuthorizationRequest{}); err == nil {
		t.Error("Ready without a redirect URI: error = nil")
	}
}

// TestPushedAuthorizationRequest: RFC 9126. The browser gets the request_uri only,
// and no request that the endpoint rejected.
//
// Covers RFC 6749 §3.1 (query); RFC 9126 §2.1 (POST, request_uri), §2.2, §2.3, §4
// (parameters, once), §5.
func TestPushedAuthorizationRequest(t *testing.T) {
	l := &login{Server: providertest.New(t)}
	l.Metadata["pushed_authorization_request_endpoint"] = issuer + "/par"
	var pushed []url.Values
	l.Routes["/par"] = func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		pushed = append(pushed, r.PostForm)
		if r.Header.Get("Authorization") == "" {
			t.Error("the client is not authenticated")
		}
		answer(w, http.StatusCreated, object{"request_uri": "urn:x:" + r.PostForm.Get("state"), "expires_in": 60})
	}
	l.client = l.Client()
	begin := func() (*oauth.Transaction, error) {
		return l.client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: redirect, Scopes: scopes("openid")})
	}
	for n := range 2 {
		transaction, err := begin()
		if err != nil {
			t.Fatal(err)
		}
		want := url.Values{"client_id": {clientID}, "request_uri": {"urn:x:" + transaction.State}, "tenant": {"1"}}
		if q := must(url.Parse(transaction.URL)).Query(); q.Encode() != want.Encode() {
			t.Errorf("Authorize URL query = %v, want %v", q, want)
		}
		for _, name := range []string{"client_id", "response_type", "redirect_uri", "state", "nonce", "code_challenge", "code_challenge_method", "scope"} {
			if len(pushed[n][name]) != 1 {
				t.Errorf("pushed %s = %v, want one value", name, pushed[n][name])
			}
		}
		if pushed[n].Has("request_uri") {
			t.Error("a request_uri was pushed")
		}
	}
	requests := 3
	for name, route := range map[string]http.HandlerFunc{
		"rejected": raw(400, `{"error":"invalid_request"}`), "down": down, "no request_uri": raw(201, "{}"),
		"request_uri a number": raw(201, `{"request_uri":1}`), "not JSON": raw(201, `x`),
		"request_uri twice": raw(201, `{"request_uri":"urn:x","request_uri":"urn:y"}`),
	} {
		l.Routes["/par"] = route
		l.client = l.Client() // without a pause
		if transaction, err := begin(); err == nil || l.Count("/par") != requests {
			t.Errorf("%s: Authorize = %v, %v after %d requests, want an error after %d", name, transaction, err, l.Count("/par"), requests)
		}
		requests++
	}
}
