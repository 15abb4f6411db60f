// SPDX-License-Identifier: Apache-2.0

package providers_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/providers"
)

func allProviders() []provider {
	return slices.Concat(auth0Providers(), entraProviders(), adfsProviders(), oktaProviders(), keycloakProviders(), zitadelProviders(), cognitoProviders(),
		googleProviders(), firebaseProviders(), clerkProviders(), supabaseProviders(), kubernetesProviders(), gitHubProviders(), cloudflareProviders(), generalProviders())
}

func bubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// TestTokens sends the access token and every other kind of token of each provider
// to the issuer that docs/providers.md shows.
func TestTokens(t *testing.T) {
	for _, p := range allProviders() {
		bubble(t, p.name, func(t *testing.T) {
			for _, sent := range p.all() {
				got, err := p.try(t, p.issuer(), sent)
				if err != nil {
					t.Fatalf("New = %v", err)
				}
				if diff := cmp.Diff(outcome{Caller: sent.want, Reason: sent.reason}, outcome{Caller: got.Caller, Reason: got.Reason}); diff != "" {
					t.Errorf("%s (-want +got):\n%s\ncause: %s", sent.name, diff, got.Cause)
				}
				if !strings.Contains(got.Cause, sent.cause) {
					t.Errorf("%s: cause = %q, want %q in it", sent.name, got.Cause, sent.cause)
				}
			}
		})
	}
}

// TestEverySettingOfAPresetIsNeeded removes each mark and each setting of each
// preset: another principal, or a token of another kind that is accepted, is the
// proof that it has an effect.
func TestEverySettingOfAPresetIsNeeded(t *testing.T) {
	for _, p := range allProviders() {
		bubble(t, p.name, func(t *testing.T) {
			var before []string // the outcome of each token
			for _, sent := range p.all() {
				before = append(before, describe(p.try(t, p.issuer(), sent)))
			}
			removed := func(what string, remove func(*jwtauth.Issuer)) {
				for n, sent := range p.all() {
					issuer := p.issuer()
					remove(&issuer)
					if describe(p.try(t, issuer, sent)) != before[n] {
						return
					}
				}
				t.Errorf("without %s every token has the same outcome, want another one", what)
			}
			issuer := p.issuer()
			for n, mark := range issuer.Require {
				removed(fmt.Sprintf("Require %+v", mark), func(i *jwtauth.Issuer) { i.Require = slices.Delete(i.Require, n, n+1) })
			}
			for n, mark := range issuer.Refuse {
				removed(fmt.Sprintf("Refuse %+v", mark), func(i *jwtauth.Issuer) { i.Refuse = slices.Delete(i.Refuse, n, n+1) })
			}
			for n, algorithm := range issuer.Algorithms {
				if algorithm != jwtauth.ES384 && algorithm != jwtauth.ES512 { // as ES256
					removed(string(algorithm), func(i *jwtauth.Issuer) { i.Algorithms = slices.Delete(i.Algorithms, n, n+1) })
				}
			}
			value := reflect.ValueOf(issuer)
			for n := range value.NumField() {
				field := value.Type().Field(n).Name
				if !value.Field(n).IsZero() {
					removed(field, func(i *jwtauth.Issuer) { reflect.ValueOf(i).Elem().Field(n).SetZero() })
				}
			}
		})
	}
}

