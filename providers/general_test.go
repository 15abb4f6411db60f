// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// These functions have the settings of docs/providers.md for providers without a
// preset.

func gitLab() jwtauth.Issuer {
	// snippet: gitlab
	issuer := jwtauth.Issuer{
		URL:         "https://gitlab.com",
		Audiences:   []string{"https://api.acme.example"}, // aud of id_tokens in .gitlab-ci.yml
		Algorithms:  []jwtauth.Algorithm{jwtauth.RS256},
		Keys:        jwtauth.Discover(),
		Profile:     jwtauth.Compatible,
		Require:     []jwtauth.Mark{{Claim: "namespace_id", Values: []string{"12885807"}}}, // your group
		Services:    []jwtauth.Mark{{Claim: "iss"}},                                        // every caller is a job
		TenantClaim: "namespace_id",
	}
	// end snippet
	return issuer
}

func pingOne() jwtauth.Issuer {
	// snippet: pingone
	issuer := jwtauth.Issuer{
		URL:           "https://auth.pingone.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/as",
		Audiences:     []string{"https://api.acme.example"}, // the audience of the custom resource
		Algorithms:    []jwtauth.Algorithm{jwtauth.RS256},
		Keys:          jwtauth.Discover(),
		Profile:       jwtauth.Compatible,
		Require:       []jwtauth.Mark{{Claim: "client_id"}}, // ID tokens have none
		SubjectClaims: []string{"sub", "client_id"},         // tokens of machines have no sub
		RolesClaims:   []string{"p1.permissions"},
	}
	// end snippet
	return issuer
}

func workOS() jwtauth.Issuer {
	// snippet: workos
	issuer := jwtauth.Issuer{
		URL:                   "https://api.workos.com/user_management/client_123456789",
		AcceptMissingAudience: true, // session tokens have no aud
		Algorithms:            []jwtauth.Algorithm{jwtauth.RS256},
		Keys:                  jwtauth.RemoteKeys("https://api.workos.com/sso/jwks/client_123456789"),
		Profile:               jwtauth.Compatible,
		MaxLifetime:           time.Hour,
		Require:               []jwtauth.Mark{{Claim: "sid"}},
		ScopeClaims:           []string{"permissions"},
		RolesClaims:           []string{"roles"},
		TenantClaim:           "org_id",
	}
	// end snippet
	return issuer
}

func generalProviders() []provider {
	const gitlab, ping, workos = "https://gitlab.com", "https://auth.pingone.com/" + tenantID + "/as", "https://api.workos.com/user_management/client_123456789"
	published := keySet(rsaKey().jwk(object{"kid": "k1", "use": "sig", "alg": "RS256"}))
	const job = "project_path:acme/shop:ref_type:branch:ref:main"
	return []provider{
		{
			name: "GitLab CI", issuer: gitLab, key: rsaKey(), documents: discovered(gitlab, gitlab+"/oauth/discovery/keys", published),
			claims: object{
				"iss": gitlab, "sub": job, "aud": "https://api.acme.example", "iat": in(0), "nbf": in(-5 * time.Second), "exp": in(time.Hour), "jti": "j1",
				"namespace_id": "12885807", "namespace_path": "acme", "project_id": "53804090", "project_path": "acme/shop", "project_visibility": "private",
				"user_id": "9420787", "user_login": "ann", "user_email": "ann@acme.example", "pipeline_id": "1", "pipeline_source": "push", "job_id": "5", "runner_id": 12270807,
				"ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true", "runner_environment": "gitlab-hosted", "sha": "f1",
			},
			want: caller{gatehouse.KindService, job, "12885807", "", "j1", "", ""},
			tokens: []token{
				{name: "other group", claims: object{"namespace_id": "1"}, reason: jwtauth.ReasonType, cause: "namespace_id"},
				{name: "ID token of a login", claims: object{"sub": "9420787", "aud": "app", "namespace_id": nil, "auth_time": in(0)}, reason: jwtauth.ReasonType, cause: "namespace_id"},
				{name: "old CI_JOB_JWT", claims: object{"iss": "gitlab.com", "aud": nil, "sub": "job_3131574536"}, reason: jwtauth.ReasonIssuer, cause: gitlab},
			},
		},
		{
			name: "PingOne", issuer: pingOne, key: rsaKey(), header: object{"alg": "RS256", "kid": "k1"}, documents: discovered(ping, ping+"/jwks", published),
			claims: object{
				"iss": ping, "sub": oid, "client_id": webID, "aud": []string{"https://api.acme.example"}, "scope": "openid reports:read", "iat": in(0), "exp": in(time.Hour),
				"sid": "s1", "auth_time": in(0), "acr": "Single_Factor", "p1.permissions": []string{"reports:approve"},
			},
			want: caller{gatehouse.KindUser, oid, "", webID, "", "openid reports:read", "reports:approve"},
			tokens: []token{
				{name: "typ at+jwt", header: object{"typ": "at+jwt"}, want: caller{gatehouse.KindUser, oid, "", webID, "", "openid reports:read", "reports:approve"}},
				{name: "machine", claims: object{"sub": nil, "sid": nil, "auth_time": nil, "acr": nil, "p1.permissions": nil, "scope": "reports:read"}, want: caller{gatehouse.KindService, webID, "", webID, "", "reports:read", ""}},
				{name: "ID token", claims: object{"aud": webID, "client_id": nil, "scope": nil, "at_hash": "h"}, reason: jwtauth.ReasonType},
				{
					name: "ID token without hash, client ID as audience", claims: object{"aud": webID, "client_id": nil, "scope": nil},
					change: func(i *jwtauth.Issuer) { i.Audiences = []string{webID} }, reason: jwtauth.ReasonType, cause: "client_id",
				},
			},
		},
		{
			name: "WorkOS", issuer: workOS, key: rsaKey(), documents: documents{"https://api.workos.com/sso/jwks/client_123456789": published},
			claims: object{
				"iss": workos, "sub": "user_01", "org_id": "org_01", "role": "member", "roles": []string{"member"}, "permissions": []string{"posts:read", "posts:write"},
				"entitlements": []string{"audit-logs"}, "sid": "session_01", "jti": "01HQ", "exp": in(5 * time.Minute), "iat": in(0),
			},
			want: caller{gatehouse.KindUser, "user_01", "org_01", "", "01HQ", "posts:read posts:write", "member"},
			tokens: []token{
				{name: "without a session", claims: object{"sid": nil}, reason: jwtauth.ReasonType, cause: "sid"},
				{name: "for another API", claims: object{"aud": "https://other.example"}, reason: jwtauth.ReasonAudience},
				{name: "a day", claims: object{"exp": in(23 * time.Hour)}, reason: jwtauth.ReasonLifetime, cause: "1h"},
				{name: "malformed roles", claims: object{"roles": object{"member": true}}, reason: jwtauth.ReasonClaims, cause: "roles"},
			},
		},
	}
}
