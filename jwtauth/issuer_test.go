// SPDX-License-Identifier: Apache-2.0

package jwtauth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
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
	type changes = map[gatehouse.Reason][]object
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
				object{"aud": nil, "azp": "cli"}, object{"azp": "cli"}, object{"aud": nil, "client_id": nil, "cid": "web"}, object{"aud": "web"},
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
			"":                 each("nonce", "x"),
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
			jwtauth.ReasonType: list(object{"azp": "bob"}, object{"azp": null}, object{}, object{"azp": 7, "sub": "7"}),
		}},
		"Require equal claims that are missing": {require(jwtauth.Mark{Claim: "azp", Equals: "other"}), changes{
			jwtauth.ReasonType: list(object{}, object{"azp": "a"}, object{"azp": null, "other": null}),
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
	} {
		a := newAuthenticator(t, compatible(test.issuer))
		for want, all := range test.tokens {
			for _, claims := range all {
				head, _ := claims["header"].(object)
				delete(claims, "header")
				check(t, a, fmt.Sprint(name, ": ", head, claims), token(head, claims), want)
			}
		}
	}
}

// The settings also hold under RFC 9068, where nonce is no mark.
func TestIssuerSettingsUnderRFC9068(t *testing.T) {
	a := newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) {
		i.Require, i.Refuse = []jwtauth.Mark{{Claim: "kind", Values: []string{"api"}}}, []jwtauth.Mark{{Claim: "nonce"}}
		i.ScopeClaims, i.RolesClaims = []string{"scope", "perms"}, []string{"groups"}
	}))
	for want, changes := range map[gatehouse.Reason][]object{
		"":                   list(object{"kind": "api"}, object{"kind": "api", "perms": []any{"a"}}),
		jwtauth.ReasonType:   list(object{}, object{"kind": "api", "nonce": "x"}),
		jwtauth.ReasonClaims: list(object{"kind": "api", "scope": []any{"a"}}, object{"kind": "api", "perms": 1}, object{"kind": "api", "perms": null}, object{"kind": "api", "groups": "a"}, object{"kind": "api", "aud": nil}, object{"kind": "api", "auth_time": "x"}, object{"kind": "api", "sid": null}),
	} {
		for _, claims := range changes {
			check(t, a, claims, token(nil, claims), want)
		}
	}
}

