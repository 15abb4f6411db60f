// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/providers"
)

// These functions have the lines of docs/providers.md. The tests accept and reject
// tokens with exactly these issuers.

const tenantID = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490"

func auth0() jwtauth.Issuer {
	// snippet: auth0
	issuer := providers.Auth0("acme.eu.auth0.com", "https://api.acme.example")
	issuer.RolesClaims = []string{"https://acme.example/roles"} // if an Action adds this claim
	// end snippet
	return issuer
}

func auth0RFC9068() jwtauth.Issuer {
	// snippet: auth0-rfc9068
	issuer := providers.Auth0RFC9068("acme.eu.auth0.com", "https://api.acme.example")
	// end snippet
	return issuer
}

func entraV2() jwtauth.Issuer {
	// snippet: entra
	issuer := providers.EntraV2("8eaef023-2b34-4da1-9baa-8bc8c9d6a490", "0d5d1b5a-3c1e-4b58-8f0e-0f5f3d1f2a11")
	// end snippet
	return issuer
}

func entraV1() jwtauth.Issuer {
	// snippet: entra-v1
	issuer := providers.EntraV1("8eaef023-2b34-4da1-9baa-8bc8c9d6a490", "api://acme.example/api", "api://acme.example/api/")
	// end snippet
	return issuer
}

func entraB2C() jwtauth.Issuer {
	// snippet: entra-b2c
	issuer := providers.EntraB2C("acme", "8eaef023-2b34-4da1-9baa-8bc8c9d6a490", "b2c_1_in", "0d5d1b5a-3c1e-4b58-8f0e-0f5f3d1f2a11")
	issuer.Require = append(issuer.Require, jwtauth.Mark{Claim: "tfp", Values: []string{"b2c_1_in"}}) // this policy only
	// end snippet
	return issuer
}

func entraExternal() jwtauth.Issuer {
	// snippet: entra-external
	issuer := providers.EntraExternal("8eaef023-2b34-4da1-9baa-8bc8c9d6a490", "0d5d1b5a-3c1e-4b58-8f0e-0f5f3d1f2a11")
	// end snippet
	return issuer
}

func adfs() jwtauth.Issuer {
	// snippet: adfs
	issuer := providers.ADFS("sts.acme.example", "https://api.acme.example")
	issuer.RolesClaims = []string{"role"} // the claim of your issuance rule
	// end snippet
	return issuer
}

func okta() jwtauth.Issuer {
	// snippet: okta
	issuer := providers.Okta("acme.okta.com", "default", "https://api.acme.example")
	// end snippet
	return issuer
}

func keycloak() jwtauth.Issuer {
	// snippet: keycloak
	issuer := providers.Keycloak("https://login.acme.example/realms/acme", "reports-api")
	// end snippet
	return issuer
}

func keycloakHTTP() jwtauth.Issuer {
	// snippet: keycloak-http
	issuer := providers.Keycloak("http://keycloak:8080/realms/acme", "reports-api")
	issuer.PlainHTTPHosts = []string{"keycloak:8080"} // development only
	// end snippet
	return issuer
}

func cognito() jwtauth.Issuer {
	// snippet: cognito
	issuer := providers.Cognito("eu-west-1_Ab12Cd", "4p26exampleclient")
	// end snippet
	return issuer
}

func cognitoResource() jwtauth.Issuer {
	// snippet: cognito-resource
	issuer := providers.CognitoResource("eu-west-1_Ab12Cd", "https://api.acme.example", "7machineclient")
	// end snippet
	return issuer
}

func googleServiceAccount() jwtauth.Issuer {
	// snippet: google
	issuer := providers.GoogleServiceAccount("https://api.acme.example")
	// end snippet
	return issuer
}

func iap() jwtauth.Issuer {
	// snippet: iap
	issuer := providers.IAP("/projects/123/global/backendServices/456")
	// end snippet
	return issuer
}

func firebase() jwtauth.Issuer {
	// snippet: firebase
	issuer := providers.Firebase("acme-1a2b3")
	// end snippet
	return issuer
}

func firebaseCookie() jwtauth.Issuer {
	// snippet: firebase-cookie
	issuer := providers.FirebaseCookie("acme-1a2b3")
	// end snippet
	return issuer
}

func clerk() jwtauth.Issuer {
	// snippet: clerk
	issuer := providers.Clerk("https://clerk.acme.example", "https://app.acme.example")
	// end snippet
	return issuer
}

func supabase() jwtauth.Issuer {
	// snippet: supabase
	issuer := providers.Supabase("abcdefghijklmnopqrst", jwtauth.ES256)
	issuer.TenantClaim = "/app_metadata/tenant" // never user_metadata
	// end snippet
	return issuer
}

func supabaseLegacy(secret gatehouse.Secret) jwtauth.Issuer {
	// snippet: supabase-legacy
	issuer := providers.SupabaseLegacy("abcdefghijklmnopqrst", secret) // gatehouse.LoadSecret("env:SUPABASE_JWT_SECRET", 32)
	// end snippet
	return issuer
}

func zitadel() jwtauth.Issuer {
	// snippet: zitadel
	issuer := providers.Zitadel("https://acme.zitadel.cloud", "267912345678901234")
	// end snippet
	return issuer
}

func kubernetes() jwtauth.Issuer {
	// snippet: kubernetes
	issuer := providers.Kubernetes("https://kubernetes.default.svc.cluster.local",
		"https://kubernetes.default.svc/openid/v1/jwks", "https://api.acme.example")
	// end snippet
	return issuer
}

func gitHubActions() jwtauth.Issuer {
	// snippet: github
	issuer := providers.GitHubActions("https://api.acme.example", "1234567")
	// end snippet
	return issuer
}

func cloudflareAccess() jwtauth.Issuer {
	// snippet: cloudflare
	issuer := providers.CloudflareAccess("acme", "4714c1358e65fe4b408ad6d432a5f878f08194bdb4752441fd56faefa9b2b6f2")
	// end snippet
	return issuer
}
