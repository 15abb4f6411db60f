// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// compatible is config with the profile Compatible and changes of the issuer.
func compatible(change func(*jwtauth.Issuer)) jwtauth.Config {
	return issuerConfig(func(i *jwtauth.Issuer) {
		i.Profile = jwtauth.Compatible
		change(i)
	})
}

// The settings by which an issuer accepts and refuses tokens. Each token is a valid
// one with changes of its claims, or of its header where they begin with "header".
//
// Covers RFC 6901 §3, §4; RFC 8725 §3.9, §3.12.
func TestIssuerSettings(t *testing.T) {
	header := func(name string, value any) object { return object{"header": object{name: value}} }
	require := func(marks ...jwtauth.Mark) func(*jwtauth.Issuer) {
		return func(i *jwtauth.Issuer) { i.Require = marks }
	}
	for name, test := range map[string]struct {
		issuer func(*jwtauth.Issuer)
		tokens changes
	}{
		"several audiences": {func(i *jwtauth.Issuer) { i.Audiences = []string{"a", "b"} }, changes{
			"":                     each("aud", "a", "b", []string{"x", "b"}),
			jwtauth.ReasonAudience: each("aud", audience, "a b", []string{"x"}),
			jwtauth.ReasonClaims:   each("aud", nil),
		}},
		"Clients": {func(i *jwtauth.Issuer) { i.Clients = []string{"web", "cli"} }, changes{
			"": list(object{"aud": nil}, object{"aud": nil, "azp": "web"}, object{"aud": nil, "client_id": nil, "azp": "cli"}, object{"azp": "web"}, object{"client_id": "x"}),
			jwtauth.ReasonAudience: list(
				object{"aud": nil, "client_id": "x"}, object{"aud": nil, "client_id": nil}, object{"aud": nil, "client_id": nil, "azp": "x"},
				object{"aud": nil, "azp": "cli"}, object{"azp": "cli"}, object{"client_id": "web2", "azp": "web"}, object{"aud": nil, "client_id": nil, "cid": "web"}, object{"aud": "web"},
			),
			jwtauth.ReasonClaims: list(object{"aud": ""}, object{"aud": []string{}}, object{"aud": []string{""}}, object{"aud": null}, object{"aud": nil, "client_id": 1}, object{"aud": nil, "azp": 1}),
		}},
		"Clients without Audiences": {func(i *jwtauth.Issuer) { i.Audiences, i.Clients = nil, []string{"web"} }, changes{
			"":                     each("aud", nil),
			jwtauth.ReasonAudience: each("aud", audience, "web"),
			jwtauth.ReasonClaims:   each("aud", "", []string{}),
		}},
		"AcceptMissingAudience": {func(i *jwtauth.Issuer) { i.Audiences, i.AcceptMissingAudience = nil, true }, changes{
			"":                     list(object{"aud": nil}, object{"aud": nil, "client_id": nil}),
			jwtauth.ReasonAudience: each("aud", audience, []string{"x"}),
			jwtauth.ReasonClaims:   each("aud", "", []string{}, null, 1),
		}},
		"AcceptMissingAudience with Audiences": {func(i *jwtauth.Issuer) { i.AcceptMissingAudience = true }, changes{
			"":                     each("aud", nil, audience),
			jwtauth.ReasonAudience: each("aud", "x"),
		}},
		"AcceptNonce": {func(i *jwtauth.Issuer) { i.AcceptNonce = true }, changes{
			"":                 list(object{"nonce": "x"}, object{"header": object{"typ": "JWT"}, "nonce": "x"}),
			jwtauth.ReasonType: list(object{"nonce": "x", "at_hash": "x"}, object{"typ": "ID"}),
		}},
		"Require a value": {require(jwtauth.Mark{Claim: "token_use", Values: []string{"access", "m2m"}}), changes{
			"":                 each("token_use", "access"),
			jwtauth.ReasonType: each("token_use", nil, null, "Bearer", "Access", "id"),
		}},
		"Require a claim": {require(jwtauth.Mark{Claim: "sid"}, jwtauth.Mark{Claim: "azp"}), changes{
			"":                 list(object{"sid": "s", "azp": "a"}),
			jwtauth.ReasonType: list(object{"sid": "s"}, object{"azp": "a"}, object{"sid": "s", "azp": null}, object{"sid": "s", "AZP2": "a"}),
		}},
		"Require a boolean or a number": {require(jwtauth.Mark{Claim: "v", Values: []string{"true", "2"}}), changes{
			"":                 each("v", true, 2, "2"),
			jwtauth.ReasonType: each("v", false, 2.5, nil, object{"true": 1}, []any{true}),
		}},
		"Require a nested claim": {require(jwtauth.Mark{Claim: "/a~1b/c~0d/e", Values: []string{"x"}}, jwtauth.Mark{Claim: "a/b"}), changes{
			"":                 each("a/b", object{"c~d": object{"e": "x"}}),
			jwtauth.ReasonType: each("a/b", object{"c~d": object{"e": "y"}}, object{"c~d": object{"E": "x"}}, object{"c~d": "x"}, "x", nil, object{"e": "x"}),
		}},
		"Require an escaped name": {require(jwtauth.Mark{Claim: "/a~01b"}), changes{
			"": each("a~1b", 1), jwtauth.ReasonType: list(object{"a/b": 1}, object{"a~1b": null}),
		}},
		"scopes as an array": {func(*jwtauth.Issuer) {}, changes{"": each("scope", []any{"a", "b"})}},
		"Require an equal claim": {require(jwtauth.Mark{Claim: "azp", Equals: "sub"}), changes{
			"":                 list(object{"azp": "alice"}, object{"azp": "7", "sub": "7"}),
			jwtauth.ReasonType: list(object{"azp": "bob"}, object{"azp": "alice2"}, object{"azp": null}, object{}, object{"azp": 7, "sub": "7"}),
		}},
		"Require equal claims that are no strings, or missing": {require(jwtauth.Mark{Claim: "azp2", Equals: "other"}), changes{
			"":                 list(object{"azp2": 7, "other": 7}, object{"azp2": true, "other": true}),
			jwtauth.ReasonType: list(object{}, object{"azp2": "a"}, object{"azp2": null, "other": null}, object{"azp2": 7, "other": 8}),
		}},
		"Require a header parameter": {require(jwtauth.Mark{Header: "cat", Values: []string{"session"}}), changes{
			"":                 list(header("cat", "session")),
			jwtauth.ReasonType: list(object{}, header("cat", "template"), header("cat", "SESSION"), header("cat", nil), object{"cat": "session"}, header("CAT", "session")),
		}},
		"Refuse": {func(i *jwtauth.Issuer) {
			i.Refuse = []jwtauth.Mark{{Claim: "is_anonymous", Values: []string{"true"}}, {Claim: "sts", Values: []string{"pending"}}, {Header: "typ", Values: []string{"at+jwt"}}}
		}, changes{
			"": list(object{"header": object{"typ": "JWT"}, "is_anonymous": false, "sts": "active"}, object{"header": object{"typ": "JWT"}, "sts": null}),
			jwtauth.ReasonType: list(object{}, header("typ", "AT+jwt"), header("typ", "application/at+jwt"),
				object{"header": object{"typ": "JWT"}, "is_anonymous": true}, object{"header": object{"typ": "JWT"}, "sts": "pending"}),
		}},
		"strict tenant": {func(i *jwtauth.Issuer) { i.TenantClaim = "tenant" }, changes{
			"": each("tenant", "acme", nil, null), jwtauth.ReasonClaims: each("tenant", "", 1, []string{"acme"}, strings.Repeat("x", 256)),
		}},
		"strict roles": {func(i *jwtauth.Issuer) { i.RolesClaims = []string{"roles", "/realm/roles"} }, changes{
			"": list(object{}, object{"roles": "a"}, object{"realm": 1}, object{"roles": null, "realm": object{"roles": []string{"b"}}}),
			jwtauth.ReasonClaims: list(object{"roles": 1}, object{"roles": []any{""}}, object{"roles": []any{1}}, object{"roles": []any{"a\nb"}}, object{"roles": []any{strings.Repeat("x", 256)}},
				object{"roles": object{"a": 1}}, object{"realm": object{"roles": 1}}),
		}},
		"tenant in an object": {func(i *jwtauth.Issuer) { i.TenantClaim = "/o/id" }, changes{
			"": each("o", object{"id": "acme"}, object{"id": null}), jwtauth.ReasonClaims: each("o", object{"id": 1}),
		}},
		"names of an object as roles": {func(i *jwtauth.Issuer) { i.RolesClaims, i.RolesAreNames = []string{"roles"}, true }, changes{
			"": each("roles", object{"a": 1, "b": 2}), jwtauth.ReasonClaims: each("roles", object{strings.Repeat("a", 256): 1, "b": 2}),
		}},
		"strict scopes": {func(i *jwtauth.Issuer) { i.ScopeClaims = []string{"scp"} }, changes{
			"": list(object{"scope": 1}), jwtauth.ReasonClaims: each("scp", 1, []any{"a b"}, "a  b"),
		}},
		"a configured name in another case": {func(i *jwtauth.Issuer) { i.ScopeClaims = []string{"scp"} }, changes{
			jwtauth.ReasonClaims: list(object{"SCP": "admin"}), jwtauth.ReasonMalformed: list(object{"SCP": "admin", "scp": "a"}),
		}},
		"SubjectClaims": {func(i *jwtauth.Issuer) { i.SubjectClaims = []string{"sub", "common_name"} }, changes{
			"":                   list(object{}, object{"sub": "", "common_name": "e3"}, object{"sub": nil, "common_name": "e3"}, object{"sub": null, "common_name": "e3"}, object{"sub": strings.Repeat("x", 512)}),
			jwtauth.ReasonClaims: list(object{"sub": ""}, object{"sub": nil, "common_name": ""}, object{"sub": 1, "common_name": "e3"}, object{"sub": "", "common_name": "a\nb"}),
		}},
		"ClientClaims": {func(i *jwtauth.Issuer) { i.ClientClaims = []string{"azp"} }, changes{
			"": list(object{"client_id": 1}, object{"azp": "a"}, object{"azp": null}), jwtauth.ReasonClaims: each("azp", 1, ""),
		}},
		"Tenants": {func(i *jwtauth.Issuer) { i.Tenants = []string{"acme", "globex"} }, changes{
			"":                   each("tenant", "acme", "globex"),
			jwtauth.ReasonTenant: each("tenant", "initech", nil, "", 1, "ACME", "acme "),
		}},
		"Tenants after Principal": {func(i *jwtauth.Issuer) {
			i.Tenants = []string{"acme"}
			i.Principal = func(_ gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
				p.Tenant = map[string]string{"acme": "globex", "globex": "acme"}[p.Tenant]
				return p, nil
			}
		}, changes{"": each("tenant", "globex"), jwtauth.ReasonTenant: each("tenant", "acme")}},
		"AnyTenant": {func(i *jwtauth.Issuer) { i.AnyTenant = true }, changes{"": each("tenant", "x", nil)}},
		"under RFC 9068, where nonce is no mark": {func(i *jwtauth.Issuer) {
			i.Profile, i.ScopeClaims, i.RolesClaims = jwtauth.RFC9068, []string{"scope", "perms"}, []string{"groups", "group"} // which begin alike
			i.Require, i.Refuse = []jwtauth.Mark{{Claim: "kind", Values: []string{"api"}}}, []jwtauth.Mark{{Claim: "nonce"}}
		}, changes{
			"":                 list(object{"kind": "api"}, object{"kind": "api", "perms": []any{"a"}}),
			jwtauth.ReasonType: list(object{}, object{"kind": "api", "nonce": "x"}),
			jwtauth.ReasonClaims: list(
				object{"kind": "api", "scope": []any{"a"}}, object{"kind": "api", "perms": 1}, object{"kind": "api", "perms": null},
				object{"kind": "api", "groups": "a"}, object{"kind": "api", "aud": nil}, object{"kind": "api", "auth_time": "x"}, object{"kind": "api", "sid": null},
			),
		}},
	} {
		test.tokens.check(t, newAuthenticator(t, compatible(test.issuer)), name+": ", nil)
	}
}

