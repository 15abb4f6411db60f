// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// GoogleServiceAccount accepts the ID tokens that Google issues to service accounts, and
// rejects those of people. audiences are the values that callers request, usually the URL
// of this API. The subject and the client are the numeric ID of the service account, and
// the claim email has its address. There are no scopes and no roles: compare subjects in
// a policy.
//
// Every service account of every Google Cloud customer can get such a token for every
// audience, so a policy must compare the subject.
func GoogleServiceAccount(audiences ...string) jwtauth.Issuer {
	issuer := compatible("https://accounts.google.com", audiences...)
	issuer.Require = []jwtauth.Mark{{Claim: "azp", Equals: "sub"}} // azp of a person is an application
	return checked("GoogleServiceAccount", issuer, required("audiences", audiences...))
}

// IAP accepts the assertions that Google's Identity-Aware Proxy sends in the header
// X-Goog-IAP-JWT-Assertion. audience is the value in the console, such as
// "/projects/123/global/backendServices/456".
//
// Roles are the access levels, and the tenant is the domain of the account (hd). A
// service account is a service. There are no scopes and no client.
func IAP(audience string) jwtauth.Issuer {
	issuer := compatible("https://cloud.google.com/iap", audience)
	issuer.Algorithms = []jwtauth.Algorithm{jwtauth.ES256}
	issuer.Keys = jwtauth.RemoteKeys("https://www.gstatic.com/iap/verify/public_key-jwk")
	issuer.Header = "X-Goog-IAP-JWT-Assertion"
	issuer.MaxLifetime = 15 * time.Minute
	issuer.TenantClaim = "hd"
	issuer.RolesClaims = []string{"/google/access_levels"}
	issuer.Principal = googleServiceAccount
	var err error
	if !strings.HasPrefix(audience, "/projects/") {
		err = fmt.Errorf(`audience: got %q, want one such as "/projects/123/global/backendServices/456"`, audience)
	}
	return checked("IAP", issuer, err)
}

// googleServiceAccount sets the Kind of a service account. With external identities
// people can choose their email, but their sub has another prefix.
func googleServiceAccount(claims gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
	var account struct {
		Email string `json:"email"`
	}
	err := claims.Decode(&account)
	if strings.HasPrefix(p.Subject, "accounts.google.com:") && strings.HasSuffix(account.Email, ".gserviceaccount.com") {
		p.Kind = gatehouse.KindService
	}
	return p, err
}

// Firebase accepts the ID tokens of a project of Firebase Authentication, which uses them
// as access tokens. It rejects those of anonymous users. project is the ID of the
// project.
//
// The tenant is the one of Identity Platform. Roles are in a claim that the Admin SDK
// sets: "roles", or the one that RolesClaims names. There are no scopes, no client
// and no services.
func Firebase(project string) jwtauth.Issuer {
	issuer := firebase("https://securetoken.google.com/", project)
	issuer.Keys = jwtauth.RemoteKeys("https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com")
	return checked("Firebase", issuer, label("project", project, "acme-1a2b3"))
}

// FirebaseCookie is [Firebase] for session cookies, which the Admin SDK creates from ID
// tokens. They are accepted for up to 7 days; Firebase allows 14. A session cookie is an
// ambient credential: docs/providers.md has the authenticator that reads it.
func FirebaseCookie(project string) jwtauth.Issuer {
	issuer := firebase("https://session.firebase.google.com/", project)
	issuer.Keys = jwtauth.RemoteKeys("https://identitytoolkit.googleapis.com/v1/sessionCookiePublicKeys")
	issuer.MaxLifetime = 7 * 24 * time.Hour
	return checked("FirebaseCookie", issuer, label("project", project, "acme-1a2b3"))
}

func firebase(url, project string) jwtauth.Issuer {
	issuer := compatible(url+project, project)
	issuer.TenantClaim = "/firebase/tenant"
	issuer.Require = []jwtauth.Mark{{Claim: "/firebase/sign_in_provider"}}
	issuer.Refuse = []jwtauth.Mark{{Claim: "/firebase/sign_in_provider", Values: []string{"anonymous"}}}
	return issuer
}
