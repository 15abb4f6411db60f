// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/providers"
)

func clerkProviders() []provider {
	const url = "https://clerk.acme.example"
	published := discovered(url, url+"/.well-known/jwks.json", keySet(rsaKey().jwk(object{"kid": "ins_1", "use": "sig", "alg": "RS256"})))
	header := object{"alg": "RS256", "typ": "JWT", "kid": "ins_1", "oiat": in(0), "cat": "cl_B7d4PD111AAA"}
	claims := object{
		"iss": url, "sub": "user_1", "sid": "sess_1", "azp": "https://app.acme.example", "jti": "j1", "exp": in(time.Minute), "iat": in(0), "nbf": in(-5 * time.Second),
		"v": 2, "fva": []int{7, -1}, "pla": "u:free", "fea": "o:dash", "sts": "active",
		"o": object{"id": "org_1", "slg": "acme", "rol": "admin", "per": "read,manage", "fpm": "3,2"},
	}
	want := caller{gatehouse.KindUser, "user_1", "org_1", "", "j1", "", "admin"}
	aud := object{"aud": "https://api.acme.example"}
	// kinds are the tokens that the same key signs, here with an audience of the issuer.
	withAudience := func(i *jwtauth.Issuer) { i.Audiences = []string{"https://api.acme.example"} }
	kinds := []token{
		{name: "template", header: object{"cat": "cl_B7d4PD222AAA"}, claims: object{"sid": nil, "o": nil}, reason: jwtauth.ReasonType, cause: "sid"},
		{name: "template with sid", header: object{"cat": "cl_B7d4PD222AAA"}, reason: jwtauth.ReasonType, cause: "cat"},
		{name: "template with audience", header: object{"cat": "cl_B7d4PD222AAA"}, claims: aud, change: withAudience, reason: jwtauth.ReasonType, cause: "cat"},
		{name: "M2M", header: object{"cat": "cl_B7d4PD333AAA"}, claims: object{"sub": "mch_1", "sid": nil, "azp": nil, "o": nil}, reason: jwtauth.ReasonType},
		{name: "M2M with audience", header: object{"cat": "cl_B7d4PD333AAA"}, claims: aud.and(object{"sub": "mch_1", "sid": nil, "azp": nil, "o": nil}), change: withAudience, reason: jwtauth.ReasonType},
		{name: "without cat", header: object{"cat": nil}, reason: jwtauth.ReasonType, cause: "cat"},
		{name: "session token without sid", claims: object{"sid": nil}, reason: jwtauth.ReasonType, cause: "sid"},
		{name: "OAuth access token", header: object{"typ": "at+jwt", "cat": "cl_I"}, claims: object{"client_id": "c1", "scope": "profile", "sid": nil}, reason: jwtauth.ReasonType},
		{name: "OAuth access token with the marks of a session", header: object{"typ": "at+jwt"}, reason: jwtauth.ReasonType, cause: "typ"},
		{name: "pending tasks", claims: object{"sts": "pending"}, reason: jwtauth.ReasonType, cause: "sts"},
		{name: "audience that the issuer does not have", claims: aud, reason: jwtauth.ReasonAudience},
		{name: "audience that the issuer has", claims: aud, change: withAudience, want: want},
		{name: "no organization", claims: object{"o": nil}, want: caller{gatehouse.KindUser, "user_1", "", "", "j1", "", ""}},
		{name: "template of ten years", header: object{"cat": "cl_B7d4PD222AAA"}, claims: object{"exp": in(87600 * time.Hour)}, reason: jwtauth.ReasonType},
		{name: "session of an hour", claims: object{"exp": in(time.Hour)}, reason: jwtauth.ReasonLifetime, cause: "10m"},
	}
	origins := []token{
		{name: "origin of another application", claims: object{"azp": "https://evil.acme.example"}, reason: jwtauth.ReasonType, cause: "azp"},
		{name: "no origin", claims: object{"azp": nil}, reason: jwtauth.ReasonType, cause: "azp"},
	}
	return []provider{
		{name: "Clerk", issuer: clerk, documents: published, key: rsaKey(), header: header, claims: claims, want: want, tokens: append(origins, kinds...)},
		{
			name: "Clerk for every origin", issuer: func() jwtauth.Issuer { return providers.Clerk(url) }, documents: published, key: rsaKey(),
			header: header, claims: claims, want: want, tokens: append([]token{{name: "native application", claims: object{"azp": nil}, want: want}}, kinds...),
		},
	}
}
