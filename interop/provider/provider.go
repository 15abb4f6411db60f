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
	// Host is the host of the issuer, "127.0.0.1" if empty. With "localhost" the
	// provider is another site than what is at 127.0.0.1, to a browser.
	Host string

	Clients   []Client
	Resources []Resource

	// Scopes are more scopes than those of the resources, openid and
	// offline_access.
	Scopes []string

	// DPoPNonce makes the provider ask for a nonce in every DPoP proof.
	DPoPNonce bool

	// FirstLifetime is that of access tokens which come with a login and are for
	// no resource but the userinfo endpoint, an hour if zero. Those of a refresh
	// last an hour.
	FirstLifetime time.Duration

	// RefreshDelay is how long the answer to a refresh lets itself be waited
	// for, the refresh having happened.
	RefreshDelay time.Duration
}

// Client is a registered client.
type Client struct {
	ID string
	// Secret makes the client a confidential one, with HTTP Basic; without it
	// the client is public.
	Secret string
	// RedirectURIs gives the client the authorization code and refresh grants.
	// Without any, a confidential client has client credentials.
	RedirectURIs []string
	// Metadata is more client metadata, by the names of RFC 7591. It wins over
	// what follows from the other fields.
	Metadata map[string]any
}

// Resource is an API that the provider issues access tokens for.
type Resource struct {
	// URI is the resource indicator, RFC 8707, and the audience of the tokens.
	URI string
	// Algorithm signs the tokens: RS256, PS256, ES256 or EdDSA. If it is empty,
	// the tokens are opaque.
	Algorithm string
	// Scope is the scopes of the resource, separated by spaces.
	Scope string
	// Lifetime is that of the tokens, five minutes if zero.
	Lifetime time.Duration
}

// Provider is a running authorization server.
type Provider struct {
	// Issuer is its issuer identifier, an http URL with a loopback address.
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

// Start runs a provider and ends it with the test.
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
			"uri": r.URI, "algorithm": r.Algorithm, "scope": r.Scope, "ttl": int(r.Lifetime / time.Second),
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
		"do": "start", "host": o.Host, "clients": clients, "resources": resources, "scopes": scopes, "dpopNonce": o.DPoPNonce,
		"ttl": o.FirstLifetime.Seconds(), "refreshDelay": o.RefreshDelay.Milliseconds(),
	})
	return p
}

// Rotate makes new signing keys. The old ones stay published.
func (p *Provider) Rotate(t testing.TB) {
	t.Helper()
	p.call(t, map[string]any{"do": "rotate"})
}

// Withdraw stops publishing all signing keys but the newest.
func (p *Provider) Withdraw(t testing.TB) {
	t.Helper()
	p.call(t, map[string]any{"do": "withdraw"})
}

// Issued are all access, refresh and ID tokens that the token endpoint has given
// so far. A test that looks for them elsewhere knows what to look for.
func (p *Provider) Issued(t testing.TB) []string {
	t.Helper()
	var answer struct{ Tokens []string }
	if err := p.process.Call(map[string]any{"do": "issued"}, &answer); err != nil {
		t.Fatalf("provider: %v", err)
	}
	return answer.Tokens
}

// Refreshes is how many refreshes there have been, and how many were refused.
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