// collect returns an observer that keeps the events.
func collect(events *[]gatehouse.Event) gatehouse.Observer {
	return gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error { *events = append(*events, e); return nil })
}

// A configured claim that no token had is reported once, and only for verified
// tokens.
func TestMissingClaimIsReported(t *testing.T) {
	var events []gatehouse.Event
	c := issuerConfig(func(i *jwtauth.Issuer) {
		i.RolesClaims, i.ScopeClaims, i.TenantClaim = []string{"/realm_access/role", "roles"}, []string{"scope", "/sub/scope"}, "/list/org"
	})
	c.Observer = collect(&events)
	a := newAuthenticator(t, c)
	claims := object{"list": []any{object{"org": "x"}}, "roles": []any{"r"}, "realm_access": object{"roles": []any{"secret-value"}, "a\nb": 1}}
	check(t, a, "another signature", unsigned(token(nil, claims))+strings.Repeat("A", 86), jwtauth.ReasonSignature)
	equal(t, "events before a verified token", len(events), 0)
	for n := range 3 {
		claims["jti"] = fmt.Sprint(n)
		check(t, a, "token", token(nil, claims), "")
	}
	check(t, a, "without roles", token(nil, object{"jti": "x"}), "")
	missing := func(claim, present string) gatehouse.Event {
		return gatehouse.Event{Type: jwtauth.EventClaimMissing, Level: slog.LevelWarn, Issuer: issuerURL, Attrs: []slog.Attr{
			slog.String(jwtauth.AttrClaim, claim), slog.String(jwtauth.AttrPresent, present),
		}}
	}
	const present = "aud client_id exp iat iss jti list realm_access roles scope sub tenant"
	want := []gatehouse.Event{missing("/sub/scope", present), missing("/realm_access/role", "roles"), missing("/list/org", present)}
	equal(t, "events", fmt.Sprint(events), fmt.Sprint(want))

	many := object{}
	for n := range 100 {
		many[fmt.Sprintf("claim-%03d", n)] = n
	}
	events = nil
	check(t, newAuthenticator(t, c), "many members", token(nil, object{"realm_access": many}), "")
	if names := strings.Fields(events[1].Attrs[1].Value.String()); len(names) != 20 {
		t.Errorf("event for a token with 100 members names %d, want 20", len(names))
	}
}

