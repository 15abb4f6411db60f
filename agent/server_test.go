// SPDX-License-Identifier: Apache-2.0

package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent"
	"github.com/gatehouse-go/gatehouse/dpop"
	"github.com/gatehouse-go/gatehouse/mtls"
)

func TestAgentGetsTokenOfItsOwn(t *testing.T) {
	w := newWorld(t)
	r := tokenRequest("helper-1")
	r.Pattern = "POST /token"
	token := w.token(t, r)
	short := newWorld(t, func(_ *agent.Config, c *agent.ServerConfig) { c.Lifetime = time.Minute })
	if claims := claimsOf(short.token(t, tokenRequest("helper-1"))); claims["exp"].(float64)-claims["iat"].(float64) != 60 {
		t.Errorf("claims of a token with Lifetime 1 min = %v, want exp 60 s after iat", claims)
	}
	claims := claimsOf(token)
	if lifetime := claims["exp"].(float64) - claims["iat"].(float64); lifetime != 900 {
		t.Errorf("lifetime = %v s, want 900 s", lifetime)
	}
	for _, name := range []string{"jti", "iat", "exp"} {
		delete(claims, name)
	}
	want := object{
		"iss": origin, "sub": "helper-1", "aud": audience, "client_id": "helper-1", "tenant": "acme", "type": "agent",
		"scope": "data:read data:write exec:sandbox external:invoke", "attestation": "key", "generations": []any{1.0},
		"max_tokens_per_day": 50_000.0, "token_budget": 9000.0,
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	if e := w.events.last(); e.Type != agent.EventMinted || e.Principal.Subject != "helper-1" || e.Principal.Client != "helper-1" || e.Principal.Tenant != "acme" || e.Credential == "" || e.Duration > time.Hour ||
		fmt.Sprint(e.Method, e.Host, e.Path, e.Route, e.Attrs) != "POSTexample.com/tokenPOST /token[agent=helper-1 agent_tenant=acme agent_generation=1]" {
		t.Errorf("event = %+v, want agent_token_minted with the request and the agent", e)
	}
	p, err := w.admit(token)
	if err != nil {
		t.Fatalf("Admit(own token) error = %v", err)
	}
	if p.Kind != gatehouse.KindAgent || p.Subject != "helper-1" || p.Issuer != origin || p.Tenant != "acme" || p.Roles.Len() != 0 {
		t.Errorf("principal = %+v, want the agent", p)
	}
	c, err := w.registry.Caller(t.Context(), p)
	if err != nil || !c.Own || c.Delegated || c.Agent.ID != "helper-1" || c.Attestation != "key" || c.Subject != p.Key() {
		t.Errorf("Caller = %+v, %v", c, err)
	}
}

// Of the caps of an agent, of all its roles and of a subject token, the smallest applies.
func TestSmallestCapsApply(t *testing.T) {
	w := newWorld(t, func(c *agent.Config, _ *agent.ServerConfig) {
		c.Roles = maps.Clone(roles)
		c.Roles["a"] = agent.Role{Scopes: []string{"data:read"}, Limits: agent.Limits{PerRequest: 30, PerDay: 200, Total: 3000}}
		c.Roles["b"] = agent.Role{Scopes: []string{"data:write"}, Limits: agent.Limits{PerRequest: 20, PerDay: 300}}
		c.Roles["long"] = agent.Role{Scopes: []string{strings.Repeat("a", 10_000)}}
	})
	a := newAgent("reader", "acme", "reader")
	a.Roles, a.Limits = must(gatehouse.NewRoles("a", "b")), agent.Limits{PerRequest: 40, PerDay: 400, Total: 2000}
	w.register(t, a)
	for name, test := range map[string]struct {
		request *http.Request
		want    object
	}{
		"own token":                    {tokenRequest("reader"), object{"max_tokens_per_request": 20.0, "max_tokens_per_day": 200.0, "token_budget": 2000.0}},
		"exchange":                     {exchangeRequest("reader", person(object{"max_tokens_per_request": 10, "max_tokens_per_day": 500, "token_budget": 1000})), object{"max_tokens_per_request": 10.0, "max_tokens_per_day": 200.0, "token_budget": 1000.0}},
		"exchange with another budget": {exchangeRequest("reader", person(object{"max_tokens_per_day": 100, "token_budget": 5000})), object{"max_tokens_per_request": 20.0, "max_tokens_per_day": 100.0, "token_budget": 2000.0}},
	} {
		got := claimsOf(w.token(t, test.request))
		if got["scope"] != "data:read data:write" {
			t.Errorf("%s: scope = %q, want that of both roles", name, got["scope"])
		}
		maps.DeleteFunc(got, func(name string, _ any) bool { return test.want[name] == nil })
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: caps (-want +got):\n%s", name, diff)
		}
	}
	a.Roles = must(gatehouse.NewRoles("long"))
	w.register(t, a)
	if got := w.ask(tokenRequest("reader")); got.Status != http.StatusServiceUnavailable || w.events.last().Reason != agent.ReasonSigning {
		t.Errorf("response with a token that is too long = %+v for %s, want 503 for %s", got, w.events.last().Reason, agent.ReasonSigning)
	}
}

