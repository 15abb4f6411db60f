// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func googleProviders() []provider {
	const certs = "https://www.googleapis.com/oauth2/v3/certs"
	claims := object{
		"iss": "https://accounts.google.com", "aud": "https://api.acme.example", "azp": "1137", "sub": "1137", "email": "sa@p.iam.gserviceaccount.com",
		"email_verified": true, "iat": in(0), "exp": in(time.Hour),
	}
	header := object{"alg": "RS256", "typ": "JWT", "kid": "k1"}
	removed := rsaKey().sign(header, claims)
	removed = removed[:strings.LastIndex(removed, ".")+1] + "SIGNATURE_REMOVED_BY_GOOGLE"
	person := object{"azp": "123-web.apps.googleusercontent.com", "sub": "118", "email": "ann@acme.example", "hd": "acme.example"}
	iapClaims := object{
		"iss": "https://cloud.google.com/iap", "aud": "/projects/123/global/backendServices/456", "sub": "accounts.google.com:118", "email": "ann@acme.example",
		"hd": "acme.example", "iat": in(0), "exp": in(10 * time.Minute), "google": object{"access_levels": []string{"accessPolicies/1/accessLevels/office"}},
	}
	account := func(name string, kind gatehouse.Kind, sub, email string) token { // of IAP, without a domain
		return token{name: name, claims: object{"sub": sub, "email": email, "hd": nil, "google": nil}, want: caller{kind, sub, "", "", "", "", ""}}
	}
	return []provider{
		{
			name: "GoogleServiceAccount", issuer: googleServiceAccount, key: rsaKey(), claims: claims, header: header,
			documents: discovered("https://accounts.google.com", certs, published()),
			want:      caller{gatehouse.KindService, "1137", "", "1137", "", "", ""},
			tokens: []token{
				{name: "ID token of a person", claims: person, reason: jwtauth.ReasonType, cause: "azp"},
				{name: "ID token of a person with hash", claims: person.and(object{"at_hash": "h"}), reason: jwtauth.ReasonType},
				{name: "signature cut by Cloud Run", compact: removed, reason: jwtauth.ReasonSignature, cause: "removed by Google Cloud"},
				{name: "issuer without scheme", claims: object{"iss": "accounts.google.com"}, reason: jwtauth.ReasonIssuer, cause: "https://accounts.google.com"},
				{name: "other audience", claims: object{"aud": "https://other.example"}, reason: jwtauth.ReasonAudience, cause: "https://api.acme.example"},
				{name: "access token", compact: "ya29.invented-opaque-access-token", reason: gatehouse.ReasonUnclaimed},
			},
		},
		{
			name: "IAP", issuer: iap, key: ecKey(), claims: iapClaims, header: object{"alg": "ES256", "typ": "JWT", "kid": "e1"},
			documents: documents{"https://www.gstatic.com/iap/verify/public_key-jwk": keySet(ecKey().jwk(object{"kid": "e1", "use": "sig", "alg": "ES256"})), certs: published()},
			want:      caller{gatehouse.KindUser, "accounts.google.com:118", "acme.example", "", "", "", "accessPolicies/1/accessLevels/office"},
			tokens: []token{
				account("service account", gatehouse.KindService, "accounts.google.com:119", "sa@p.iam.gserviceaccount.com"),
				account("external identity with the email of a service account", gatehouse.KindUser, "securetoken.google.com/p/t:u1", "sa@p.iam.gserviceaccount.com"),
				account("domain that only looks like that of service accounts", gatehouse.KindUser, "accounts.google.com:119", "a@p.iam.gserviceaccount.com.example"),
				account("domain that ends like that of service accounts", gatehouse.KindUser, "accounts.google.com:119", "a@xgserviceaccount.com"),
				{name: "ID token of Google", header: header, key: new(rsaKey()), claims: claims, reason: jwtauth.ReasonIssuer},
				{name: "keys of oauth2/v3", header: object{"kid": "k1"}, reason: jwtauth.ReasonKey},
				{
					name:   "usual mistake: keys of oauth2/v3 in the settings",
					change: func(i *jwtauth.Issuer) { i.Keys = jwtauth.RemoteKeys(certs) }, reason: jwtauth.ReasonKeysUnavailable, cause: "no key for Issuer.Algorithms",
				},
				{name: "other service", claims: object{"aud": "/projects/123/global/backendServices/457"}, reason: jwtauth.ReasonAudience},
				{name: "lifetime of an hour", claims: object{"exp": in(time.Hour)}, reason: jwtauth.ReasonLifetime, cause: "15m"},
			},
		},
	}
}

