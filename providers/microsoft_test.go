// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const (
	apiID   = "0d5d1b5a-3c1e-4b58-8f0e-0f5f3d1f2a11"
	webID   = "5ae9bb0c-18c0-4f6a-9f4c-3d2b1a0c9e88"
	oid     = "6c8b7d53-2f1a-4a3e-9c55-1f2e3d4c5b6a"
	subject = "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ"
)

// groups returns as many group IDs as Entra puts into a token.
func groups(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("6c8b7d53-2f1a-4a3e-9c55-%012d", i)
	}
	return ids
}

func entraProviders() []provider {
	const v2, v1 = "https://login.microsoftonline.com/" + tenantID + "/v2.0", "https://sts.windows.net/" + tenantID + "/"
	published := keySet(rsaKey().jwk(object{"kid": "k1", "use": "sig", "x5t": "k1", "x5c": []string{certificate()}, "issuer": v2})) // no alg
	claims := object{
		"iss": v2, "aud": apiID, "iat": in(-5 * time.Minute), "nbf": in(-5 * time.Minute), "exp": in(80 * time.Minute),
		"tid": tenantID, "oid": oid, "sub": subject, "azp": webID, "azpacr": "1", "preferred_username": "ann@acme.example", "name": "Ann",
		"scp": "x.read x.write", "roles": []string{"X.Read"}, "groups": groups(3), "ver": "2.0", "uti": "u", "rh": "r", "aio": "a",
	}
	app := object{"scp": nil, "preferred_username": nil, "name": nil, "groups": nil, "idtyp": "app", "sub": oid}
	// An ID token for the same application from the token endpoint has no hash, and a
	// nonce only if the client sent one.
	idToken := object{"azp": nil, "azpacr": nil, "scp": nil, "sub": "another-pairwise-subject"}
	v1Claims := object{
		"iss": v1, "aud": "api://acme.example/api", "ver": "1.0", "azp": nil, "azpacr": nil, "preferred_username": nil,
		"appid": webID, "appidacr": "1", "unique_name": "ann@acme.example", "upn": "ann@acme.example", "ipaddr": "192.0.2.1", "acr": "1", "amr": []string{"pwd"},
	}
	const otherTenant = "11111111-2222-3333-4444-555555555555"
	user := caller{gatehouse.KindUser, subject, tenantID, webID, "", "x.read x.write", "X.Read"}
	service := caller{gatehouse.KindService, oid, tenantID, webID, "", "", "X.Read"}
	external := "https://" + tenantID + ".ciamlogin.com/" + tenantID
	return []provider{
		{
			name: "EntraV2", issuer: entraV2, key: rsaKey(), claims: claims, want: user,
			documents: discovered(v2, "https://login.microsoftonline.com/"+tenantID+"/discovery/v2.0/keys", published),
			tokens: []token{
				{name: "application", claims: app, want: service},
				{name: "application without a role", claims: app.and(object{"roles": nil}), want: caller{gatehouse.KindService, oid, tenantID, webID, "", "", ""}},
				{name: "continuous access evaluation", claims: object{"exp": in(28 * time.Hour), "xms_cc": []string{"cp1"}}, want: user},
				{name: "200 groups", claims: object{"groups": groups(200)}, want: user},
				{name: "more than 200 groups", claims: object{"groups": nil, "_claim_names": object{"groups": "src1"}, "_claim_sources": object{"src1": object{"endpoint": "https://graph.example"}}}, want: user},
				{name: "ID token of the same application", claims: idToken, reason: jwtauth.ReasonType, cause: "azp"},
				{name: "ID token with nonce", claims: idToken.and(object{"nonce": "n"}), reason: jwtauth.ReasonType},
				{name: "version 1", header: object{"x5t": "k1"}, claims: v1Claims, reason: jwtauth.ReasonIssuer, cause: v2},
				{name: "other tenant", claims: object{"tid": otherTenant}, reason: jwtauth.ReasonTenant},
				{name: "issuer of another tenant", claims: object{"iss": "https://login.microsoftonline.com/" + otherTenant + "/v2.0"}, reason: jwtauth.ReasonIssuer},
				{name: "other API", claims: object{"aud": "00000003-0000-0000-c000-000000000000"}, reason: jwtauth.ReasonAudience, cause: apiID},
			},
		},
		{
			name: "EntraV1", issuer: entraV1, key: rsaKey(), claims: claims.with(v1Claims), want: user,
			documents: documents{"https://login.microsoftonline.com/" + tenantID + "/discovery/keys": published},
			header:    object{"alg": "RS256", "typ": "JWT", "kid": "k1", "x5t": "k1"},
			tokens: []token{
				{name: "audience with a slash", claims: object{"aud": "api://acme.example/api/"}, want: user},
				{name: "managed identity", claims: app.and(object{"upn": nil, "unique_name": nil, "iat": in(0), "nbf": in(0), "exp": in(86_700 * time.Second)}), want: service},
				{name: "200 groups", claims: object{"groups": groups(200)}, want: user},
				{name: "ID token of the same application", claims: object{"appid": nil, "appidacr": nil, "scp": nil}, reason: jwtauth.ReasonType, cause: "appid"},
				{name: "version 2", claims: object{"iss": v2, "ver": "2.0", "appid": nil, "appidacr": nil, "azp": webID}, reason: jwtauth.ReasonIssuer, cause: v1},
				{name: "other tenant", claims: object{"tid": otherTenant}, reason: jwtauth.ReasonTenant},
			},
		},
		{
			name: "EntraExternal", issuer: entraExternal, key: rsaKey(), want: user,
			claims:    claims.with(object{"iss": external + "/v2.0"}),
			documents: documents{external + "/discovery/v2.0/keys": published},
			tokens: []token{
				{name: "application", claims: app, want: service},
				{name: "ID token of the same application", claims: idToken, reason: jwtauth.ReasonType, cause: "azp"},
				{name: "named issuer", claims: object{"iss": "https://acme.ciamlogin.com/" + tenantID + "/v2.0"}, reason: jwtauth.ReasonIssuer, cause: external},
				{name: "other tenant", claims: object{"tid": otherTenant}, reason: jwtauth.ReasonTenant},
				{name: "continuous access evaluation", claims: object{"exp": in(28 * time.Hour), "groups": groups(200)}, want: user},
			},
		},
		{
			name: "EntraB2C", issuer: entraB2C, key: rsaKey(),
			documents: documents{"https://acme.b2clogin.com/acme.onmicrosoft.com/b2c_1_in/discovery/v2.0/keys": published},
			claims: object{
				"iss": "https://acme.b2clogin.com/" + tenantID + "/v2.0/", "aud": apiID, "iat": in(0), "nbf": in(0), "exp": in(24 * time.Hour),
				"sub": oid, "azp": webID, "scp": "read write", "auth_time": in(0), "tfp": "b2c_1_in", "ver": "1.0",
			},
			want: caller{gatehouse.KindUser, oid, "", webID, "", "read write", ""},
			tokens: []token{
				{name: "ID token of the same application", claims: object{"azp": nil, "scp": nil, "name": "Ann"}, reason: jwtauth.ReasonType, cause: "azp"},
				{name: "other policy", claims: object{"tfp": "b2c_1_reset"}, reason: jwtauth.ReasonType, cause: "tfp"},
				{name: "issuer with the policy", claims: object{"iss": "https://acme.b2clogin.com/tfp/" + tenantID + "/b2c_1_in/v2.0/"}, reason: jwtauth.ReasonIssuer, cause: "b2clogin.com"},
			},
		},
	}
}

