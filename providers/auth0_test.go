// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func auth0Providers() []provider {
	const url = "https://acme.eu.auth0.com/"
	keys := discovered(url, url+".well-known/jwks.json", keySet(
		rsaKey().jwk(object{"kid": "k1", "use": "sig", "alg": "RS256", "x5t": "dGh1bWJwcmludA", "x5c": []string{certificate()}}),
		otherKey().jwk(object{"kid": "k2", "use": "sig", "alg": "RS256"}), // the next one
	))
	claims := object{
		"iss": url, "sub": "auth0|65f0", "aud": []string{"https://api.acme.example", url + "userinfo"}, "azp": "xY1",
		"iat": in(0), "exp": in(24 * time.Hour), "scope": "openid read:x", "permissions": []string{"read:x", "write:x"},
		"org_id": "org_9", "https://acme.example/roles": []string{"admin"},
	}
	idToken := object{
		"aud": "xY1", "azp": nil, "scope": nil, "permissions": nil, "exp": in(10 * time.Hour),
		"sid": "s1", "name": "Ann", "email": "ann@acme.example", "email_verified": true,
	}
	clientAsAudience := func(i *jwtauth.Issuer) { i.Audiences = []string{"xY1"} }
	user := caller{gatehouse.KindUser, "auth0|65f0", "org_9", "xY1", "", "openid read:x write:x", "admin"}
	const jwe = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwiaXNzIjoiaHR0cHM6Ly9hY21lLmV1LmF1dGgwLmNvbS8ifQ..aXYaXYaXYaXYaXYa.Y2lwaGVydGV4dA.dGFndGFndGFndGFndGFndA"
	return []provider{
		{
			name: "Auth0", issuer: auth0, documents: keys, key: rsaKey(), want: user,
			header: object{"alg": "RS256", "typ": "JWT", "kid": "k1"}, claims: claims,
			tokens: []token{
				{
					name:   "machine",
					claims: object{"sub": "xY1@clients", "aud": "https://api.acme.example", "gty": "client-credentials", "scope": "read:x", "permissions": nil, "org_id": nil, "https://acme.example/roles": nil},
					want:   caller{gatehouse.KindService, "xY1@clients", "", "xY1", "", "read:x", ""},
				},
				{name: "one permission of RBAC, no scope", claims: object{"scope": nil, "permissions": []string{"read:x"}}, want: caller{gatehouse.KindUser, "auth0|65f0", "org_9", "xY1", "", "read:x", "admin"}},
				{name: "ID token", claims: idToken, reason: jwtauth.ReasonType, cause: "azp"},
				{name: "other API", claims: object{"aud": "https://other.example"}, reason: jwtauth.ReasonAudience, cause: "https://api.acme.example"},
				{name: "ID token, client ID as audience", claims: idToken, change: clientAsAudience, reason: jwtauth.ReasonType, cause: "azp"},
				{name: "ID token with nonce, client ID as audience", claims: idToken.and(object{"nonce": "n"}), change: clientAsAudience, reason: jwtauth.ReasonType},
				{name: "login without audience: JWE", compact: jwe, reason: gatehouse.ReasonUnclaimed},
				{name: "refresh token", compact: "v1.MWludmVudGVkLXJlZnJlc2gtdG9rZW4", reason: gatehouse.ReasonUnclaimed},
				{name: "RFC 9068 dialect", header: object{"typ": "at+jwt"}, claims: object{"azp": nil, "client_id": "xY1", "jti": "73Wa"}, reason: jwtauth.ReasonType, cause: "azp"},
				{name: "lifetime of 30 days", claims: object{"exp": in(30 * 24 * time.Hour)}, reason: jwtauth.ReasonLifetime, cause: "25h"},
				{name: "other tenant", claims: object{"iss": "https://other.eu.auth0.com/"}, reason: jwtauth.ReasonIssuer, cause: url},
				{name: "issuer without slash", claims: object{"iss": "https://acme.eu.auth0.com"}, reason: jwtauth.ReasonIssuer, cause: "slash"},
			},
		},
		{
			name: "Auth0RFC9068", issuer: auth0RFC9068, documents: keys, key: rsaKey(),
			header: object{"alg": "RS256", "typ": "at+jwt", "kid": "k1"},
			claims: claims.with(object{"azp": nil, "client_id": "xY1", "jti": "73Wa"}),
			want:   caller{gatehouse.KindUser, "auth0|65f0", "org_9", "xY1", "73Wa", "openid read:x write:x", ""},
			tokens: []token{
				{
					name:   "machine",
					claims: object{"sub": "xY1@clients", "gty": "client-credentials", "scope": "read:x", "permissions": nil, "org_id": nil},
					want:   caller{gatehouse.KindService, "xY1@clients", "", "xY1", "73Wa", "read:x", ""},
				},
				{name: "Auth0 dialect", header: object{"typ": "JWT"}, claims: object{"azp": "xY1", "client_id": nil, "jti": nil}, reason: jwtauth.ReasonType, cause: "at+jwt"},
				{name: "ID token, client ID as audience", header: object{"typ": "JWT"}, claims: idToken, change: clientAsAudience, reason: jwtauth.ReasonType},
			},
		},
	}
}
