// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func oktaProviders() []provider {
	const url = "https://acme.okta.com/oauth2/default"
	return []provider{{
		name: "Okta", issuer: okta, key: rsaKey(),
		documents: discovered(url, url+"/v1/keys", keySet(rsaKey().jwk(object{"kid": "k1", "use": "sig", "alg": "RS256"}))),
		header:    object{"alg": "RS256", "kid": "k1"},
		claims: object{
			"ver": 1, "jti": "AT.x1", "iss": url, "aud": "https://api.acme.example", "iat": in(0), "exp": in(24 * time.Hour), "auth_time": in(0),
			"cid": "0oa1", "uid": "00u2", "scp": []string{"x.read", "openid"}, "sub": "ann@acme.example", "groups": []string{"Everyone", "Admins"},
		},
		want: caller{gatehouse.KindUser, "00u2", "", "0oa1", "AT.x1", "openid x.read", "Admins, Everyone"},
		tokens: []token{
			{name: "machine", claims: object{"sub": "0oa1", "uid": nil, "groups": nil, "auth_time": nil, "scp": []string{"x.read"}}, want: caller{gatehouse.KindService, "0oa1", "", "0oa1", "AT.x1", "x.read", ""}},
			{name: "ID token", claims: object{"jti": "ID.x1", "aud": "0oa1", "cid": nil, "uid": nil, "scp": nil, "sub": "00u2"}, reason: jwtauth.ReasonType, cause: "cid"},
			{name: "other API", claims: object{"aud": "https://other.example"}, reason: jwtauth.ReasonAudience, cause: "https://api.acme.example"},
			{
				name: "ID token, client ID as audience", claims: object{"jti": "ID.x1", "aud": "0oa1", "cid": nil, "uid": nil, "scp": nil, "sub": "00u2"},
				change: func(i *jwtauth.Issuer) { i.Audiences = []string{"0oa1"} }, reason: jwtauth.ReasonType, cause: "cid",
			},
			{
				name: "organization's authorization server", header: object{"typ": "application/okta-internal-at+jwt"}, key: new(otherKey()),
				claims: object{"iss": "https://acme.okta.com", "aud": "https://acme.okta.com"}, reason: jwtauth.ReasonIssuer, cause: url,
			},
			{
				name: "organization's authorization server, issuer of the settings", header: object{"typ": "application/okta-internal-at+jwt"}, key: new(otherKey()),
				claims: object{"iss": "https://acme.okta.com", "aud": "https://acme.okta.com"}, reason: jwtauth.ReasonType,
				change: func(i *jwtauth.Issuer) { i.URL = "https://acme.okta.com" },
			},
			{
				name: "organization's authorization server, no typ", key: new(otherKey()),
				claims: object{"iss": "https://acme.okta.com", "aud": "https://acme.okta.com"}, reason: jwtauth.ReasonIssuer, cause: url,
			},
			{name: "DPoP without a confirmer", claims: object{"cnf": object{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}, reason: gatehouse.ReasonUnconfirmed},
		},
	}}
}

