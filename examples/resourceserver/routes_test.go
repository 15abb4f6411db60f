// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/authtest"
)

var reader = authtest.Claims{"scope": "reports:read", "tenant": "acme"}

// TestWhoAmI compares the response member by member.
func TestWhoAmI(t *testing.T) {
	t.Parallel()
	p, issuer := serve(t, nil)
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	claims := authtest.Claims{"sub": "alice", "client_id": "web", "jti": "id-1", "exp": expires.Unix()}
	want := object{
		"subject": "alice", "issuer": issuer.URL, "tenant": "", "client": "web", "method": "jwt",
		"credential": "id-1", "binding": "", "scopes": []any{}, "expires": expires.UTC().Format(time.RFC3339),
	}
	for _, test := range []struct{ claims, want object }{
		{nil, nil},
		{object{"tenant": "acme", "scope": "reports:write reports:read"}, object{"tenant": "acme", "scopes": []any{"reports:read", "reports:write"}}},
	} {
		a := p.with(issuer.Token(with(claims, test.claims)), "GET", "/whoami")
		a.wantJSON(t, with(want, test.want))
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control = %q, want no-store", got)
		}
	}
}

// TestRoutes sends each kind of caller to each route.
func TestRoutes(t *testing.T) {
	t.Parallel()
	p, issuer := serve(t, nil)
	callers := map[string]authtest.Claims{
		"no caller": nil,
		"no scope":  {"tenant": "acme"},
		"read":      {"scope": "reports:read", "tenant": "acme"},
		"write":     {"scope": "reports:write", "tenant": "acme"},
		"both":      {"scope": "reports:read reports:write", "tenant": "acme"},
		"globex":    {"scope": "reports:read reports:write", "tenant": "globex"},
		"ACME":      {"scope": "reports:read reports:write", "tenant": "ACME"},
		"no tenant": {"scope": "reports:read reports:write"},
		"wildcard":  {"scope": "reports:* *", "tenant": "acme"},
		"other":     {"scope": "reports:reader", "tenant": "acme"},
	}
	order := slices.Sorted(maps.Keys(callers))
	const in, missing, scope, denied, none, method = "200", "401 missing_credentials", "403 insufficient_scope", "403 access_denied", "404", "405"
	tenantReports := map[string]string{
		"no scope": scope, "write": scope, "wildcard": scope, "other": scope, "globex": denied, "ACME": denied, "no tenant": denied,
	}
	for _, route := range []struct {
		method, path string
		want         map[string]string
		otherwise    string
	}{
		{"GET", "/whoami", nil, in},
		{"HEAD", "/whoami", nil, in},
		{"POST", "/whoami", nil, method},
		{"GET", "/reports", map[string]string{"no scope": scope, "write": scope, "wildcard": scope, "other": scope}, in},
		{"POST", "/reports", map[string]string{"no scope": scope, "read": scope, "wildcard": scope, "other": scope}, in},
		{"DELETE", "/reports", nil, method},
		{"GET", "/tenants/acme/reports", tenantReports, in},
		{"GET", "/tenants/globex/reports", map[string]string{"globex": in}, denied},
		{"GET", "/tenants/%61cme/reports", tenantReports, in},
		{"GET", "/tenants/*/reports", nil, denied},
		{"POST", "/tenants/acme/reports", nil, method},
		{"GET", "/", nil, none},
		{"GET", "/nothing", nil, none},
	} {
		for _, caller := range order {
			want := route.otherwise
			if w, ok := route.want[caller]; ok {
				want = w
			}
			var a answer
			if caller == "no caller" {
				want = missing
				a = p.do(route.method, route.path)
			} else {
				a = p.with(issuer.Token(callers[caller]), route.method, route.path)
			}
			if got := a.String(); got != want && (route.method != "HEAD" || got != want[:3]) {
				t.Errorf("%s %s, %s: %s, want %s", route.method, route.path, caller, got, want)
			}
		}
	}
}