// Covers RFC 8693 §4.1, §4.1 (chain).
func TestDelegatedToken(t *testing.T) {
	w := newWorld(t)
	w.register(t, newAgent("helper-1", "acme", "executor")) // a change: generation 2
	subject := person(object{"exp": time.Now().Unix() + 100, "auth_time": 1_700_000_000})
	first := w.token(t, exchangeRequest("helper-1", subject))
	if e := w.events.last(); e.Type != agent.EventExchanged || e.Principal.Subject != "alice" || e.Principal.Issuer != idp {
		t.Errorf("event = %+v, want agent_token_exchanged", e)
	}
	second := w.token(t, exchangeRequest("helper-2", first, "scope", "data:read external:invoke"))
	if e := w.events.last(); !slices.ContainsFunc(e.Attrs, func(a slog.Attr) bool { return a.Key == agent.AttrParent && a.Value.Any() == claimsOf(first)["jti"] }) {
		t.Errorf("event = %+v, want %s %s", e, agent.AttrParent, claimsOf(first)["jti"])
	}
	claims := claimsOf(second)
	if claims["exp"].(float64) > claimsOf(subject)["exp"].(float64) {
		t.Errorf("exp = %v, want at most that of the subject token", claims["exp"])
	}
	for _, name := range []string{"jti", "iat", "exp"} {
		delete(claims, name)
	}
	want := object{
		"iss": origin, "sub": "alice", "aud": audience, "client_id": "helper-2", "tenant": "acme", "scope": "data:read",
		"act": object{"sub": "helper-2", "act": object{"sub": "helper-1"}}, "generations": []any{1.0, 2.0},
		"subject_issuer": idp, "max_tokens_per_day": 50_000.0, "token_budget": 9000.0, "auth_time": 1_700_000_000.0,
	}
	if diff := cmp.Diff(want, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	p, err := w.admit(second)
	if err != nil {
		t.Fatalf("Admit(delegated token) error = %v", err)
	}
	if p.Kind != gatehouse.KindUser || p.Key() != (gatehouse.Key{Issuer: idp, Subject: "alice"}) || p.Roles.Len() != 0 || p.Scopes.String() != "data:read" {
		t.Errorf("principal = %+v, want alice of her issuer", p)
	}
	c, err := w.registry.Caller(t.Context(), p)
	if err != nil || c.Own || !c.Delegated || c.Agent.ID != "helper-2" || c.Subject != p.Key() || c.Attestation != "" {
		t.Errorf("Caller = %+v, %v", c, err)
	}
	if diff := cmp.Diff([]gatehouse.Actor{{Subject: "helper-2", Issuer: origin}, {Subject: "helper-1", Issuer: origin}}, slices.Collect(p.Actors.All())); diff != "" {
		t.Errorf("actors (-want +got):\n%s", diff)
	}
}

// Covers RFC 6749 §2.3, §2.3.1 (body); RFC 8693 §2.1 (actor), §2.2.2, §4.4.
func TestTokenRequestsAreRefused(t *testing.T) {
	w := newWorld(t)
	own := w.token(t, tokenRequest("helper-2"))
	once := assertion("helper-1", nil)
	w.token(t, tokenRequest("helper-1", "client_assertion", "", "client_assertion", once))
	causes := map[string]string{"another resource": "resource is not", "another audience": "audience is not", "nothing of what is asked": `the request "exec:sandbox"`}
	for name, test := range map[string]struct {
		request *http.Request
		status  int
		code    string
		reason  gatehouse.Reason
	}{
		"no grant_type":                              {tokenRequest("helper-1", "grant_type", ""), 400, "invalid_request", agent.ReasonRequest},
		"another grant":                              {tokenRequest("helper-1", "grant_type", "password"), 400, "unsupported_grant_type", agent.ReasonRequest},
		"no client":                                  {tokenRequest(""), 401, "invalid_client", agent.ReasonClient},
		"unknown client":                             {tokenRequest("", "client_id", "missing"), 401, "invalid_client", agent.ReasonClient},
		"client without proof":                       {tokenRequest("", "client_id", "helper-1"), 401, "invalid_client", agent.ReasonClient},
		"secret":                                     {tokenRequest("helper-1", "client_secret", "x"), 401, "invalid_client", agent.ReasonClient},
		"assertion of no type":                       {tokenRequest("helper-1", "client_assertion_type", "", "client_id", "helper-1"), 401, "invalid_client", agent.ReasonClient},
		"assertion twice":                            {tokenRequest("helper-1", "client_assertion", "", "client_assertion", once), 401, "invalid_client", "assertion_replayed"},
		"assertion of 2 minutes":                     {tokenRequest("helper-1", "client_assertion", "", "client_assertion", assertion("helper-1", object{"exp": time.Now().Unix() + 120})), 401, "invalid_client", "assertion_invalid"},
		"assertion for the token endpoint":           {tokenRequest("helper-1", "client_assertion", "", "client_assertion", assertion("helper-1", object{"aud": origin + "/token"})), 401, "invalid_client", "assertion_invalid"},
		"scope beyond the roles":                     {tokenRequest("reader", "scope", "data:write"), 400, "invalid_scope", agent.ReasonScope},
		"malformed scope":                            {tokenRequest("reader", "scope", "data:read  "), 400, "invalid_scope", agent.ReasonScope},
		"another resource":                           {tokenRequest("reader", "resource", origin), 400, "invalid_target", agent.ReasonTarget},
		"a longer resource":                          {tokenRequest("reader", "resource", audience+"/2"), 400, "invalid_target", agent.ReasonTarget},
		"a second resource":                          {tokenRequest("reader", "resource", audience, "resource", "https://evil.example"), 400, "invalid_target", agent.ReasonTarget},
		"another audience":                           {tokenRequest("reader", "audience", "mcp"), 400, "invalid_target", agent.ReasonTarget},
		"authorization_details":                      {tokenRequest("reader", "authorization_details", "[]"), 400, "invalid_authorization_details", agent.ReasonDetails},
		"repeated parameter":                         {tokenRequest("reader", "scope", "data:read", "scope", "data:read"), 400, "invalid_request", agent.ReasonRequest},
		"no subject_token":                           {exchangeRequest("helper-1", "", "subject_token", ""), 400, "invalid_request", agent.ReasonRequest},
		"another type":                               {exchangeRequest("helper-1", person(nil), "subject_token_type", "", "subject_token_type", "urn:ietf:params:oauth:token-type:id_token"), 400, "invalid_request", agent.ReasonRequest},
		"actor_token":                                {exchangeRequest("helper-1", person(nil), "actor_token", own, "actor_token_type", "urn:ietf:params:oauth:token-type:access_token"), 400, "invalid_request", agent.ReasonRequest},
		"actor_token alone":                          {exchangeRequest("helper-1", person(nil), "actor_token", own), 400, "invalid_request", agent.ReasonRequest},
		"actor_token_type alone":                     {exchangeRequest("helper-1", person(nil), "actor_token_type", "urn:ietf:params:oauth:token-type:access_token"), 400, "invalid_request", agent.ReasonRequest},
		"another requested type":                     {exchangeRequest("helper-1", person(nil), "requested_token_type", "urn:ietf:params:oauth:token-type:jwt"), 400, "invalid_request", agent.ReasonRequest},
		"expired subject token":                      {exchangeRequest("helper-1", person(object{"exp": time.Now().Unix() - 60, "iat": time.Now().Unix() - 90})), 400, "invalid_request", "jwtauth_expired"},
		"subject token that has just expired":        {exchangeRequest("helper-1", person(object{"exp": time.Now().Unix() - 2, "iat": time.Now().Unix() - 90})), 400, "invalid_request", agent.ReasonSubject},
		"subject of a stranger":                      {exchangeRequest("helper-1", tokenOf(stranger, nil)), 400, "invalid_request", "jwtauth_signature"},
		"subject for another API":                    {exchangeRequest("helper-1", person(object{"aud": origin})), 400, "invalid_request", "jwtauth_audience"},
		"subject without tenant":                     {exchangeRequest("helper-1", person(object{"tenant": nil})), 400, "invalid_request", agent.ReasonSubject},
		"another tenant":                             {exchangeRequest("foreign", person(nil)), 400, "invalid_request", agent.ReasonSubject},
		"a longer tenant":                            {exchangeRequest("helper-1", person(object{"tenant": "acme-2"})), 400, "invalid_request", agent.ReasonSubject},
		"a tenant that the issuer may not speak for": {exchangeRequest("foreign", person(object{"iss": "https://other.example.com", "tenant": "globex"})), 400, "invalid_request", "jwtauth_tenant"},
		"token of an agent":                          {exchangeRequest("helper-1", own), 400, "invalid_request", agent.ReasonSubject},
		"token of a service":                         {exchangeRequest("helper-1", person(object{"sub": "app"})), 400, "invalid_request", agent.ReasonSubject},
		"may_act for another":                        {exchangeRequest("helper-1", person(object{"may_act": object{"sub": "helper-2"}})), 400, "invalid_request", agent.ReasonMayAct},
		"may_act for a longer name":                  {exchangeRequest("helper-1", person(object{"may_act": object{"sub": "helper-10"}})), 400, "invalid_request", agent.ReasonMayAct},
		"may_act null":                               {exchangeRequest("helper-1", person(object{"may_act": json.RawMessage("null")})), 400, "invalid_request", agent.ReasonMayAct},
		"may_act of another issuer":                  {exchangeRequest("helper-1", person(object{"may_act": object{"sub": "helper-1", "iss": "https://evil.example"}})), 400, "invalid_request", agent.ReasonMayAct},
		"may_act with an unknown member":             {exchangeRequest("helper-1", person(object{"may_act": object{"sub": "helper-1", "group": idp}})), 400, "invalid_request", agent.ReasonMayAct},
		"may_act for two":                            {exchangeRequest("helper-1", person(object{"may_act": object{"client_id": "helper-1", "sub": "helper-2"}})), 400, "invalid_request", agent.ReasonMayAct},
		"empty may_act":                              {exchangeRequest("helper-1", person(object{"may_act": object{}})), 400, "invalid_request", agent.ReasonMayAct},
		"details of the subject":                     {exchangeRequest("helper-1", person(object{"authorization_details": []object{}})), 400, "invalid_authorization_details", agent.ReasonDetails},
		"fifth actor":                                {exchangeRequest("helper-1", person(object{"act": chainOf("helper-1", "helper-1", "helper-1", "helper-1")})), 400, "invalid_request", agent.ReasonDepth},
		"five actors":                                {exchangeRequest("helper-1", person(object{"act": chainOf("helper-1", "helper-1", "helper-1", "helper-1", "helper-1")})), 400, "invalid_request", "jwtauth_claims"},
		"unknown prior actor":                        {exchangeRequest("helper-1", person(object{"act": chainOf("helper-2", "mallory")})), 400, "invalid_request", agent.ReasonUnknown},
		"unknown actor":                              {exchangeRequest("helper-1", person(object{"act": object{"sub": "mallory"}})), 400, "invalid_request", agent.ReasonUnknown},
		"malformed cap":                              {exchangeRequest("helper-1", person(object{"token_budget": -1})), 400, "invalid_request", agent.ReasonSubject},
		"nothing in common":                          {exchangeRequest("helper-1", person(object{"scope": "profile"})), 400, "invalid_scope", agent.ReasonScope},
		"nothing of what is asked":                   {exchangeRequest("helper-1", person(nil), "scope", "exec:sandbox"), 400, "invalid_scope", agent.ReasonScope},
		"bound subject token":                        {exchangeRequest("helper-1", person(object{"cnf": object{"jkt": "x"}})), 400, "invalid_request", agent.ReasonConfirmation},
		"unknown confirmation":                       {exchangeRequest("helper-1", person(object{"cnf": object{"kid": "x"}})), 400, "invalid_request", gatehouse.ReasonUnconfirmed},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.ask(test.request)
			if e := w.events.last(); got.Status != test.status || got.Error != test.code || e.Reason != test.reason || got.AccessToken != "" || e.Credential == "acme" || e.Credential == "globex" {
				t.Errorf("response = %d %s (%s of %q: %v), want %d %s (%s), not of a tenant", got.Status, got.Error, e.Reason, e.Credential, e.Cause, test.status, test.code, test.reason)
			}
			e, client := w.events.last(), claimsOf(test.request.Form.Get("client_assertion"))["sub"]
			if !strings.Contains(fmt.Sprint(e.Cause), causes[name]) || slices.Contains([]string{"invalid_scope", "invalid_target", "invalid_authorization_details"}, test.code) && e.Credential != client {
				t.Errorf("event = %+v, want the cause %q and the client %v", e, causes[name], client)
			}
			if got.Description == "" || strings.Contains(got.Description, string(e.Reason)) {
				t.Errorf("error_description = %q, want one without the reason", got.Description)
			}
		})
	}
}