// TestResultIsIndependent: presets copy the lists that they get.
func TestResultIsIndependent(t *testing.T) {
	list := []string{"https://a.example", "https://b.example"}
	entra := providers.EntraV2(tenantID, list...)
	account := providers.GoogleServiceAccount(list...)
	pool := providers.Cognito("eu-west-1_Ab12Cd", list...)
	site := providers.Clerk("https://clerk.acme.example", list...)
	owners := []string{"1", "2"}
	actions := providers.GitHubActions("https://api.acme.example", owners...)
	list[0], owners[0] = "https://evil.example", "3"
	for name, got := range map[string][]string{
		"EntraV2": entra.Audiences, "GoogleServiceAccount": account.Audiences, "Cognito": pool.Clients, "Clerk": site.Require[len(site.Require)-1].Values,
	} {
		if diff := cmp.Diff([]string{"https://a.example", "https://b.example"}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff([]string{"1", "2"}, actions.Require[0].Values); diff != "" || actions.Err != nil {
		t.Errorf("GitHubActions: error %v, owners (-want +got):\n%s", actions.Err, diff)
	}
	// RFC 6901 section 3: "~" and "/" are escaped in a pointer.
	if got := providers.Keycloak("https://login.acme.example/realms/acme", "a/b~c").RolesClaims[1]; got != "/resource_access/a~1b~0c/roles" {
		t.Errorf("Keycloak: RolesClaims[1] = %s, want the escaped name of the client", got)
	}
}

// TestInvalidParameterIsAnErrorAtStart: the error names the preset and the
// parameter.
func TestInvalidParameterIsAnErrorAtStart(t *testing.T) {
	const api, domain = "https://api.acme.example", "acme.eu.auth0.com"
	secret := gatehouse.NewSecret([]byte(supabaseSecret))
	for _, test := range []struct {
		issuer jwtauth.Issuer
		want   string // after "providers."
	}{
		{providers.Auth0("", api), `Auth0: domain: got "", want a host name such as "acme.eu.auth0.com"`},
		{providers.Auth0("https://"+domain, api), "Auth0: domain: "},
		{providers.Auth0(domain+"/", api), "Auth0: domain: "},
		{providers.Auth0("user@"+domain, api), "Auth0: domain: "},
		{providers.Auth0("acme", api), "Auth0: domain: "},
		{providers.Auth0(domain, ""), "Auth0: audience: is empty"},
		{providers.Auth0RFC9068("https://"+domain+"/", api), "Auth0RFC9068: domain: "},
		{providers.Auth0RFC9068(domain, ""), "Auth0RFC9068: audience: "},
		{providers.EntraV2("common", apiID), `EntraV2: tenant: got "common", want the ID of one tenant`},
		{providers.EntraV2("organizations", apiID), "EntraV2: tenant: "},
		{providers.EntraV2("acme.onmicrosoft.com", apiID), "EntraV2: tenant: "},
		{providers.EntraV2(strings.ToUpper(tenantID), apiID), "EntraV2: tenant: "},
		{providers.EntraV2(tenantID+"0", apiID), "EntraV2: tenant: "},
		{providers.EntraV2("", apiID), "EntraV2: tenant: "},
		{providers.EntraV2(tenantID), "EntraV2: audiences: at least one is required"},
		{providers.EntraV2(tenantID, apiID, ""), "EntraV2: audiences: is empty"},
		{providers.EntraV1("common", apiID), "EntraV1: tenant: "},
		{providers.EntraV1(tenantID), "EntraV1: audiences: "},
		{providers.EntraB2C("acme.b2clogin.com", tenantID, "b2c_1_in", apiID), `EntraB2C: name: got "acme.b2clogin.com", want a name such as "acme"`},
		{providers.EntraB2C("acme", "acme", "b2c_1_in", apiID), "EntraB2C: tenant: "},
		{providers.EntraB2C("acme", tenantID, "", apiID), "EntraB2C: policy: "},
		{providers.EntraB2C("acme", tenantID, "../x", apiID), "EntraB2C: policy: "},
		{providers.EntraB2C("acme", tenantID, "b2c_1_in", ""), "EntraB2C: audience: "},
		{providers.EntraExternal("acme", apiID), "EntraExternal: tenant: "},
		{providers.EntraExternal(tenantID, ""), "EntraExternal: audience: "},
		{providers.ADFS("https://sts.acme.example", api), "ADFS: host: "},
		{providers.ADFS("sts.acme.example"), "ADFS: audiences: "},
		{providers.Okta("https://acme.okta.com", "default", api), "Okta: org: "},
		{providers.Okta("acme.okta.com", "", api), "Okta: server: "},
		{providers.Okta("acme.okta.com", "oauth2/default", api), "Okta: server: "},
		{providers.Okta("acme.okta.com", "default", ""), "Okta: audience: "},
		{providers.Keycloak("", "api"), "Keycloak: realm: "},
		{providers.Keycloak("acme", "api"), "Keycloak: realm: "},
		{providers.Keycloak("https://login.acme.example", "api"), "Keycloak: realm: has no /realms/"},
		{providers.Keycloak("https://login.acme.example/realms/acme/", "api"), "Keycloak: realm: "},
		{providers.Keycloak("https://login.acme.example/realms/acme", ""), "Keycloak: audience: "},
		{providers.Zitadel("acme.zitadel.cloud", "1"), "Zitadel: issuer: "},
		{providers.Zitadel("https://acme.zitadel.cloud/", "1"), "Zitadel: issuer: "},
		{providers.Zitadel("https://acme.zitadel.cloud", ""), "Zitadel: project: "},
		{providers.Cognito("", "c"), "Cognito: pool: "},
		{providers.Cognito("Ab12Cd", "c"), "Cognito: pool: "},
		{providers.Cognito("eu-west-1_Ab12/Cd", "c"), "Cognito: pool: "},
		{providers.Cognito("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Ab12Cd", "c"), "Cognito: pool: "},
		{providers.Cognito("eu-west-1_Ab12Cd"), "Cognito: clients: at least one is required"},
		{providers.Cognito("eu-west-1_Ab12Cd", ""), "Cognito: clients: is empty"},
		{providers.CognitoResource("eu-west-1", api), "CognitoResource: pool: "},
		{providers.CognitoResource("eu-west-1_Ab12Cd", ""), "CognitoResource: audience: "},
		{providers.CognitoResource("eu-west-1_Ab12Cd", api, ""), "CognitoResource: clients: "},
		{providers.GoogleServiceAccount(), "GoogleServiceAccount: audiences: "},
		{providers.GoogleServiceAccount(""), "GoogleServiceAccount: audiences: "},
		{providers.IAP(""), "IAP: audience: "},
		{providers.IAP(api), "IAP: audience: "},
		{providers.Firebase(""), "Firebase: project: "},
		{providers.Firebase("https://securetoken.google.com/acme"), "Firebase: project: "},
		{providers.FirebaseCookie("acme/1"), "FirebaseCookie: project: "},
		{providers.Clerk("clerk.acme.example"), "Clerk: frontend: "},
		{providers.Clerk("https://clerk.acme.example/"), "Clerk: frontend: "},
		{providers.Clerk("https:clerk.acme.example"), "Clerk: frontend: "},
		{providers.Clerk("https://clerk.acme.example", "app.acme.example"), "Clerk: origins[0]: "},
		{providers.Clerk("https://clerk.acme.example", "https://app.acme.example", "https://b.acme.example/"), "Clerk: origins[1]: "},
		{providers.Supabase("https://abc.supabase.co", jwtauth.ES256), "Supabase: project: "},
		{providers.Supabase("", jwtauth.ES256), "Supabase: project: "},
		{providers.Supabase("abc", ""), "Supabase: algorithm: "},
		{providers.Supabase("abc", jwtauth.HS256), "Supabase: algorithm: "},
		{providers.Supabase("abc", jwtauth.PS256), "Supabase: algorithm: "},
		{providers.SupabaseLegacy("abc.supabase.co", secret), "SupabaseLegacy: project: "},
		{providers.SupabaseLegacy("abc", gatehouse.Secret{}), "SupabaseLegacy: secret: "},
		{providers.Kubernetes("", "https://kubernetes.default.svc/openid/v1/jwks", api), "Kubernetes: issuer: "},
		{providers.Kubernetes("https://kubernetes.default.svc", "", api), "Kubernetes: keysURL: "},
		{providers.Kubernetes("https://kubernetes.default.svc", "https://kubernetes.default.svc/openid/v1/jwks", ""), "Kubernetes: audience: "},
		{providers.GitHubActions("", "1"), "GitHubActions: audience: "},
		{providers.GitHubActions(api), "GitHubActions: owners: at least one is required"},
		{providers.GitHubActions(api, "acme"), `GitHubActions: owners[0]: got "acme", want the numeric ID`},
		{providers.GitHubActions(api, "1", ""), "GitHubActions: owners: is empty"},
		{providers.CloudflareAccess("https://acme.cloudflareaccess.com", "t"), "CloudflareAccess: team: "},
		{providers.CloudflareAccess("acme.cloudflareaccess.com", "t"), "CloudflareAccess: team: "},
		{providers.CloudflareAccess("acme", ""), "CloudflareAccess: audience: "},
	} {
		_, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{test.issuer}})
		if err == nil || !strings.HasPrefix(err.Error(), "jwtauth: Config.Issuers[0]: providers."+test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("New = %v, want one error providers.%s", err, test.want)
		}
	}
	_, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{providers.Okta("", "", "")}})
	for _, want := range []string{"Okta: org: ", "Okta: server: ", "Okta: audience: "} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("New with three mistakes = %v, want %s in it", err, want)
		}
	}
}
