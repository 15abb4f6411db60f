// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/jwtauth"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

var (
	algorithms = []jwtauth.Algorithm{jwtauth.RS256, jwtauth.PS256, jwtauth.ES256, jwtauth.EdDSA}

	machine = provider.Client{ID: "machine", Secret: "the secret of the machine"}
	webapp  = provider.Client{ID: "webapp", Secret: "the secret of the web app", RedirectURIs: []string{"http://127.0.0.1:1/callback"}}
)

const (
	opaque = "https://opaque.example.com"
	other  = "https://other.example.com"
)

func resource(a jwtauth.Algorithm) string {
	return "https://api.example.com/" + strings.ToLower(string(a))
}

// slowUnlessES256 skips the test of all algorithms but one where slow tests are
// skipped.
func slowUnlessES256(t *testing.T, a jwtauth.Algorithm) {
	t.Helper()
	if a != jwtauth.ES256 {
		enginetest.Slow(t)
	}
}

// ownProvider starts a provider for one test, which is slow.
func ownProvider(t *testing.T, o provider.Options) *provider.Provider {
	t.Helper()
	enginetest.Slow(t)
	return provider.Start(t, o)
}

// withClients is a provider with a resource for each algorithm, one with opaque tokens,
// and one that the API does not serve.
func withClients(clients ...provider.Client) provider.Options {
	o := provider.Options{
		Clients: append(clients, machine, webapp),
		Resources: []provider.Resource{
			{URI: opaque, Scope: "reports:read"},
			{URI: other, Algorithm: "RS256", Scope: "reports:read"},
		},
		Scopes: []string{"elsewhere:read"},
	}
	for _, a := range algorithms {
		o.Resources = append(o.Resources, provider.Resource{URI: resource(a), Algorithm: string(a), Scope: "reports:read reports:write"})
	}
	return o
}

// issuer is the configuration of the provider in the API of a resource.
func issuer(p *provider.Provider, a jwtauth.Algorithm, keys jwtauth.Keys) jwtauth.Issuer {
	return jwtauth.Issuer{URL: p.Issuer, Audiences: []string{resource(a)}, Algorithms: []jwtauth.Algorithm{a}, Keys: keys}
}

// TestProviderTokensAccepted accepts tokens of a certified authorization server
// with every algorithm and both sources of its keys.
//
// Covers RFC 9068 §4 (keys); RFC 9700 §4.15.
func TestProviderTokensAccepted(t *testing.T) {
	t.Parallel()
	p := sharedProvider(t)
	for name, keys := range map[string]jwtauth.Keys{"RemoteKeys": jwtauth.RemoteKeys(p.Issuer + "/jwks"), "Discover": jwtauth.Discover()} {
		for _, a := range algorithms {
			t.Run(name+"/"+string(a), func(t *testing.T) {
				slowUnlessES256(t, a)
				api := newAPI(t, jwtauth.Config{Issuers: []jwtauth.Issuer{issuer(p, a, keys)}})
				issued := time.Now().Truncate(time.Second)
				token := p.ClientCredentials(t, machine, resource(a), "reports:read reports:write").AccessToken
				service := caller{gatehouse.KindService, machine.ID, p.Issuer, machine.ID, "reports:read reports:write"}
				for range 2 { // from the key set, and from the cache
					who := api.accept(t, "/reports", token, service)
					if lifetime := who.Expires.Sub(issued); lifetime < 5*time.Minute || time.Until(who.Expires) > 5*time.Minute || who.Credential == "" {
						t.Errorf("the token %q expires %v after its request, want 5m after its issue", who.Credential, lifetime)
					}
				}
				person := p.Login(t, provider.NewBrowser(t, "ada"), webapp, resource(a), "openid reports:read")
				api.accept(t, "/reports", person.AccessToken, caller{gatehouse.KindUser, "ada", p.Issuer, webapp.ID, "reports:read"})
			})
		}
	}
}

