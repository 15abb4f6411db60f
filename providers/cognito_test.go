// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func cognitoProviders() []provider {
	const url = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12Cd"
	const client, machine = "4p26exampleclient", "7machineclient"
	published := discovered(url, url+"/.well-known/jwks.json", published()) // k2 is the key of ID tokens
	claims := object{
		"sub": oid, "iss": url, "client_id": client, "token_use": "access", "scope": "openid https://api.acme.example/read", "username": "ann",
		"origin_jti": "o1", "event_id": "e1", "jti": "j1", "device_key": "d1", "auth_time": in(0), "exp": in(24 * time.Hour), "iat": in(0), "version": 2,
		"cognito:groups": []string{"admins", "editors"},
	}
	header := object{"alg": "RS256", "kid": "k1"}
	idToken := object{"token_use": "id", "aud": client, "client_id": nil, "scope": nil, "username": nil, "cognito:username": "ann", "email": "ann@acme.example"}
	want := caller{gatehouse.KindUser, oid, "", client, "j1", "https://api.acme.example/read openid", "admins, editors"}
	service := object{"sub": machine, "client_id": machine, "scope": "https://api.acme.example/read", "username": nil, "cognito:groups": nil, "origin_jti": nil, "event_id": nil, "device_key": nil}
	return []provider{
		{
			name: "Cognito", issuer: cognito, documents: published, key: rsaKey(), header: header, claims: claims, want: want,
			tokens: []token{
				{name: "machine of another client", claims: service, reason: jwtauth.ReasonAudience, cause: client},
				{name: "machine", claims: service.and(object{"sub": client, "client_id": client}), want: caller{gatehouse.KindService, client, "", client, "j1", "https://api.acme.example/read", ""}},
				{name: "ID token", header: object{"kid": "k2"}, key: new(otherKey()), claims: idToken, reason: jwtauth.ReasonType, cause: "token_use"},
				{name: "ID token without aud", header: object{"kid": "k2"}, key: new(otherKey()), claims: idToken.and(object{"aud": nil, "client_id": client}), reason: jwtauth.ReasonType, cause: "token_use"},
				{name: "token without token_use", claims: object{"token_use": nil}, reason: jwtauth.ReasonType, cause: "token_use"},
				{name: "client of another application", claims: object{"client_id": "9otherclient"}, reason: jwtauth.ReasonAudience, cause: client},
				{name: "audience that the issuer does not have", claims: object{"aud": "https://other.example"}, reason: jwtauth.ReasonAudience},
				{name: "usual mistake: an audience", change: func(i *jwtauth.Issuer) { i.Clients, i.Audiences = nil, []string{client} }, reason: jwtauth.ReasonClaims, cause: "aud"},
			},
		},
		{
			name: "CognitoResource", issuer: cognitoResource, documents: published, key: rsaKey(), header: header,
			claims: claims.with(object{"aud": "https://api.acme.example"}), want: want,
			tokens: []token{
				{name: "machine", claims: service.and(object{"aud": nil}), want: caller{gatehouse.KindService, machine, "", machine, "j1", "https://api.acme.example/read", ""}},
				{name: "no aud", claims: object{"aud": nil}, reason: jwtauth.ReasonAudience},
				{name: "other resource", claims: object{"aud": "https://other.example"}, reason: jwtauth.ReasonAudience, cause: "https://api.acme.example"},
				{name: "machine for another resource", claims: service.and(object{"aud": "https://other.example"}), reason: jwtauth.ReasonAudience},
				{name: "ID token", header: object{"kid": "k2"}, key: new(otherKey()), claims: idToken, reason: jwtauth.ReasonType, cause: "token_use"},
				{name: "token without token_use", claims: object{"token_use": nil}, reason: jwtauth.ReasonType, cause: "token_use"},
			},
		},
	}
}