func TestTokenEndpointReadsFormsOnly(t *testing.T) {
	w := newWorld(t)
	more := func(params string) func(*http.Request) {
		return func(r *http.Request) { r.Body = io.NopCloser(io.MultiReader(r.Body, strings.NewReader(params))) }
	}
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"GET":                 {func(r *http.Request) { r.Method = http.MethodGet }, 405},
		"query":               {func(r *http.Request) { r.URL.RawQuery = "scope=data:read" }, 400},
		"content type":        {func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 400},
		"too long":            {func(r *http.Request) { *r = *tokenRequest("helper-1", "state", strings.Repeat("a", 70<<10)) }, 400},
		"malformed parameter": {more("&state=%zz"), 400},
		"second target":       {more("&resource=&resource=https://evil.example"), 400},
		"audience, twice":     {more("&audience=" + audience + "&audience=" + audience), 200},
		"Authorization":       {func(r *http.Request) { r.SetBasicAuth("helper-1", "x") }, 401},
		"empty Authorization": {func(r *http.Request) { r.Header.Set("Authorization", "") }, 401},
	} {
		r := tokenRequest("helper-1")
		test.change(r)
		if got := w.ask(r); got.Status != test.status {
			t.Errorf("%s: status = %d, want %d", name, got.Status, test.status)
		}
		if cause := w.events.last().Cause; name == "content type" && !strings.Contains(fmt.Sprint(cause), name) {
			t.Errorf("%s: cause = %v, want one that names it", name, cause)
		}
	}
	// A parameter without a value counts as omitted.
	r := exchangeRequest("helper-1", person(nil), "requested_token_type", "urn:ietf:params:oauth:token-type:access_token")
	more("&client_secret=&actor_token=&scope=&authorization_details=")(r)
	w.token(t, r)
}