func firebaseProviders() []provider {
	const project = "acme-1a2b3"
	const url, cookie = "https://securetoken.google.com/" + project, "https://session.firebase.google.com/" + project
	claims := object{
		"iss": url, "aud": project, "sub": "Uid1", "user_id": "Uid1", "auth_time": in(-time.Hour), "iat": in(0), "exp": in(time.Hour),
		"email": "ann@acme.example", "email_verified": true, "name": "Ann", "picture": "https://p.example/1",
		"firebase": object{"sign_in_provider": "password", "tenant": "t1", "identities": object{"email": []string{"ann@acme.example"}}}, "roles": []string{"admin"},
	}
	want := caller{gatehouse.KindUser, "Uid1", "t1", "", "", "", "admin"}
	anonymous := object{"email": nil, "email_verified": nil, "firebase": object{"sign_in_provider": "anonymous", "identities": object{}}, "provider_id": "anonymous"}
	custom := object{
		"iss": "sa@acme-1a2b3.iam.gserviceaccount.com", "sub": "sa@acme-1a2b3.iam.gserviceaccount.com", "uid": "Uid1",
		"aud": "https://identitytoolkit.googleapis.com/google.identity.identitytoolkit.v1.IdentityToolkit", "user_id": nil, "firebase": nil, "auth_time": nil,
	}
	return []provider{
		{
			name: "Firebase", issuer: firebase, key: rsaKey(), claims: claims, want: want,
			documents: documents{"https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com": published()},
			tokens: []token{
				{name: "anonymous user", claims: anonymous, reason: jwtauth.ReasonType, cause: "sign_in_provider"},
				{name: "token without sign_in_provider", claims: object{"firebase": nil}, reason: jwtauth.ReasonType, cause: "sign_in_provider"},
				{name: "custom token", header: object{"kid": nil}, key: new(otherKey()), claims: custom, reason: jwtauth.ReasonIssuer, cause: url},
				{name: "blocking token", claims: object{"aud": "https://us-central1-acme-1a2b3.cloudfunctions.net/beforeCreate", "event_type": "beforeCreate", "firebase": nil}, reason: jwtauth.ReasonType, cause: "sign_in_provider"},
				{name: "blocking token with sign_in_provider", claims: object{"aud": "https://us-central1-acme-1a2b3.cloudfunctions.net/beforeSignIn"}, reason: jwtauth.ReasonAudience, cause: project},
				{name: "session cookie", claims: object{"iss": cookie}, reason: jwtauth.ReasonIssuer, cause: url},
				{name: "token of the emulator", header: object{"alg": "none", "kid": nil}, key: new(key), reason: jwtauth.ReasonAlgorithm},
				{name: "other project", claims: object{"iss": "https://securetoken.google.com/other", "aud": "other"}, reason: jwtauth.ReasonIssuer, cause: url},
			},
		},
		{
			name: "FirebaseCookie", issuer: firebaseCookie, key: rsaKey(), claims: claims.with(object{"iss": cookie, "exp": in(7 * 24 * time.Hour)}), want: want,
			documents: documents{"https://identitytoolkit.googleapis.com/v1/sessionCookiePublicKeys": published()},
			tokens: []token{
				{name: "anonymous user", claims: anonymous, reason: jwtauth.ReasonType, cause: "sign_in_provider"},
				{name: "token without sign_in_provider", claims: object{"firebase": nil}, reason: jwtauth.ReasonType, cause: "sign_in_provider"},
				{name: "ID token", claims: object{"iss": url, "exp": in(time.Hour)}, reason: jwtauth.ReasonIssuer, cause: cookie},
				{name: "cookie of 14 days", claims: object{"exp": in(14 * 24 * time.Hour)}, reason: jwtauth.ReasonLifetime, cause: "168h"},
			},
		},
	}
}