// TestProviderTokensTampered rejects the same tokens with any change.
//
// Covers RFC 8725 §3.3; RFC 9068 §4 (signature); ASVS 5.0 §9.1.1.
func TestProviderTokensTampered(t *testing.T) {
	t.Parallel()
	p := sharedProvider(t)
	for _, a := range algorithms {
		t.Run(string(a), func(t *testing.T) {
			slowUnlessES256(t, a)
			t.Parallel()
			api := newAPI(t, jwtauth.Config{Issuers: []jwtauth.Issuer{issuer(p, a, jwtauth.Discover())}})
			token := p.ClientCredentials(t, machine, resource(a), "reports:read").AccessToken
			later := p.ClientCredentials(t, machine, resource(a), "reports:read").AccessToken
			api.accept(t, "/reports", token)

			for _, flipped := range flips(token) { // some in the kid
				api.rejectKey(t, "a bit flipped", flipped)
			}
			header, claims, signature := split(t, token)
			for _, alg := range []string{"none", "None", "HS256", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"} {
				if alg == string(a) {
					continue
				}
				changed := strings.Replace(header, `"alg":"`+string(a)+`"`, `"alg":"`+alg+`"`, 1)
				api.reject(t, "header alg "+alg, join(changed, claims, signature))
				api.reject(t, "header alg "+alg+" without a signature", join(changed, claims, ""))
			}
			kid, _ := object(t, header)["kid"].(string)
			for _, key := range p.Keys {
				if key.ID != kid {
					api.rejectKey(t, "kid of the key for "+key.Algorithm, join(strings.Replace(header, kid, key.ID, 1), claims, signature))
				}
			}

			_, _, signatureOfLater := split(t, later)
			first, _, _ := strings.Cut(token, ".")
			for what, hostile := range map[string]string{
				"no signature":               join(header, claims, ""),
				"no second dot":              strings.TrimSuffix(join(header, claims, ""), "."),
				"signature of another token": join(header, claims, signatureOfLater),
				"signature cut":              token[:len(token)-4],
				"signature longer":           token + "AAAA",
				"padding":                    token + "=",
				"another segment":            token + "." + signature,
				"signature twice":            token + signature,
				"header alone":               first,
				"header twice":               first + "." + token,
			} {
				api.reject(t, what, hostile)
			}
			api.accept(t, "/reports", token)
			report(t, &api.rejected)
		})
	}
}

// TestProviderOtherTokens: other tokens of the provider, valid and correctly
// signed, are no access tokens for this API.
//
// Covers RFC 8725 §3.12.
func TestProviderOtherTokens(t *testing.T) {
	t.Parallel()
	client, tokens := backChannel(t)
	p := ownProvider(t, withClients(client))
	ada := provider.NewBrowser(t, "ada")
	person := p.Login(t, ada, client, resource(jwtauth.RS256), "openid reports:read")
	ada.Visit(t, p.Issuer+"/session/end?id_token_hint="+person.IDToken, p.Issuer+"/session/end/success")
	logout := logoutToken(tokens)
	if logout == "" {
		t.Fatal("the provider has sent no logout token")
	}

	t.Run("at the API", func(t *testing.T) {
		api := newAPI(t, jwtauth.Config{Issuers: []jwtauth.Issuer{issuer(p, jwtauth.RS256, jwtauth.Discover())}})
		api.accept(t, "/reports", person.AccessToken)
		for what, token := range map[string]string{
			"of another resource, same algorithm":    p.ClientCredentials(t, machine, other, "reports:read").AccessToken,
			"of another resource, another algorithm": p.ClientCredentials(t, machine, resource(jwtauth.ES256), "reports:read").AccessToken,
			"opaque":                                 p.ClientCredentials(t, machine, opaque, "reports:read").AccessToken,
			"refresh token":                          person.RefreshToken,
			"ID token":                               person.IDToken,
			"logout token":                           logout,
		} {
			api.reject(t, what, token)
		}
		report(t, &api.rejected)
	})

	// The audience of an ID token and a logout token is the client. An API with the
	// same audience rejects them too.
	for name, profile := range map[string]jwtauth.Profile{"RFC9068": jwtauth.RFC9068, "Compatible": jwtauth.Compatible} {
		t.Run("with the audience of the client, "+name, func(t *testing.T) {
			i := issuer(p, jwtauth.RS256, jwtauth.Discover())
			i.Audiences, i.Profile = []string{client.ID}, profile
			api := newAPI(t, jwtauth.Config{Issuers: []jwtauth.Issuer{i}})
			api.reject(t, "ID token", person.IDToken)
			api.reject(t, "logout token", logout)
			if api.all[jwtauth.ReasonType] != 2 {
				t.Errorf("the reasons are %v, want %s twice", api.all, jwtauth.ReasonType)
			}
			report(t, &api.rejected)
		})
	}
}