func TestMayActIsKept(t *testing.T) {
	w := newWorld(t)
	first := w.token(t, exchangeRequest("helper-1", person(object{"may_act": object{"sub": "helper-1", "iss": idp}})))
	if diff := cmp.Diff(object{"sub": "helper-1", "iss": idp}, claimsOf(first)["may_act"]); diff != "" {
		t.Errorf("may_act (-want +got):\n%s", diff)
	}
	if got := w.ask(exchangeRequest("helper-2", first)); got.Error != "invalid_request" || w.events.last().Reason != agent.ReasonMayAct {
		t.Errorf("exchange by another agent = %d %s, want invalid_request", got.Status, got.Error)
	}
	w.token(t, exchangeRequest("helper-1", first))
	w.token(t, exchangeRequest("helper-1", person(object{"may_act": object{"client_id": "helper-1", "iss": origin}})))
}

// Covers RFC 8414 §2 (server), §3.
func TestMetadata(t *testing.T) {
	w := newWorld(t)
	get := func(method string) (int, object) {
		recorder := httptest.NewRecorder()
		w.server.Metadata().ServeHTTP(recorder, httptest.NewRequest(method, "/.well-known/oauth-authorization-server", nil))
		var document object
		_ = json.Unmarshal(recorder.Body.Bytes(), &document)
		want := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"max-age=60"}, "X-Content-Type-Options": {"nosniff"}, "Access-Control-Allow-Origin": {"*"}}
		if method == http.MethodPost {
			want = http.Header{"Allow": {"GET, HEAD"}}
		}
		if diff := cmp.Diff(want, recorder.Result().Header); diff != "" {
			t.Errorf("header of the response to %s (-want +got):\n%s", method, diff)
		}
		return recorder.Code, document
	}
	status, document := get(http.MethodGet)
	algorithms := []any{"ES256", "ES384", "ES512", "EdDSA", "Ed25519", "PS256", "RS256"}
	want := object{
		"issuer": origin, "token_endpoint": origin + "/token", "jwks_uri": origin + "/jwks",
		"scopes_supported":         []any{"data:read", "data:write", "exec:sandbox", "external:invoke"},
		"response_types_supported": []any{}, "grant_types_supported": []any{"client_credentials", exchangeGrant},
		"token_endpoint_auth_methods_supported":            []any{"private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": algorithms,
		"dpop_signing_alg_values_supported":                []any{"ES256", "PS256", "EdDSA", "Ed25519"},
		"code_challenge_methods_supported":                 []any{"S256"},
		"tls_client_certificate_bound_access_tokens":       false,
	}
	if diff := cmp.Diff(want, document); status != http.StatusOK || diff != "" {
		t.Errorf("GET = %d (-want +got):\n%s", status, diff)
	}
	for name, test := range map[string]struct {
		change func(*agent.ServerConfig)
		want   object
	}{
		"SPIFFE":       {func(c *agent.ServerConfig) { c.SPIFFE = trustDomain(t) }, object{"token_endpoint_auth_methods_supported": []any{"private_key_jwt", "spiffe_jwt"}}},
		"certificates": {func(c *agent.ServerConfig) { c.Certificates = &mtls.Config{} }, object{"token_endpoint_auth_methods_supported": []any{"private_key_jwt", "tls_client_auth"}, "tls_client_certificate_bound_access_tokens": true}},
		"challenge":    {func(c *agent.ServerConfig) { c.Challenge = origin + "/challenge" }, object{"challenge_endpoint": origin + "/challenge"}},
	} {
		w = newWorld(t, func(_ *agent.Config, c *agent.ServerConfig) { test.change(c) })
		_, document := get(http.MethodGet)
		with := maps.Clone(want)
		maps.Copy(with, test.want)
		if diff := cmp.Diff(with, document); diff != "" {
			t.Errorf("GET with %s (-want +got):\n%s", name, diff)
		}
	}
	if status, document := get(http.MethodHead); status != http.StatusOK || document != nil {
		t.Errorf("HEAD = %d %v, want 200 without a body", status, document)
	}
	if status, _ := get(http.MethodPost); status != http.StatusMethodNotAllowed {
		t.Errorf("POST = %d, want 405", status)
	}
}

