// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

func kubernetesProviders() []provider {
	const url, keys = "https://kubernetes.default.svc.cluster.local", "https://kubernetes.default.svc/openid/v1/jwks"
	claims := object{
		"iss": url, "sub": "system:serviceaccount:shop:sa", "aud": []string{"https://api.acme.example"}, "exp": in(3607 * time.Second), "iat": in(0), "nbf": in(0), "jti": "j1",
		"kubernetes.io": object{
			"namespace": "shop", "serviceaccount": object{"name": "sa", "uid": "u"}, "pod": object{"name": "web-1", "uid": "p"},
			"node": object{"name": "n1", "uid": "n"}, "warnafter": in(time.Hour),
		},
	}
	want := caller{gatehouse.KindService, "system:serviceaccount:shop:sa", "shop", "", "j1", "", ""}
	server := []string{"https://kubernetes.default.svc.cluster.local", "k3s"}
	return []provider{{
		name: "Kubernetes", issuer: kubernetes, key: rsaKey(), claims: claims, want: want, header: object{"alg": "RS256", "kid": "k1"},
		documents: documents{keys: keySet(
			rsaKey().jwk(object{"kid": "k1", "use": "sig", "alg": "RS256"}), ecKey().jwk(object{"kid": "e1", "use": "sig", "alg": "ES256"}),
		)},
		tokens: []token{
			{name: "ES256", header: object{"alg": "ES256", "kid": "e1"}, key: new(ecKey()), want: want},
			{name: "a day", claims: object{"exp": in(24 * time.Hour)}, want: want},
			{name: "default mount", claims: object{"aud": server, "exp": in(8760 * time.Hour)}, reason: jwtauth.ReasonAudience, cause: "https://api.acme.example"},
			{
				name: "default mount, the audience of the API server in the settings", claims: object{"aud": server, "exp": in(8760 * time.Hour)},
				change: func(i *jwtauth.Issuer) { i.Audiences = server[:1] }, reason: jwtauth.ReasonLifetime, cause: "24h",
			},
			{
				name:   "legacy token",
				claims: object{"iss": "kubernetes/serviceaccount", "aud": nil, "exp": nil, "kubernetes.io": nil, "kubernetes.io/serviceaccount/namespace": "shop"},
				reason: jwtauth.ReasonIssuer, cause: url,
			},
			{
				name:   "key set that needs a role",
				change: func(i *jwtauth.Issuer) { i.Keys = jwtauth.RemoteKeys("https://10.0.0.1/openid/v1/jwks") }, reason: jwtauth.ReasonKeysUnavailable, cause: "404",
			},
		},
	}}
}

func gitHubProviders() []provider {
	const url = "https://token.actions.githubusercontent.com"
	claims := object{
		"iss": url, "sub": "repo:acme/shop:ref:refs/heads/main", "aud": "https://api.acme.example", "jti": "j1", "exp": in(5 * time.Minute), "iat": in(0), "nbf": in(-5 * time.Minute),
		"repository": "acme/shop", "repository_id": "77", "repository_owner": "acme", "repository_owner_id": "1234567", "repository_visibility": "private",
		"ref": "refs/heads/main", "ref_type": "branch", "sha": "f1", "workflow": "deploy", "workflow_ref": "acme/shop/.github/workflows/deploy.yml@refs/heads/main",
		"event_name": "push", "actor": "ann", "actor_id": "5", "run_id": "1", "run_number": "1", "run_attempt": "1", "runner_environment": "github-hosted",
	}
	return []provider{{
		name: "GitHubActions", issuer: gitHubActions, key: rsaKey(), claims: claims, header: object{"alg": "RS256", "typ": "JWT", "kid": "k1", "x5t": "k1"},
		documents: discovered(url, url+"/.well-known/jwks", keySet(rsaKey().jwk(object{"kid": "k1", "use": "sig", "alg": "RS256", "x5t": "k1", "x5c": []string{certificate()}}))),
		want:      caller{gatehouse.KindService, "repo:acme/shop:ref:refs/heads/main", "1234567", "", "j1", "", ""},
		tokens: []token{
			{name: "new form of sub", claims: object{"sub": "repo:acme@1234567/shop@77:environment:prod"}, want: caller{gatehouse.KindService, "repo:acme@1234567/shop@77:environment:prod", "1234567", "", "j1", "", ""}},
			{name: "other owner", claims: object{"repository_owner_id": "7654321", "repository_owner": "acme"}, reason: jwtauth.ReasonType, cause: "repository_owner_id"},
			{name: "no owner", claims: object{"repository_owner_id": nil}, reason: jwtauth.ReasonType, cause: "repository_owner_id"},
			{name: "default audience", claims: object{"aud": "https://github.com/acme"}, reason: jwtauth.ReasonAudience, cause: "https://api.acme.example"},
			{name: "issuer of an enterprise", claims: object{"iss": url + "/acme"}, reason: jwtauth.ReasonIssuer, cause: url},
			{name: "an hour", claims: object{"exp": in(time.Hour)}, reason: jwtauth.ReasonLifetime, cause: "15m"},
		},
	}}
}

func cloudflareProviders() []provider {
	const url, tag = "https://acme.cloudflareaccess.com", "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2"
	claims := object{
		"iss": url, "aud": []string{tag}, "type": "app", "sub": oid, "email": "ann@acme.example", "country": "DE", "identity_nonce": "n1",
		"exp": in(24 * time.Hour), "iat": in(0), "nbf": in(0),
	}
	return []provider{{
		name: "CloudflareAccess", issuer: cloudflareAccess, key: rsaKey(), claims: claims,
		documents: documents{url + "/cdn-cgi/access/certs": published().with(object{"public_cert": object{"kid": "k1", "cert": "c"}, "public_certs": []object{{"kid": "k1", "cert": "c"}}})},
		want:      caller{gatehouse.KindUser, oid, "", "", "", "", ""},
		tokens: []token{
			{
				name: "service token", claims: object{"sub": "", "common_name": "e3.access", "email": nil, "country": nil, "identity_nonce": nil, "nbf": nil},
				want: caller{gatehouse.KindService, "e3.access", "", "e3.access", "", "", ""},
			},
			{name: "token of the login page", claims: object{"type": "org"}, reason: jwtauth.ReasonType, cause: "type"},
			{name: "other application", claims: object{"aud": []string{"0000"}}, reason: jwtauth.ReasonAudience, cause: tag},
			{name: "a month", claims: object{"exp": in(30 * 24 * time.Hour)}, reason: jwtauth.ReasonLifetime, cause: "25h"},
			{name: "other team", claims: object{"iss": "https://other.cloudflareaccess.com"}, reason: jwtauth.ReasonIssuer, cause: url},
		},
	}}
}