func adfsProviders() []provider {
	return []provider{{
		name: "ADFS", issuer: adfs, key: rsaKey(),
		documents: documents{"https://sts.acme.example/adfs/discovery/keys": keySet(rsaKey().jwk(object{"kid": "k1", "use": "sig", "alg": "RS256", "x5t": "k1", "x5c": []string{certificate()}}))},
		header:    object{"alg": "RS256", "typ": "JWT", "kid": "k1", "x5t": "k1"},
		claims: object{
			"iss": "http://sts.acme.example/adfs/services/trust", "aud": "https://api.acme.example", "sub": subject, "appid": webID, "apptype": "Confidential",
			"authmethod": "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "auth_time": "2026-11-28T03:00:00.000Z",
			"scp": "read openid", "ver": "1.0", "iat": in(0), "nbf": in(0), "exp": in(time.Hour), "upn": "ann@acme.example", "role": []string{"Admins"},
		},
		want: caller{gatehouse.KindUser, subject, "", webID, "", "openid read", "Admins"},
		tokens: []token{
			{name: "machine", claims: object{"sub": "s1", "upn": nil, "role": nil}, want: caller{gatehouse.KindService, "s1", "", webID, "", "openid read", ""}},
			{name: "ID token", claims: object{"iss": "https://sts.acme.example/adfs", "appid": nil, "scp": nil}, reason: jwtauth.ReasonIssuer, cause: "http://sts.acme.example/adfs/services/trust"},
			{name: "login without resource", claims: object{"aud": "urn:microsoft:userinfo"}, reason: jwtauth.ReasonAudience, cause: "https://api.acme.example"},
		},
	}}
}