// Covers RFC 9449 §5 (server).
func TestDPoPBindsToken(t *testing.T) {
	w := newWorld(t)
	key := must(dpop.GenerateKey())
	proof := func(path, token string) string {
		return must(key.Proof(dpop.ProofRequest{Method: http.MethodPost, URL: must(url.Parse(origin + path)), AccessToken: token}))
	}
	with := func(r *http.Request, proof string) *http.Request {
		r.Header.Set("DPoP", proof)
		return r
	}
	got := w.ask(with(tokenRequest("helper-1"), proof("/token", "")))
	if cnf := claimsOf(got.AccessToken)["cnf"]; got.TokenType != "DPoP" || !cmp.Equal(cnf, any(object{"jkt": key.Thumbprint()})) {
		t.Fatalf("response = %+v, cnf = %v, want a token that is bound to the key", got, cnf)
	}
	if e := w.events.last(); e.Principal.Binding != dpop.Binding {
		t.Errorf("binding in the event = %q, want %q", e.Principal.Binding, dpop.Binding)
	}
	if _, err := w.admit(got.AccessToken); reasonOf(err) != gatehouse.ReasonUnconfirmed {
		t.Errorf("Admit(bound token as Bearer) error = %v, want %s", err, gatehouse.ReasonUnconfirmed)
	}
	bound, used := person(object{"cnf": object{"jkt": "x"}}), proof("/token", "")
	down := newWorld(t, func(_ *agent.Config, c *agent.ServerConfig) {
		c.DPoP = must(dpop.New(dpop.Config{PublicOrigin: origin, Replays: brokenReplays{}}))
	})
	unsupported := newWorld(t, func(_ *agent.Config, c *agent.ServerConfig) { c.DPoP = nil })
	for _, test := range []struct {
		name    string
		w       *world
		request *http.Request
		status  int
		code    string
	}{
		{"exchange of a bound token", w, with(exchangeRequest("helper-1", bound), proof("/token", "")), 200, ""},
		{"first use", w, with(tokenRequest("helper-1"), used), 200, ""},
		{"second use", w, with(tokenRequest("helper-1"), used), 400, "invalid_dpop_proof"},
		{"for another path", w, with(tokenRequest("helper-1"), proof("/mcp", "")), 400, "invalid_dpop_proof"},
		{"with ath", w, with(tokenRequest("helper-1"), proof("/token", "token")), 400, "invalid_dpop_proof"},
		{"malformed", w, with(tokenRequest("helper-1"), "x"), 400, "invalid_dpop_proof"},
		{"replay store down", down, with(tokenRequest("helper-1"), proof("/token", "")), 503, "temporarily_unavailable"},
		{"bound token without verifier", unsupported, with(exchangeRequest("helper-1", bound), proof("/token", "")), 400, "invalid_request"},
		{"without verifier", unsupported, with(tokenRequest("helper-1"), proof("/token", "")), 400, "invalid_dpop_proof"},
	} {
		got := test.w.ask(test.request)
		if got.Status != test.status || got.Error != test.code || (got.TokenType == "DPoP") != (test.status == http.StatusOK) {
			t.Errorf("%s: response = %+v, want %d %q, and a bound token with 200", test.name, got, test.status, test.code)
		}
	}
	if got := unsupported.events.last().Credential; got != "helper-1" {
		t.Errorf("credential of the refusal without verifier = %q, want helper-1", got)
	}
}