func TestPlainHTTPIsReported(t *testing.T) {
	var events []gatehouse.Event
	c := issuerConfig(func(i *jwtauth.Issuer) {
		i.URL, i.Keys, i.PlainHTTPHosts = "http://keycloak:8080/realms/acme", jwtauth.Discover(), []string{"keycloak:8080", "[::2]:80"}
	})
	c.Observer = collect(&events)
	twoIssuers(&c)
	newAuthenticator(t, c)
	v, err := jwtauth.NewVerifier(jwtauth.VerifierConfig{Issuer: c.Issuers[0], Observer: c.Observer})
	noError(t, err)
	noError(t, v.Close())
	if _, err := jwtauth.NewVerifier(jwtauth.VerifierConfig{Issuer: c.Issuers[0], Observer: c.Observer, Skew: -1}); err == nil { // and reports nothing
		t.Error("NewVerifier with a negative Skew = nil, want an error")
	}
	slices.SortFunc(events, func(a, b gatehouse.Event) int { return strings.Compare(a.Issuer, b.Issuer) })
	want := gatehouse.Event{Type: jwtauth.EventPlainHTTP, Level: slog.LevelWarn, Issuer: c.Issuers[0].URL, Attrs: []slog.Attr{
		slog.String(jwtauth.AttrHosts, "keycloak:8080 [::2]:80"),
	}}
	other := want
	other.Issuer = otherURL
	equal(t, "events", fmt.Sprint(events), fmt.Sprint([]gatehouse.Event{want, want, other}))
}

