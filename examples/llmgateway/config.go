// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// config is the configuration file.
type config struct {
	Addr      string           `json:"addr"`     // host:port to listen on; port 0 picks a free one
	Issuers   []issuerConfig   `json:"issuers"`  // whose access tokens are accepted
	APIKeys   *keysConfig      `json:"api_keys"` // optional
	Ledger    storeConfig      `json:"ledger"`   // where budgets are kept
	Upstreams []upstreamConfig `json:"upstreams"`

	Tiers        map[string][]string `json:"tiers"`             // the models of each tier
	Aliases      map[string]string   `json:"aliases"`           // other names of models
	Fallbacks    map[string][]string `json:"fallbacks"`         // models to try when the upstream fails
	MaxOutput    map[string]int64    `json:"max_output_tokens"` // of each model
	ToolOverhead map[string]int64    `json:"tool_overhead"`     // tokens that tools add to the input of a model
	ModelTenants map[string]string   `json:"model_tenants"`     // models of one tenant

	Budgets []budgetConfig `json:"budgets"`
	Prompts []promptConfig `json:"prompts"`

	Hold    string        `json:"hold"`           // how long a call may make no progress; 60s if empty
	MaxBody *int64        `json:"max_body_bytes"` // 1 MiB if left out
	Signin  *signinConfig `json:"signin"`         // people for /spend, optional
}

// storeConfig is a database.
type storeConfig struct {
	Driver string `json:"driver"` // memory, sqlite, postgres or redis
	DSN    string `json:"dsn"`    // a path or URL, or env:NAME or file:PATH that contains it
}

// upstreamConfig is an API that serves models.
type upstreamConfig struct {
	Name       string   `json:"name"`
	API        string   `json:"api"` // openai or anthropic
	BaseURL    string   `json:"base_url"`
	Credential string   `json:"credential"` // env:NAME or file:PATH
	Models     []string `json:"models"`
}

// budgetConfig limits the tokens of each account of a kind.
type budgetConfig struct {
	Per       string    `json:"per"`    // key, subject, tenant, tenant_tier or agent
	Window    string    `json:"window"` // minute, day, week, month or rolling_24h
	Zone      string    `json:"zone"`   // UTC if empty
	MaxTokens int64     `json:"max_tokens"`
	Warn      []float64 `json:"warn"` // parts of max_tokens at which an event is logged
}

// promptConfig is a category of prompts.
type promptConfig struct {
	Category string   `json:"category"`
	Contains []string `json:"contains"` // a text with one of these is of the category
	Default  bool     `json:"default"`  // what matches no category
	Roles    []string `json:"roles"`    // of which the caller needs one; all callers if empty
}

// signinConfig is how people sign in.
type signinConfig struct {
	Issuer       string   `json:"issuer"`
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"` // env:NAME or file:PATH
	Scopes       []string `json:"scopes"`        // includes openid and spend:read
	CookieKeys   []string `json:"cookie_keys"`   // env:NAME or file:PATH; the first one seals
	PublicOrigin string   `json:"public_origin"` // the origin that browsers use; that of addr if empty
}

// issuerConfig is an issuer whose access tokens are accepted.
type issuerConfig struct {
	Issuer     string              `json:"issuer"`
	Audience   string              `json:"audience"`
	Algorithms []jwtauth.Algorithm `json:"algorithms"`
	JWKSURL    string              `json:"jwks_url"` // discovery if empty
	Profile    string              `json:"profile"`  // "rfc9068" (default) or "compat"
	Secret     string              `json:"secret"`   // env:NAME or file:PATH, for HS* only

	// With several issuers, each must set one of these two.
	Tenants   []string `json:"tenants"`    // that its tokens may have
	AnyTenant bool     `json:"any_tenant"` // its tokens may have any tenant

	// For providers that do not follow the standards. All are optional.
	Audiences             []string `json:"audiences"`               // other values of aud
	Clients               []string `json:"clients"`                 // whose tokens may lack aud
	AcceptMissingAudience bool     `json:"accept_missing_audience"` // every token may
	Require               []mark   `json:"require"`                 // what an access token has
	Refuse                []mark   `json:"refuse"`                  // what it does not have
	ScopeClaims           []string `json:"scope_claims"`
	ScopePrefix           string   `json:"scope_prefix"` // that scopes of this API have in the token
	RolesClaims           []string `json:"roles_claims"`
	TenantClaim           string   `json:"tenant_claim"`
	PlainHTTPHosts        []string `json:"plain_http_hosts"` // exact host:port, for iss and keys
}

// mark is a condition on a token: a claim or a header parameter is present, has one
// of some values, or equals another claim.
type mark struct {
	Claim  string   `json:"claim"`
	Header string   `json:"header"`
	Values []string `json:"values"`
	Equals string   `json:"equals"`
}

// readConfig decodes the file strictly: an unknown field, a field that occurs
// twice, or data after the object is an error.
func readConfig(path string) (*config, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, errors.Unwrap(err) // without the path, which the caller adds
	}
	names := json.NewDecoder(bytes.NewReader(data))
	if err := checkNames(names, ""); err != nil {
		return nil, fmt.Errorf("byte %d: %w", names.InputOffset(), err)
	}
	if _, err := names.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("data after the JSON object")
	}
	var c config
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(&c)
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		err = fmt.Errorf("%s: unexpected %s", e.Field, e.Value)
	}
	return &c, err
}

// named are the fields whose members are names of models and tiers.
var named = []string{"tiers", "aliases", "fallbacks", "max_output_tokens", "tool_overhead", "model_tenants"}

// checkNames rejects a field that occurs twice and a name in another case, which
// encoding/json accepts. within is the field that has the value.
func checkNames(d *json.Decoder, within string) error {
	value, err := d.Token()
	opening, ok := value.(json.Delim)
	if err != nil || !ok {
		return err
	}
	for seen := make(map[string]bool); d.More(); {
		name := within
		if opening == '{' {
			token, err := d.Token()
			name, _ = token.(string)
			switch {
			case err != nil:
				return err
			case seen[name]:
				return fmt.Errorf("field %q occurs twice", name)
			case name != strings.ToLower(name) && !slices.Contains(named, within):
				return fmt.Errorf("unknown field %q", name)
			}
			seen[name] = true
		}
		if err := checkNames(d, name); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing delimiter
	return err
}
