// SPDX-License-Identifier: Apache-2.0

package providers

import (
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// EntraV2 accepts the access tokens of version 2 that one Microsoft Entra tenant
// issues for an API. tenant is the ID of the tenant, not "common". audiences are the
// client ID of the API and, where clients use it, its application ID URI.
//
// Scopes are scp, roles are roles, the tenant is tid, and only this tenant is accepted.
// The client is azp. An application is a service if its token has idtyp "app", an
// optional claim that the API must request. With continuous access evaluation, tokens are
// valid for up to 28 hours.
//
// Every application of the tenant gets a token without roles, unless the API requires
// assignment: require a scope or a role on each route.
func EntraV2(tenant string, audiences ...string) jwtauth.Issuer {
	issuer := entra("https://login.microsoftonline.com/"+tenant+"/v2.0", audiences...)
	issuer.Tenants = []string{tenant}
	issuer.Require = []jwtauth.Mark{{Claim: "azp"}} // ID tokens have none
	return checked("EntraV2", issuer, tenantID(tenant), required("audiences", audiences...))
}

// EntraV1 is [EntraV2] for access tokens of version 1, which an API gets unless its
// manifest requests version 2. audiences are the client ID of the API and all forms of
// the application ID URI that clients request, with and without a slash at the end. The
// client is appid. Tokens of managed identities are valid for 24 hours.
func EntraV1(tenant string, audiences ...string) jwtauth.Issuer {
	issuer := entra("https://sts.windows.net/"+tenant+"/", audiences...)
	issuer.Keys = jwtauth.RemoteKeys("https://login.microsoftonline.com/" + tenant + "/discovery/keys")
	issuer.Tenants = []string{tenant}
	issuer.Require = []jwtauth.Mark{{Claim: "appid"}} // ID tokens have none
	return checked("EntraV1", issuer, tenantID(tenant), required("audiences", audiences...))
}

// EntraB2C accepts the access tokens of an Azure AD B2C tenant. name is the name of
// the tenant, such as "acme" of acme.b2clogin.com, tenant its ID, policy the user flow
// or custom policy whose keys are used, and audience the client ID of the API.
//
// Tokens of all policies have the same issuer. To accept one policy, append a Mark to
// Require: tfp with the exact name of the policy in the tokens. There are no tenant and
// no roles, unless TenantClaim and RolesClaims name claims of your policy.
func EntraB2C(name, tenant, policy, audience string) jwtauth.Issuer {
	base := "https://" + name + ".b2clogin.com/"
	issuer := compatible(base+tenant+"/v2.0/", audience)
	issuer.Keys = jwtauth.RemoteKeys(base + name + ".onmicrosoft.com/" + policy + "/discovery/v2.0/keys")
	issuer.ScopeClaims = []string{"scp"}
	issuer.Require = []jwtauth.Mark{{Claim: "azp"}} // ID tokens have none
	return checked("EntraB2C", issuer, label("name", name, "acme"), tenantID(tenant),
		label("policy", policy, "b2c_1_signin"), required("audience", audience))
}

// EntraExternal accepts the access tokens of a Microsoft Entra External ID tenant.
// tenant is its ID, and audience the client ID of the API. Everything else is as for
// [EntraV2].
func EntraExternal(tenant, audience string) jwtauth.Issuer {
	base := "https://" + tenant + ".ciamlogin.com/" + tenant
	issuer := entra(base+"/v2.0", audience)
	issuer.Keys = jwtauth.RemoteKeys(base + "/discovery/v2.0/keys")
	issuer.Tenants = []string{tenant}
	issuer.Require = []jwtauth.Mark{{Claim: "azp"}} // ID tokens have none
	return checked("EntraExternal", issuer, tenantID(tenant), required("audience", audience))
}

// entra returns the common settings of the presets of Microsoft Entra ID. MaxTokenBytes
// allows 200 groups.
func entra(url string, audiences ...string) jwtauth.Issuer {
	issuer := compatible(url, audiences...)
	issuer.ScopeClaims = []string{"scp"}
	issuer.TenantClaim = "tid"
	issuer.Services = []jwtauth.Mark{{Claim: "idtyp", Values: []string{"app"}}}
	issuer.MaxLifetime = 29 * time.Hour
	issuer.MaxTokenBytes = 16 << 10
	return issuer
}

// ADFS accepts the access tokens of an AD FS farm. host is its federation service
// name, and audiences are the identifiers of the Web API.
//
// The issuer of access tokens is a name that looks like a plain http URL; the keys come
// over https. Scopes are scp, and the client is appid. Roles come from an issuance rule:
// set RolesClaims to its claim. A caller without upn is a service, so the rules of the
// Web API must send upn for people.
func ADFS(host string, audiences ...string) jwtauth.Issuer {
	issuer := compatible("http://"+host+"/adfs/services/trust", audiences...)
	issuer.Keys = jwtauth.RemoteKeys("https://" + host + "/adfs/discovery/keys")
	issuer.ScopeClaims = []string{"scp"}
	issuer.Principal = withoutUPN
	return checked("ADFS", issuer, hostName("host", host, "sts.acme.example"), required("audiences", audiences...))
}

// withoutUPN makes a caller without a user principal name a service.
func withoutUPN(claims gatehouse.Claims, p gatehouse.Principal) (gatehouse.Principal, error) {
	var person struct {
		UPN string `json:"upn"`
	}
	err := claims.Decode(&person)
	if person.UPN == "" {
		p.Kind = gatehouse.KindService
	}
	return p, err
}
