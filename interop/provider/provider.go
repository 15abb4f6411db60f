// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/interop/node"
)

// Options configures a [Provider].
type Options struct {
	// Host is the host of the issuer, "127.0.0.1" if empty. To a browser,
	// "localhost" is another site than 127.0.0.1.
	Host string

	Clients   []Client
	Resources []Resource

	// Scopes are scopes in addition to those of the resources, openid and
	// offline_access.
	Scopes []string

	// Claims are claims of accounts and of clients, by their IDs: in ID tokens, and in
	// access tokens that are JWTs.
	Claims map[string]map[string]any

	// DPoPNonce makes the provider require a nonce in every DPoP proof.
	DPoPNonce bool

	// TLS makes the provider speak HTTPS, and accept certificates for the client
	// authentication and as what tokens are bound to, RFC 8705.
	TLS *TLS

	// FirstLifetime is the lifetime of the access token of a login without a
	// resource, an hour if zero. Those of a refresh are valid for an hour.
	FirstLifetime time.Duration

	// RefreshDelay is the time between a refresh and its response.
	RefreshDelay time.Duration

	// EndSessionEndpoint is published instead of that of the provider, which ends no
	// login of its own then. Optional.
	EndSessionEndpoint string
}

// TLS is the certificate of a provider, with its key, and the CA of the certificates of
// clients. All are in PEM.
type TLS struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
	CA   string `json:"ca"`
}

// Client is a registered client.
type Client struct {
	ID string
	// Secret makes the client confidential, with HTTP Basic. Without it the
	// client is public.
	Secret string
	// RedirectURIs give the client the authorization code and refresh grants.
	// Without any it has client credentials.
	RedirectURIs []string
	// Metadata is additional client metadata by the names of RFC 7591. It
	// overrides the other fields.
	Metadata map[string]any
}

// Resource is an API for which the provider issues access tokens.
type Resource struct {
	// URI is the resource indicator, RFC 8707, and the audience of the tokens.
	URI string
	// Algorithm signs the tokens: RS256, PS256, ES256 or EdDSA. If it is empty,
	// the tokens are opaque.
	Algorithm string
	// Scope is the scopes of the resource, separated by spaces.
	Scope string
	// Shape gives the tokens the typ and claims of a product that does not follow
	// RFC 9068: "keycloak" or "cognito".
	Shape string
	// Lifetime is the lifetime of the tokens, five minutes if zero.
	Lifetime time.Duration
}

// Provider is a running authorization server.
type Provider struct {
	// Issuer is its issuer identifier, an http or https URL with a loopback address.
	Issuer string

	// Keys are the published signing keys, the newest generation first: one for
	// each algorithm. The first key of an algorithm signs.
	Keys []Key

	process *node.Process
}

// Key names a published signing key.
type Key struct {
	ID        string `json:"kid"`
	Algorithm string `json:"alg"`
}

// Start starts a provider, which ends with the test.
func Start(t testing.TB, o Options) *Provider {
	t.Helper()
	clients := make([]map[string]any, 0, len(o.Clients))
	for _, c := range o.Clients {
		clients = append(clients, c.metadata())
	}
	scopes := append([]string{"openid", "offline_access"}, o.Scopes...)
	resources := make([]map[string]any, 0, len(o.Resources))
	for _, r := range o.Resources {
		if r.Lifetime == 0 {
			r.Lifetime = 5 * time.Minute
		}
		scopes = append(scopes, strings.Fields(r.Scope)...)
		resources = append(resources, map[string]any{
			"uri": r.URI, "algorithm": r.Algorithm, "scope": r.Scope, "ttl": int(r.Lifetime / time.Second), "shape": r.Shape,
		})
	}
	if o.FirstLifetime == 0 {
		o.FirstLifetime = time.Hour
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	p := &Provider{process: node.Start(t, "provider/provider.mjs")}
	p.call(t, map[string]any{
		"do": "start", "host": o.Host, "clients": clients, "resources": resources, "scopes": scopes, "dpopNonce": o.DPoPNonce, "tls": o.TLS,
		"ttl": o.FirstLifetime.Seconds(), "refreshDelay": o.RefreshDelay.Milliseconds(), "endSession": o.EndSessionEndpoint, "claims": o.Claims,
	})
	return p
}

// Rotate generates new signing keys. The old ones stay published.
func (p *Provider) Rotate(t testing.TB) {
	t.Helper()
	p.call(t, map[string]any{"do": "rotate"})
}

// Withdraw stops publishing all signing keys but the newest.
func (p *Provider) Withdraw(t testing.TB) {
	t.Helper()
	p.call(t, map[string]any{"do": "withdraw"})
}

// Issued returns all access, refresh and ID tokens that the token endpoint has
// issued so far.
func (p *Provider) Issued(t testing.TB) []string {
	t.Helper()
	var answer struct{ Tokens []string }
	if err := p.process.Call(map[string]any{"do": "issued"}, &answer); err != nil {
		t.Fatalf("provider: %v", err)
	}
	return answer.Tokens
}

// Refreshes returns the numbers of successful and of rejected refreshes.
func (p *Provider) Refreshes(t testing.TB) (good, refused int) {
	t.Helper()
	var answer struct{ Good, Refused int }
	if err := p.process.Call(map[string]any{"do": "refreshes"}, &answer); err != nil {
		t.Fatalf("provider: %v", err)
	}
	return answer.Good, answer.Refused
}

func (p *Provider) call(t testing.TB, request map[string]any) {
	t.Helper()
	var answer struct {
		Issuer string
		Keys   []Key
	}
	if err := p.process.Call(request, &answer); err != nil {
		t.Fatalf("provider: %v", err)
	}
	if answer.Issuer != "" {
		p.Issuer = answer.Issuer
	}
	p.Keys = answer.Keys
}

func (c Client) metadata() map[string]any {
	m := map[string]any{
		"client_id":                  c.ID,
		"redirect_uris":              []string{},
		"response_types":             []string{},
		"grant_types":                []string{"client_credentials"},
		"token_endpoint_auth_method": "client_secret_basic",
	}
	if len(c.RedirectURIs) > 0 {
		m["redirect_uris"] = c.RedirectURIs
		m["response_types"] = []string{"code"}
		m["grant_types"] = []string{"authorization_code", "refresh_token"}
	}
	if c.Secret != "" {
		m["client_secret"] = c.Secret
	} else {
		m["token_endpoint_auth_method"] = "none"
		m["application_type"] = "native"
	}
	maps.Copy(m, c.Metadata)
	return m
}