// TestProviderScopes checks access by the scopes of the token. The provider drops
// scopes that the resource does not have.
func TestProviderScopes(t *testing.T) {
	t.Parallel()
	p := sharedProvider(t)
	api := newAPI(t, jwtauth.Config{Issuers: []jwtauth.Issuer{issuer(p, jwtauth.ES256, jwtauth.Discover())}})
	for asked, got := range map[string]string{"reports:write": "reports:write", "elsewhere:read": "", "": ""} {
		token := p.ClientCredentials(t, machine, resource(jwtauth.ES256), asked).AccessToken
		api.accept(t, "/", token, caller{gatehouse.KindService, machine.ID, p.Issuer, machine.ID, got})
		refused := api.get(t, "/reports", token)
		if refused.status != http.StatusForbidden || refused.code != "insufficient_scope" || !strings.Contains(refused.challenge, `scope="reports:read"`) {
			t.Errorf("asked for %q: %+v, want 403 insufficient_scope", asked, refused)
		}
	}
}

// TestProviderRotation rotates the provider's keys. The API accepts a new key while
// the old one is valid, and rejects a withdrawn key once it has the new set, also
// for cached tokens.
func TestProviderRotation(t *testing.T) {
	t.Parallel()
	p := ownProvider(t, withClients())
	type visit struct {
		*api
		first, unseen, second string
		fresh                 func() string
	}
	var visits []*visit
	for _, keys := range []jwtauth.Keys{jwtauth.RemoteKeys(p.Issuer + "/jwks"), jwtauth.Discover()} {
		for _, a := range algorithms {
			v := &visit{
				api:   newAPI(t, jwtauth.Config{Issuers: []jwtauth.Issuer{issuer(p, a, keys)}, KeySets: jwtauth.KeySets{MinInterval: time.Second}}),
				fresh: func() string { return p.ClientCredentials(t, machine, resource(a), "reports:read").AccessToken },
			}
			v.first, v.unseen = v.fresh(), v.fresh()
			v.accept(t, "/reports", v.first)
			visits = append(visits, v)
		}
	}

	p.Rotate(t)
	for _, v := range visits {
		v.second = v.fresh()
		v.eventuallyAccept(t, v.second)
		v.accept(t, "/reports", v.first)
	}

	p.Rotate(t)
	p.Withdraw(t)
	for _, v := range visits {
		third := v.fresh()
		v.eventuallyAccept(t, third)
		v.rejectKey(t, "cached, of a withdrawn key", v.first)
		v.rejectKey(t, "never seen, of a withdrawn key", v.unseen)
		v.rejectKey(t, "cached, of a withdrawn key", v.second)
		v.accept(t, "/reports", third)
		report(t, &v.rejected)
	}
}

// eventuallyAccept waits until the API accepts a token of a new key, which it does
// once it may fetch the key set again.
func (a *api) eventuallyAccept(t *testing.T, token string) {
	t.Helper()
	enginetest.Eventually(t, time.Minute, "a token of a new key is accepted", func() bool {
		got := a.get(t, "/reports", token)
		if got.status != http.StatusOK && got.status != http.StatusUnauthorized && got.status != http.StatusServiceUnavailable {
			t.Fatalf("a token of a new key: %+v, %s", got, a.why())
		}
		return got.status == http.StatusOK
	})
}