// A client gets a nonce for its first proof, and another one when that is old.
func TestDPoPNonces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(a *agent.Config, c *agent.ServerConfig) {
			keys := []gatehouse.Secret{gatehouse.NewSecret([]byte(strings.Repeat("k", 32)))}
			c.DPoP = must(dpop.New(dpop.Config{PublicOrigin: origin, Replays: a.Replays, NonceKeys: keys}))
		})
		key, nonce := must(dpop.GenerateKey()), ""
		for n := range 64 { // many, because the order of the header fields of a refusal is random
			status, want, sent := http.StatusBadRequest, "use_dpop_nonce", ""
			if n == 63 {
				status, want, sent = http.StatusOK, "", nonce
			}
			r := tokenRequest("helper-1")
			r.Header.Set("DPoP", must(key.Proof(dpop.ProofRequest{Method: http.MethodPost, URL: must(url.Parse(origin + "/token")), Nonce: sent})))
			got := w.ask(r)
			if got.Status != status || got.Error != want || got.Nonce == "" || got.Nonce == nonce {
				t.Errorf("response to a proof with the nonce %q = %+v, want %d %q and another nonce", sent, got, status, want)
			}
			nonce = got.Nonce
			time.Sleep(4 * time.Minute)
		}
	})
}

// The ID of an agent may look like the name of a secret, which the signer refuses as
// the name of a claim.
func TestAgentWithOddName(t *testing.T) {
	w := newWorld(t)
	for _, id := range []string{"api_key-rotator", "sk-agent", "eyJ", "agent \u202e"} {
		agentKeys[id] = newParty()
		w.register(t, newAgent(id, "acme", "reader"))
		for _, r := range []*http.Request{tokenRequest(id), exchangeRequest(id, person(nil))} {
			if _, err := w.admit(w.token(t, r)); err != nil {
				t.Errorf("%q: Admit error = %v", id, err)
			}
		}
	}
}