// TestRejections compares responses and log for invalid credentials.
func TestRejections(t *testing.T) {
	t.Parallel()
	p, issuer := serve(t, nil)
	bearer := func(token string) []string { return []string{"Authorization", "Bearer " + p.secret(token)} }
	good := issuer.Token(reader)
	const (
		metadata     = `, resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"`
		challenge    = `Bearer realm="reports"` + metadata
		invalidToken = `Bearer realm="reports", error="invalid_token", error_description="The access token is expired, revoked, malformed or invalid for other reasons."` + metadata
		needsRead    = `Bearer realm="reports", error="insufficient_scope", error_description="The request requires higher privileges than the credential provides.", scope="reports:read"` + metadata
	)
	for _, test := range []struct {
		name                    string
		header                  []string
		query                   string
		want, reason, challenge string
	}{
		{"nothing", nil, "", "401 missing_credentials", "no_credentials", challenge},
		{"another scheme", []string{"Authorization", "Basic " + p.secret("YWxpY2U6b3BlbnNlc2FtZQ==")}, "", "401 missing_credentials", "credential_unclaimed", challenge},
		{"DPoP without dpop", []string{"Authorization", "DPoP " + p.secret(good)}, "", "401 missing_credentials", "credential_unclaimed", challenge},
		{"token in the query", nil, "?access_token=" + p.secret(good), "401 missing_credentials", "credential_in_url", challenge},
		{"token in a cookie", []string{"Cookie", "access_token=" + p.secret(good)}, "", "401 missing_credentials", "no_credentials", challenge},

		{"Bearer alone", []string{"Authorization", "Bearer"}, "", "400 invalid_request", "malformed_credentials", ""},
		{"Bearer and a space", []string{"Authorization", "Bearer "}, "", "400 invalid_request", "malformed_credentials", ""},
		{"two tokens in one", []string{"Authorization", "Bearer " + p.secret(good) + ", Bearer " + good}, "", "400 invalid_request", "malformed_credentials", ""},
		{"not b64token", []string{"Authorization", "Bearer " + p.secret("fourteen!signs")}, "", "400 invalid_request", "malformed_credentials", ""},
		{"two headers", append(bearer(good), bearer(good)...), "", "400 invalid_request", "several_credentials", ""},
		{"token in header and query", bearer(good), "?access_token=" + good, "400 invalid_request", "several_credentials", ""},

		{"a", bearer("a"), "", "401 invalid_token", "credential_unclaimed", invalidToken},
		{"a.b.c", bearer("a.b.c"), "", "401 invalid_token", "jwtauth_malformed", invalidToken},
		{"five parts", bearer("aaaaaaaa.bbbbbbbb.cccccccc.dddddddd.eeeeeeee"), "", "401 invalid_token", "credential_unclaimed", invalidToken},
		{"oversized", bearer(issuer.Token(authtest.Claims{"note": strings.Repeat("x", 6600)})), "", "401 invalid_token", "jwtauth_oversized", invalidToken},
		{"much oversized", bearer(issuer.Token(authtest.Claims{"note": strings.Repeat("x", 60_000)})), "", "401 invalid_token", "jwtauth_oversized", invalidToken},
		{"expired", bearer(issuer.ExpiredToken(reader)), "", "401 invalid_token", "jwtauth_expired", invalidToken},
		{"not yet valid", bearer(issuer.Token(authtest.Claims{"nbf": time.Now().Add(time.Hour).Unix()})), "", "401 invalid_token", "jwtauth_not_yet_valid", invalidToken},
		{"for too long", bearer(issuer.Token(authtest.Claims{"exp": time.Now().Add(25 * time.Hour).Unix()})), "", "401 invalid_token", "jwtauth_lifetime", invalidToken},
		{"signed with another key", bearer(issuer.ForeignToken(reader)), "", "401 invalid_token", "jwtauth_signature", invalidToken},
		{"not signed", bearer(issuer.UnsignedToken(reader)), "", "401 invalid_token", "jwtauth_algorithm", invalidToken},
		{"public key as secret", bearer(issuer.ConfusedToken(reader)), "", "401 invalid_token", "jwtauth_algorithm", invalidToken},
		{"ID token", bearer(issuer.IDToken(reader)), "", "401 invalid_token", "jwtauth_type", invalidToken},
		{"typ JWT", bearer(issuer.TokenWith(authtest.Header{"typ": "JWT"}, reader)), "", "401 invalid_token", "jwtauth_type", invalidToken},
		{"another issuer", bearer(authtest.NewIssuer(t).Token(reader)), "", "401 invalid_token", "jwtauth_issuer", invalidToken},
		{"another audience", bearer(issuer.Token(authtest.Claims{"aud": "https://mail.example.com"})), "", "401 invalid_token", "jwtauth_audience", invalidToken},
		{"sender-constrained", bearer(issuer.Token(authtest.Claims{"cnf": object{"jkt": "x"}})), "", "401 invalid_token", "credential_unconfirmed", invalidToken},
		{"no jti", bearer(issuer.Token(authtest.Claims{"jti": nil})), "", "401 invalid_token", "jwtauth_claims", invalidToken},
		{"no scope", bearer(issuer.Token(authtest.Claims{"scope": nil})), "", "403 insufficient_scope", "scopes_missing", needsRead},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := p.do("GET", "/reports"+test.query, test.header...)
			a.want(t, "GET /reports", test.want)
			if got := a.header.Get("WWW-Authenticate"); got != test.challenge || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("WWW-Authenticate = %s\nwant %s, and no-store in %v", got, test.challenge, a.header)
			}
			r := p.lastRejection()
			path := "/reports"
			if test.reason == "credential_in_url" {
				path = "" // it may contain a part of the credential
			}
			if r.Reason != test.reason || r.Error != a.code() || r.Status != a.status || r.Path != path {
				t.Errorf("log = %+v, want the reason %s", r, test.reason)
			}
			if strings.HasPrefix(test.reason, "jwtauth_") && !slices.Contains([]string{"jwtauth_malformed", "jwtauth_oversized", "jwtauth_issuer"}, test.reason) && r.Issuer != issuer.URL {
				t.Errorf("log: issuer = %q, want %q", r.Issuer, issuer.URL)
			}
		})
	}
	p.with(good, "GET", "/reports").want(t, "valid token", "200")
}