func keycloakProviders() []provider {
	const url, local = "https://login.acme.example/realms/acme", "http://keycloak:8080/realms/acme"
	published := keySet(
		rsaKey().jwk(object{"kid": "k1", "use": "sig", "alg": "RS256", "x5c": []string{certificate()}, "x5t": "dGh1bWJwcmludA"}),
		otherKey().jwk(object{"kid": "k2", "use": "enc", "alg": "RSA-OAEP", "x5c": []string{certificate()}}),
	)
	claims := object{
		"iss": url, "aud": []string{"reports-api", "account"}, "sub": oid, "typ": "Bearer", "azp": "web", "exp": in(5 * time.Minute), "iat": in(0), "auth_time": in(0),
		"jti": "onrtac:0c2b", "sid": "s1", "acr": "1", "scope": "openid reports:read", "allowed-origins": []string{"https://app.acme.example"},
		"realm_access":    object{"roles": []string{"admin", "offline_access"}},
		"resource_access": object{"reports-api": object{"roles": []string{"editor"}}, "account": object{"roles": []string{"manage-account"}}},
		"email_verified":  true, "preferred_username": "ann", "email": "ann@acme.example", "name": "Ann",
	}
	user := caller{gatehouse.KindUser, oid, "", "web", "onrtac:0c2b", "openid reports:read", "admin, editor, offline_access"}
	account := object{
		"client_id": "batch", "azp": "batch", "clientHost": "192.0.2.1", "clientAddress": "192.0.2.1", "preferred_username": "service-account-batch",
		"sid": nil, "auth_time": nil, "email": nil, "name": nil, "resource_access": nil, "realm_access": nil, "scope": "reports:read",
	}
	service := caller{gatehouse.KindService, oid, "", "batch", "onrtac:0c2b", "reports:read", ""}
	return []provider{
		{
			name: "Keycloak", issuer: keycloak, key: rsaKey(), claims: claims, want: user,
			documents: discovered(url, url+"/protocol/openid-connect/certs", published),
			tokens: []token{
				{name: "service account", claims: account, want: service},
				{name: "user with the name of a service account", claims: object{"preferred_username": "service-account-batch"}, want: user},
				{name: "at+jwt", header: object{"typ": "at+jwt"}, want: user},
				{name: "before 25, with nonce", claims: object{"nonce": "n", "session_state": "s1"}, want: user},
				{name: "DPoP without a confirmer", claims: object{"typ": "DPoP", "cnf": object{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}, reason: gatehouse.ReasonUnconfirmed},
				{name: "no audience mapper", claims: object{"aud": "account"}, reason: jwtauth.ReasonAudience, cause: "reports-api"},
				{name: "ID token with the audience", claims: object{"typ": "ID", "at_hash": "h"}, reason: jwtauth.ReasonType, cause: "at_hash"},
				{name: "ID token with the audience, no hash", claims: object{"typ": "ID"}, reason: jwtauth.ReasonType, cause: "typ"},
				{name: "refresh token", header: object{"alg": "HS512"}, key: &key{"HS512", nil, []byte("any")}, claims: object{"typ": "Refresh", "aud": url}, reason: jwtauth.ReasonAlgorithm},
				{name: "offline token with the audience", claims: object{"typ": "Offline"}, reason: jwtauth.ReasonType, cause: "typ"},
				{name: "logout token with the audience", claims: object{"typ": "Logout"}, reason: jwtauth.ReasonType},
				{name: "token without typ", claims: object{"typ": nil}, reason: jwtauth.ReasonType, cause: "typ"},
				{name: "token of the host name of the request", claims: object{"iss": local}, reason: jwtauth.ReasonIssuer, cause: url},
				{name: "encryption key", header: object{"kid": "k2"}, key: new(otherKey()), reason: jwtauth.ReasonKey},
			},
		},
		{
			name: "Keycloak on plain http", issuer: keycloakHTTP, key: rsaKey(), claims: claims.with(object{"iss": local}), want: user,
			documents: discovered(local, local+"/protocol/openid-connect/certs", published),
			tokens: []token{
				{name: "service account", claims: account, want: service},
				{name: "before 25, with nonce, no hash", claims: object{"typ": "ID", "nonce": "n"}, reason: jwtauth.ReasonType},
				{name: "token without typ", claims: object{"typ": nil}, reason: jwtauth.ReasonType, cause: "typ"},
			},
		},
	}
}

func zitadelProviders() []provider {
	const url, project = "https://acme.zitadel.cloud", "267912345678901234"
	const roles = "urn:zitadel:iam:org:project:" + project + ":roles"
	idToken := object{"jti": nil, "azp": "17@p", "auth_time": in(0), "amr": []string{"pwd"}}
	return []provider{{
		name: "Zitadel", issuer: zitadel, key: rsaKey(),
		documents: discovered(url, url+"/oauth/v2/keys", keySet(rsaKey().jwk(object{"kid": "k1", "use": "sig", "alg": "RS256"}))),
		claims: object{
			"iss": url, "sub": "23456", "aud": []string{"17@p", project}, "jti": "V2_x1", "exp": in(12 * time.Hour), "iat": in(0), "nbf": in(0), "client_id": "17@p",
			roles:                                   object{"admin": object{"99": "acme.example"}, "editor": object{"98": "other.example", "99": "acme.example"}},
			"urn:zitadel:iam:user:resourceowner:id": "99", "urn:zitadel:iam:user:resourceowner:name": "Acme",
		},
		want: caller{gatehouse.KindUser, "23456", "99", "17@p", "V2_x1", "", "admin, editor"},
		tokens: []token{
			{name: "ID token, same audience", claims: idToken, reason: jwtauth.ReasonType, cause: "jti"},
			{name: "ID token with hash", claims: idToken.and(object{"at_hash": "h"}), reason: jwtauth.ReasonType},
			{
				name: "role that another organization gave for itself", claims: object{roles: object{"admin": object{"98": "other.example"}, "editor": object{"99": "acme.example"}}},
				want: caller{gatehouse.KindUser, "23456", "99", "17@p", "V2_x1", "", "editor"},
			},
			{
				name: "no role but those of another organization", claims: object{roles: object{"admin": object{"98": "other.example"}}},
				reason: jwtauth.ReasonClaims, cause: "organization",
			},
			{name: "role of no organization", claims: object{roles: object{"admin": object{}}}, reason: jwtauth.ReasonClaims, cause: "organization"},
			{name: "empty roles", claims: object{roles: object{}}, reason: jwtauth.ReasonClaims, cause: "no role"},
			{name: "empty roles, no organization", claims: object{roles: object{}, "urn:zitadel:iam:user:resourceowner:id": nil}, reason: jwtauth.ReasonClaims, cause: "no role"},
			{
				name: "without the organization", claims: object{"urn:zitadel:iam:user:resourceowner:id": nil},
				want: caller{gatehouse.KindUser, "23456", "", "17@p", "V2_x1", "", "admin, editor"},
			},
			{name: "service user of another project, no role", claims: object{roles: nil}, reason: jwtauth.ReasonType, cause: roles},
			{name: "opaque token", compact: "V2_2345-at_6789:invented-opaque-token", reason: gatehouse.ReasonMalformedCredentials},
			{name: "other project", claims: object{"aud": []string{"17@p", "18"}}, reason: jwtauth.ReasonAudience, cause: project},
		},
	}}
}