// A subject token that cannot be checked now is a 503, and one that ends now is refused.
func TestSubjectTokenOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		if got := w.ask(exchangeRequest("helper-1", person(object{"iat": time.Now().Unix() - 60, "exp": time.Now().Unix()}))); got.Error != "invalid_request" || w.events.last().Reason != agent.ReasonSubject {
			t.Errorf("response for a token that ends now = %+v with %s, want %s", got, w.events.last().Reason, agent.ReasonSubject)
		}
		time.Sleep(time.Second / 2)
		if got := w.ask(exchangeRequest("helper-1", person(object{"exp": time.Now().Unix() + 1}))); got.AccessToken == "" || got.ExpiresIn != 0 {
			t.Errorf("response for a token that ends in half a second = %+v, want a token with expires_in 0", got)
		}
		w.store.fail(errors.New("down"))
		if got := w.ask(exchangeRequest("helper-1", person(object{"act": chainOf("unknown")}))); got.Status != http.StatusServiceUnavailable {
			t.Errorf("response while the store is down = %+v, want 503", got)
		}
		if _, err := w.registry.Decommission(t.Context(), "", "helper-1"); !errors.Is(err, agent.ErrNotFound) {
			t.Errorf("Decommission without a tenant error = %v, want %v without a call of the store", err, agent.ErrNotFound)
		}
		if _, err := w.registry.Decommission(t.Context(), "acme", ""); !errors.Is(err, agent.ErrNotFound) {
			t.Errorf("Decommission without an ID error = %v, want %v without a call of the store", err, agent.ErrNotFound)
		}
	})
}

func TestRegistrationOfACallerThatLeavesIsReported(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	store := &store{Store: agent.NewMemory(0), after: func(method string, _ *agent.Record) {
		if method == "Register" {
			cancel()
		}
	}}
	r := must(agent.New(registryConfig(store, gatehouse.ObserverFunc(func(ctx context.Context, _ gatehouse.Event) error { return ctx.Err() }))))
	if _, err := r.Register(ctx, agent.Registration{Agent: newAgent("reader", "acme", "reader")}); err != nil {
		t.Errorf("Register error = %v, want nil", err)
	}
}
