// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const supabaseSecret = "kZ0u7Jw3Qy9Xc5Vb1Nm8As4Df6Gh2Lp0"

func supabaseProviders() []provider {
	const url = "https://abcdefghijklmnopqrst.supabase.co/auth/v1"
	claims := object{
		"iss": url, "sub": oid, "aud": "authenticated", "exp": in(time.Hour), "iat": in(0), "role": "authenticated", "email": "ann@acme.example", "phone": "",
		"app_metadata": object{"provider": "email", "providers": []string{"email"}, "tenant": "acme"}, "user_metadata": object{"tenant": "globex"},
		"aal": "aal1", "amr": []object{{"method": "password", "timestamp": in(0)}}, "session_id": "5f7a", "is_anonymous": false,
	}
	others := []token{
		{name: "session of a week", claims: object{"exp": in(7 * 24 * time.Hour)}, want: caller{gatehouse.KindUser, oid, "acme", "", "", "", "authenticated"}},
		{name: "anonymous user", claims: object{"is_anonymous": true, "email": ""}, reason: jwtauth.ReasonType, cause: "is_anonymous"},
		{name: "third-party OAuth client", claims: object{"client_id": "c1", "scope": "openid"}, reason: jwtauth.ReasonType, cause: "client_id"},
		{name: "token without a session", claims: object{"session_id": nil}, reason: jwtauth.ReasonType, cause: "session_id"},
		{name: "ID token", claims: object{"aud": "c1", "auth_time": in(0), "role": nil, "session_id": nil, "nonce": "n"}, reason: jwtauth.ReasonType},
		{name: "ID token without nonce", claims: object{"aud": "c1", "auth_time": in(0), "role": nil, "session_id": nil}, reason: jwtauth.ReasonType, cause: "session_id"},
		{name: "anon", claims: object{"iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": "anon", "sub": nil, "aud": nil, "exp": in(87600 * time.Hour)}, reason: jwtauth.ReasonIssuer, cause: url},
		{name: "service_role", claims: object{"iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": "service_role", "sub": nil, "aud": nil, "exp": in(87600 * time.Hour)}, reason: jwtauth.ReasonIssuer, cause: url},
	}
	want := caller{gatehouse.KindUser, oid, "acme", "", "", "", "authenticated"}
	secret := key{"HS256", nil, []byte(supabaseSecret)}
	published := discovered(url, url+"/.well-known/jwks.json", keySet(ecKey().jwk(object{"kid": "e1", "use": "sig", "alg": "ES256", "key_ops": []string{"verify"}, "ext": true})))
	return []provider{
		{
			name: "Supabase", issuer: supabase, key: ecKey(), claims: claims, want: want, documents: published,
			header: object{"alg": "ES256", "typ": "JWT", "kid": "e1"},
			tokens: append([]token{{name: "legacy secret after the rotation", header: object{"alg": "HS256", "kid": "l1"}, key: &secret, reason: jwtauth.ReasonAlgorithm, cause: "ES256"}}, others...),
		},
		{
			name: "SupabaseLegacy", key: secret, documents: documents{}, claims: claims, want: caller{gatehouse.KindUser, oid, "", "", "", "", "authenticated"},
			issuer: func() jwtauth.Issuer { return supabaseLegacy(gatehouse.NewSecret([]byte(supabaseSecret))) },
			header: object{"alg": "HS256", "typ": "JWT", "kid": "l1"},
			tokens: append([]token{{name: "signing keys", header: object{"alg": "ES256", "kid": "e1"}, key: new(ecKey()), reason: jwtauth.ReasonAlgorithm, cause: "HS256"}}, others[1:]...),
		},
	}
}