// What the settings make of a token.
func TestIssuerSettingsPrincipal(t *testing.T) {
	roles := func(names ...string) gatehouse.Roles { return must(gatehouse.NewRoles(names...)) }
	for name, test := range map[string]struct {
		issuer func(*jwtauth.Issuer)
		claims object
		want   func(*gatehouse.Principal)
	}{
		"malformed tenant and roles": {func(*jwtauth.Issuer) {}, object{"tenant": 1, "roles": []any{"admin", 1}}, func(p *gatehouse.Principal) { p.Tenant = "" }},
		"no client is no service":    {func(*jwtauth.Issuer) {}, object{"client_id": nil}, func(p *gatehouse.Principal) { p.Client = "" }},
		"appid":                      {func(*jwtauth.Issuer) {}, object{"client_id": nil, "appid": "app"}, func(p *gatehouse.Principal) { p.Client = "app" }},
		"cid before appid":           {func(*jwtauth.Issuer) {}, object{"client_id": nil, "cid": "cli", "appid": "app"}, func(p *gatehouse.Principal) { p.Client = "cli" }},
		"ClientClaims":               {func(i *jwtauth.Issuer) { i.ClientClaims = []string{"x", "azp"} }, object{"azp": "spa"}, func(p *gatehouse.Principal) { p.Client = "spa" }},
		"no ClientClaims":            {func(i *jwtauth.Issuer) { i.ClientClaims = []string{} }, object{"azp": "spa"}, func(p *gatehouse.Principal) { p.Client = "" }},
		"SubjectClaims":              {func(i *jwtauth.Issuer) { i.SubjectClaims = []string{"uid", "sub"} }, object{"uid": "u1"}, func(p *gatehouse.Principal) { p.Subject = "u1" }},
		"SubjectClaims, null":        {func(i *jwtauth.Issuer) { i.SubjectClaims = []string{"uid", "sub"} }, object{"uid": null}, func(*gatehouse.Principal) {}},
		"union of scopes": {func(i *jwtauth.Issuer) { i.ScopeClaims = []string{"scope", "permissions"} }, object{"permissions": []any{"write:x"}}, func(p *gatehouse.Principal) {
			p.Scopes = must(gatehouse.ParseScopes("reports:read write:x"))
		}},
		"union of roles": {func(i *jwtauth.Issuer) {
			i.RolesClaims = []string{"/realm_access/roles", "/resource_access/api~1v1/roles"}
		}, object{
			"realm_access": object{"roles": []any{"admin"}}, "resource_access": object{"api/v1": object{"roles": []any{"reader"}}}, "roles": []any{"root"},
		}, func(p *gatehouse.Principal) { p.Roles = roles("admin", "reader") }},
		"a name that is a URL": {func(i *jwtauth.Issuer) { i.RolesClaims = []string{"https://acme.example/roles"} }, object{"https://acme.example/roles": []any{"admin"}}, func(p *gatehouse.Principal) {
			p.Roles = roles("admin")
		}},
		"names of an object": {func(i *jwtauth.Issuer) { i.RolesClaims, i.RolesAreNames = []string{"urn:roles", "groups"}, true }, object{
			"urn:roles": object{"admin": object{"99": "acme.example"}, "reader": object{}}, "groups": []any{"g"},
		}, func(p *gatehouse.Principal) { p.Roles = roles("admin", "g", "reader") }},
		"nested tenant": {func(i *jwtauth.Issuer) { i.TenantClaim = "/o/id" }, object{"o": object{"id": "org_1"}}, func(p *gatehouse.Principal) { p.Tenant = "org_1" }},
		"AllowedScopes and AllowedRoles": {func(i *jwtauth.Issuer) {
			i.AllowedScopes, i.AllowedRoles = []string{"reports:read", "x"}, []string{"reader"}
		}, object{
			"scope": "admin reports:read", "roles": []any{"admin", "reader"},
		}, func(p *gatehouse.Principal) { p.Roles = roles("reader") }},
		"none allowed": {func(i *jwtauth.Issuer) {
			i.AllowedScopes, i.AllowedRoles = []string{}, []string{}
			i.Principal = func(_ gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
				p.Roles = roles("admin")
				return p, nil
			}
		}, nil, func(p *gatehouse.Principal) { p.Scopes = gatehouse.Scopes{} }},
		"a service by a mark": {func(i *jwtauth.Issuer) {
			i.Services = []jwtauth.Mark{{Claim: "x"}, {Claim: "gty", Values: []string{"client-credentials"}}}
		}, object{"gty": "client-credentials"}, func(p *gatehouse.Principal) {
			p.Kind = gatehouse.KindService
		}},
		"a user without the mark": {func(i *jwtauth.Issuer) {
			i.Services = []jwtauth.Mark{{Claim: "gty", Values: []string{"client-credentials"}}}
		}, object{"gty": "password"}, func(*gatehouse.Principal) {}},
		"always a service":  {func(i *jwtauth.Issuer) { i.Services = []jwtauth.Mark{{Claim: "iss"}} }, nil, func(p *gatehouse.Principal) { p.Kind = gatehouse.KindService }},
		"auth_time":         {func(*jwtauth.Issuer) {}, object{"auth_time": 1000}, func(p *gatehouse.Principal) { p.AuthTime = time.Unix(1000, 0) }},
		"auth_time as text": {func(*jwtauth.Issuer) {}, object{"auth_time": "2026-11-28T03:00:00.000Z"}, func(*gatehouse.Principal) {}},
	} {
		now := time.Now().Unix()
		claims := object{"iat": now, "exp": now + 300}
		maps.Copy(claims, test.claims)
		want := gatehouse.Principal{
			Kind: gatehouse.KindUser, Subject: "alice", Issuer: issuerURL, Tenant: "acme", Client: "web", Method: jwtauth.Method,
			Credential: "token-1", Scopes: must(gatehouse.ParseScopes("reports:read")), Expires: time.Unix(now+300, 0),
			Claims: must(gatehouse.NewClaims(goodClaims().with(claims))),
		}
		test.want(&want)
		got, err := newAuthenticator(t, compatible(test.issuer)).Verify(t.Context(), token(nil, claims))
		equal(t, name+": error of Verify", err, nil)
		equal(t, name+": principal", got, want)
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
		i.RolesClaims, i.ScopeClaims, i.TenantClaim = []string{"/realm_access/role", "roles"}, []string{"scope", "/sub/scope"}, "org"
	})
	c.Observer = collect(&events)
	a := newAuthenticator(t, c)
	claims := object{"roles": []any{"r"}, "realm_access": object{"roles": []any{"secret-value"}, "a\nb": 1}}
	check(t, a, "another signature", unsigned(token(nil, claims))+strings.Repeat("A", 86), jwtauth.ReasonSignature)
	equal(t, "events before a verified token", len(events), 0)
	for n := range 3 {
		claims["jti"] = fmt.Sprint(n)
		check(t, a, "token", token(nil, claims), "")
	}
	check(t, a, "without roles", token(nil, object{"jti": "x"}), "")
	const present = "aud client_id exp iat iss jti realm_access roles scope sub tenant"
	want := []gatehouse.Event{
		{Type: jwtauth.EventClaimMissing, Level: slog.LevelWarn, Issuer: issuerURL, Attrs: []slog.Attr{
			slog.String(jwtauth.AttrClaim, "/sub/scope"), slog.String(jwtauth.AttrPresent, present),
		}},
		{Type: jwtauth.EventClaimMissing, Level: slog.LevelWarn, Issuer: issuerURL, Attrs: []slog.Attr{
			slog.String(jwtauth.AttrClaim, "/realm_access/role"), slog.String(jwtauth.AttrPresent, "roles"),
		}},
		{Type: jwtauth.EventClaimMissing, Level: slog.LevelWarn, Issuer: issuerURL, Attrs: []slog.Attr{
			slog.String(jwtauth.AttrClaim, "org"),
			slog.String(jwtauth.AttrPresent, present),
		}},
	}
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
	newAuthenticator(t, c)
	v, err := jwtauth.NewVerifier(jwtauth.VerifierConfig{Issuer: c.Issuers[0], Observer: c.Observer})
	noError(t, err)
	noError(t, v.Close())
	want := gatehouse.Event{Type: jwtauth.EventPlainHTTP, Level: slog.LevelWarn, Issuer: c.Issuers[0].URL, Attrs: []slog.Attr{
		slog.String(jwtauth.AttrHosts, "keycloak:8080 [::2]:80"),
	}}
	equal(t, "events", fmt.Sprint(events), fmt.Sprint([]gatehouse.Event{want, want}))
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
	const assertion, other = "X-Goog-Iap-Jwt-Assertion", "https://other.example.com"
	c := config(func(c *jwtauth.Config) {
		iap := c.Issuers[0]
		iap.URL, iap.Header = other, "x-goog-iap-jwt-assertion"
		iap.Tenants = []string{"acme"}
		third := iap
		third.URL, third.Header = "https://third.example.com", "x-third-jwt"
		c.Issuers = append(c.Issuers, iap, third)
		c.Issuers[0].AnyTenant = true
	})
	a := newAuthenticator(t, c)
	var seen http.Header
	g := must(gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{a}, Realm: "test"}))
	h := g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header }))
	first, second := token(nil, nil), token(nil, object{"iss": other})
	for range 2 { // the second time the tokens are in the cache
		for name, test := range map[string]struct {
			header http.Header
			want   int
			wire   string // the error code
		}{
			"first":                   {http.Header{"Authorization": {"Bearer " + first}}, 200, ""},
			"second":                  {http.Header{assertion: {second}}, 200, ""},
			"third":                   {http.Header{"X-Third-Jwt": {token(nil, object{"iss": "https://third.example.com"})}}, 200, ""},
			"first in the header":     {http.Header{assertion: {first}}, 403, "invalid_token"},
			"second in Authorization": {http.Header{"Authorization": {"Bearer " + second}}, 401, "invalid_token"},
			"both":                    {http.Header{"Authorization": {"Bearer " + first}, assertion: {second}}, 400, "invalid_request"},
			"twice":                   {http.Header{assertion: {second, second}}, 400, "invalid_request"},
			"another tenant":          {http.Header{assertion: {token(nil, object{"iss": other, "tenant": "x"})}}, 403, "invalid_token"},
			"expired":                 {http.Header{assertion: {token(nil, object{"iss": other, "exp": 1, "iat": 0})}}, 403, "invalid_token"},
			"no JWT":                  {http.Header{assertion: {"a.b"}}, 403, "invalid_token"},
			"oversized":               {http.Header{assertion: {strings.Repeat("a", 8<<10+1)}}, 403, "invalid_token"},
			"empty":                   {http.Header{assertion: {""}}, 401, "missing_credentials"},
		} {
			seen = nil
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.Header = test.header
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != test.want || !strings.Contains(w.Body.String(), test.wire) || len(seen) != 0 {
				t.Errorf("%s: %d %s, header of the handler %v, want %d %s and none", name, w.Code, w.Body, seen, test.want, test.wire)
			}
			if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (test.want == 401) {
				t.Errorf("%s: WWW-Authenticate %q with status %d", name, challenge, w.Code)
			}
		}
	}
	carrier := func(err error, issuer, cause string) {
		t.Helper()
		if e := rejected(t, err); e.Reason != jwtauth.ReasonCarrier || e.Issuer != issuer || e.Credential != "token-1" || !strings.Contains(e.Cause.Error(), cause) {
			t.Errorf("error = %v (%v), want reason %s, cause %q", err, e.Cause, jwtauth.ReasonCarrier, cause)
		}
	}
	_, err := a.VerifyRequest(get(second), "", second)
	carrier(err, other, "accepted in the header "+assertion+" only")
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header.Set(assertion, first)
	_, err = a.Authenticate(r)
	carrier(err, issuerURL, "accepted in the Authorization header only")
	r.Header.Set(assertion, second)
	proof, err := a.Authenticate(r)
	equal(t, "error of Authenticate", err, nil)
	equal(t, "Proof.Tenants", proof.Tenants, []string{"acme"})
	r.Header.Set("Authorization", "Bearer "+first)
	_, err = a.Authenticate(r)
	equal(t, "reason of Authenticate with both", rejected(t, err).Reason, gatehouse.ReasonSeveralCredentials)

	r = httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Header[assertion] = []string{second, second}
	_, err = a.Authenticate(r)
	equal(t, "reason of Authenticate with two tokens", rejected(t, err).Reason, gatehouse.ReasonSeveralCredentials)
	r.Header[assertion] = []string{"a.b"}
	_, err = a.Authenticate(r)
	equal(t, "error of Authenticate without a JWT", err, gatehouse.ErrNoCredentials)
	r.Header[assertion] = []string{strings.Repeat("a", 8<<10+1)}
	_, err = a.Authenticate(r)
	equal(t, "reason of Authenticate with 8 KiB and 1 B", rejected(t, err).Reason, jwtauth.ReasonOversized)

	c.Revocations = &revocations{maxLifetime: 24 * time.Hour, answers: map[string]error{"token-1": errors.New("down")}}
	r.Header[assertion] = []string{second}
	equal(t, "status without revocations", status(serve(newAuthenticator(t, c)), r), http.StatusServiceUnavailable)

	only := newAuthenticator(t, issuerConfig(func(i *jwtauth.Issuer) { i.Header = assertion }))
	equal(t, "Schemes of Reads with one Header", len(only.Reads().Schemes), 0)
}