// TestPublicRoutes: public routes ignore credentials, also invalid ones.
func TestPublicRoutes(t *testing.T) {
	t.Parallel()
	p, issuer := serve(t, nil)
	for _, path := range []string{"/healthz", "/readyz", "/.well-known/oauth-protected-resource"} {
		for _, header := range [][]string{nil, {"Authorization", "Bearer " + p.secret(issuer.ExpiredToken(nil))}, {"Authorization", "Bearer"}} {
			p.do("GET", path, header...).want(t, path, "200")
		}
	}
}

// TestMetadata compares the RFC 9728 document and its paths.
func TestMetadata(t *testing.T) {
	t.Parallel()
	a, b := authtest.NewIssuer(t), authtest.NewIssuer(t)
	const wellKnown = "/.well-known/oauth-protected-resource"
	for resource, path := range map[string]string{
		"https://api.example.com": "", "https://api.example.com/": "", "http://127.0.0.1:8080": "",
		"https://api.example.com/v1": "/v1", "https://api.example.com/v1/api": "/v1/api",
	} {
		t.Run(resource, func(t *testing.T) {
			t.Parallel()
			p := start(t, configure([]object{trust(a, nil), trust(b, nil)}, object{"resource": resource}))
			for _, path := range []string{wellKnown, wellKnown + path} {
				p.do("GET", path).wantJSON(t, object{
					"resource": resource, "authorization_servers": []any{a.URL, b.URL},
					"scopes_supported": []any{"reports:read", "reports:write"}, "bearer_methods_supported": []any{"header"},
				})
			}
			// RFC 9728 §3.1: the challenge has the URL with the path of the resource.
			u := must(url.Parse(resource))
			if got, want := p.do("GET", "/whoami").header.Get("WWW-Authenticate"), u.Host+wellKnown+path+`"`; !strings.HasSuffix(got, want) {
				t.Errorf("WWW-Authenticate %s, want %s at the end", got, want)
			}
			p.do("GET", wellKnown+"/elsewhere").want(t, "metadata of another resource", "401 missing_credentials")
		})
	}
}

// TestIssuers: each kind of issuer configuration accepts the tokens that the issuer
// signed, and no others.
func TestIssuers(t *testing.T) {
	var issuers []*authtest.Issuer
	var configs []object
	add := func(config authtest.IssuerConfig, changes object) *authtest.Issuer {
		i := authtest.NewIssuer(t, config)
		issuers, configs = append(issuers, i), append(configs, trust(i, changes))
		return i
	}
	algorithms := []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
	add(authtest.IssuerConfig{Algorithms: algorithms}, nil)
	discovered := add(authtest.IssuerConfig{Algorithms: algorithms, Path: "/tenants/acme"}, object{"jwks_url": nil, "profile": "rfc9068"})
	compatible := add(authtest.IssuerConfig{Type: "JWT"}, object{"profile": "compat"})
	for _, algorithm := range []string{"HS256", "HS384", "HS512"} {
		i := add(authtest.IssuerConfig{Algorithms: []string{algorithm}}, nil)
		configs[len(configs)-1] = trust(i, object{"jwks_url": nil, "secret": "file:" + writeFile(t, algorithm, string(i.Secret.Reveal())+"\n")})
	}
	var inEnv *authtest.Issuer
	for inEnv == nil || strings.ContainsAny(string(inEnv.Secret.Reveal()), "\x00\n") { // no environment variable contains these
		inEnv = authtest.NewIssuer(t, authtest.IssuerConfig{Algorithms: []string{"HS256"}})
	}
	t.Setenv("HS_SECRET", string(inEnv.Secret.Reveal()))
	issuers, configs = append(issuers, inEnv), append(configs, trust(inEnv, object{"jwks_url": nil, "secret": "env:HS_SECRET"}))

	p := start(t, configure(configs, nil))
	for n, i := range issuers {
		p.secret(string(i.Secret.Reveal()))
		next := issuers[(n+1)%len(issuers)] // the keys of one issuer do not verify tokens of another
		for _, algorithm := range i.Algorithms {
			p.with(i.TokenWith(authtest.Header{"alg": algorithm}, reader), "GET", "/reports").want(t, algorithm, "200")
		}
		p.with(i.ForeignToken(reader), "GET", "/reports").want(t, "key of another issuer", "401 invalid_token")
		p.with(i.Token(authtest.Claims{"iss": next.URL}), "GET", "/reports").want(t, "name of another issuer", "401 invalid_token")
	}
	unusual := compatible.TokenWith(authtest.Header{"typ": nil}, authtest.Claims{"jti": nil, "client_id": nil, "iat": nil})
	p.with(unusual, "GET", "/whoami").want(t, "compat", "200")
	p.with(compatible.IDToken(nil), "GET", "/whoami").want(t, "compat, ID token", "401 invalid_token")
	p.with(discovered.TokenWith(authtest.Header{"typ": "JWT"}, nil), "GET", "/whoami").want(t, "rfc9068", "401 invalid_token")
}