// Issuer names that are accepted with keys from elsewhere.
func TestIssuerNames(t *testing.T) {
	for _, name := range []string{"accounts.google.com", "http://adfs.example.com/adfs/services/trust", "urn:example:issuer", "kubernetes/serviceaccount"} {
		a := newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) { i.URL = name }))
		check(t, a, name, token(nil, object{"iss": name}), "")
		check(t, a, name+" and another", token(nil, nil), jwtauth.ReasonIssuer)
	}
}

// The tokens of an issuer with a Header come in this header only, those of the
// others in Authorization only.
func TestIssuerHeader(t *testing.T) {
	const assertion = "X-Goog-Iap-Jwt-Assertion"
	c := config(func(c *jwtauth.Config) {
		iap := c.Issuers[0]
		iap.URL, iap.Header, iap.Tenants = otherURL, "x-goog-iap-jwt-assertion", []string{"acme"}
		third := iap
		third.URL, third.Header = "https://third.example.com", "x-third-jwt"
		c.Issuers = append(c.Issuers, iap, third)
		c.Issuers[0].AnyTenant = true
	})
	a := newAuthenticator(t, c)
	var seen http.Header
	var event gatehouse.Event
	g := must(gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{a}, Realm: "test",
		Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error { event = e; return nil }),
	}))
	h := g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header }))
	first, second := token(nil, nil), token(nil, object{"iss": otherURL})
	in := func(name string, tokens ...string) http.Header { return http.Header{name: tokens} }
	for range 2 { // the second time the tokens are in the cache
		for name, test := range map[string]struct {
			header http.Header
			status int
			wire   string // the error code
			reason gatehouse.Reason
			cause  string
		}{
			"first":                   {in("Authorization", "Bearer "+first), 200, "", "", ""},
			"second":                  {in(assertion, second), 200, "", "", ""},
			"third":                   {in("X-Third-Jwt", token(nil, object{"iss": "https://third.example.com"})), 200, "", "", ""},
			"first in the header":     {in(assertion, first), 403, "invalid_token", jwtauth.ReasonCarrier, "accepted in the Authorization header only"},
			"third in the header":     {in(assertion, token(nil, object{"iss": "https://third.example.com"})), 403, "invalid_token", jwtauth.ReasonCarrier, "accepted in the header X-Third-Jwt only"},
			"second in Authorization": {in("Authorization", "Bearer "+second), 401, "invalid_token", jwtauth.ReasonCarrier, "accepted in the header " + assertion + " only"},
			"both":                    {http.Header{"Authorization": {"Bearer " + first}, assertion: {second}}, 400, "invalid_request", gatehouse.ReasonSeveralCredentials, ""},
			"twice":                   {in(assertion, second, second), 400, "invalid_request", gatehouse.ReasonSeveralCredentials, ""},
			"another tenant":          {in(assertion, token(nil, object{"iss": otherURL, "tenant": "x"})), 403, "invalid_token", jwtauth.ReasonTenant, ""},
			"expired":                 {in(assertion, token(nil, object{"iss": otherURL, "exp": 1, "iat": 0})), 403, "invalid_token", jwtauth.ReasonExpired, ""},
			"no JWT":                  {in(assertion, "a.b"), 403, "invalid_token", gatehouse.ReasonUnclaimed, ""},
			"8 KiB":                   {in(assertion, strings.Repeat("a", 8<<10)), 403, "invalid_token", gatehouse.ReasonUnclaimed, ""},
			"oversized":               {in(assertion, strings.Repeat("a", 8<<10+1)), 403, "invalid_token", jwtauth.ReasonOversized, ""},
			"empty":                   {in(assertion, ""), 401, "missing_credentials", gatehouse.ReasonNoCredentials, ""},
		} {
			seen = nil
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.Header = test.header.Clone()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.wire) || len(seen) != 0 || (w.Header().Get("WWW-Authenticate") != "") != (test.status == 401) {
				t.Errorf("%s: %d %s, WWW-Authenticate %q, header of the handler %v, want %d %s, a challenge with 401 only, and no header",
					name, w.Code, w.Body, w.Header().Get("WWW-Authenticate"), seen, test.status, test.wire)
			}
			if event.Reason != test.reason || !strings.Contains(fmt.Sprint(event.Cause), test.cause) || test.cause != "" && event.Credential != "token-1" {
				t.Errorf("%s: event with reason %s, cause %v, credential %q, want %s, %q, token-1", name, event.Reason, event.Cause, event.Credential, test.reason, test.cause)
			}
			if want := map[string]string{"first in the header": issuerURL, "second in Authorization": otherURL}[name]; want != "" && event.Issuer != want {
				t.Errorf("%s: event with issuer %q, want %q", name, event.Issuer, want)
			}
			_, err := a.Authenticate(r)
			if none := test.reason == gatehouse.ReasonUnclaimed || test.reason == gatehouse.ReasonNoCredentials; errors.Is(err, gatehouse.ErrNoCredentials) != none || !none && reasonOf(err) != test.reason {
				t.Errorf("%s: Authenticate error = %v, want reason %s", name, err, test.reason)
			}
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set(assertion, second)
	proof, err := a.Authenticate(r)
	equal(t, "error of Authenticate", err, nil)
	equal(t, "Proof.Tenants", proof.Tenants, []string{"acme"})
	_, err = a.VerifyRequest(r, "", second)
	equal(t, "reason of VerifyRequest, which rejects tokens of issuers with a header", rejected(t, err).Reason, jwtauth.ReasonCarrier)

	c.Revocations = &revocations{maxLifetime: 24 * time.Hour, answers: map[string]error{"token-1": errors.New("down")}}
	equal(t, "status without revocations", status(serve(newAuthenticator(t, c)), r), http.StatusServiceUnavailable)

	only := newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) { i.Header = assertion }))
	equal(t, "Schemes of Reads with one Header", len(only.Reads().Schemes), 0)
}
