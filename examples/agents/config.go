// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// config is the configuration file.
type config struct {
	Addr         string              `json:"addr"`          // host:port to listen on; port 0 picks a free one
	PublicOrigin string              `json:"public_origin"` // the origin that clients use, and the issuer of agents' tokens
	TLS          *tlsConfig          `json:"tls"`           // optional
	Issuers      []issuerConfig      `json:"issuers"`       // of people and of their delegated tokens
	APIKeys      *keysConfig         `json:"api_keys"`      // optional
	Store        storeConfig         `json:"store"`
	SigningKey   string              `json:"signing_key"` // file:PATH
	Agents       []agentConfig       `json:"agents"`
	Roles        map[string][]string `json:"roles"` // scopes of each role of agents
	Approvals    approvalsConfig     `json:"approvals"`
	Audit        *auditConfig        `json:"audit"`
	SignIn       *signInConfig       `json:"signin"` // optional
}

// storeConfig is where agents, approvals, used assertions and proofs, and sessions are
// kept. Nodes that share it are one server.
type storeConfig struct {
	Driver string `json:"driver"` // memory, sqlite, postgres or redis
	DSN    string `json:"dsn"`    // a path or URL, or env:NAME or file:PATH that contains it
}

// agentConfig is an agent that is registered at start.
type agentConfig struct {
	ID          string          `json:"id"`
	Tenant      string          `json:"tenant"`
	Owner       string          `json:"owner"` // optional
	Roles       []string        `json:"roles"`
	JWK         json.RawMessage `json:"jwk"`         // its public key
	Attestation string          `json:"attestation"` // "key" or "none" (default)
}

type approvalsConfig struct {
	TTL           string `json:"ttl"`             // 10m if empty
	AdminsForExec *int   `json:"admins_for_exec"` // 1 if absent
}

type auditConfig struct {
	Path       string `json:"path"`
	SigningKey string `json:"signing_key"` // file:PATH
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
	if err := checkNames(names, false); err != nil {
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

// checkNames rejects a field that occurs twice and a name in another case, which
// encoding/json accepts. Names of roles and members of keys are free.
func checkNames(d *json.Decoder, free bool) error {
	value, err := d.Token()
	opening, ok := value.(json.Delim)
	if err != nil || !ok {
		return err
	}
	for seen := make(map[string]bool); d.More(); {
		inner := free
		if opening == '{' {
			token, err := d.Token()
			name, _ := token.(string)
			switch {
			case err != nil:
				return err
			case seen[name]:
				return fmt.Errorf("field %q occurs twice", name)
			case name != strings.ToLower(name) && !free:
				return fmt.Errorf("unknown field %q", name)
			}
			seen[name] = true
			inner = free || name == "roles" || name == "jwk"
		}
		if err := checkNames(d, inner); err != nil {
			return err
		}
	}
	_, err = d.Token() // the closing delimiter
	return err
}

// settings are the values of a configuration that the library needs.
type settings struct {
	issuers  []jwtauth.Issuer
	cacheTTL time.Duration
	lifetime time.Duration // of approvals
	admins   int           // that approve the execution of code
}

// settings checks the values that the library does not check.
func (c *config) settings() (settings, error) {
	s := settings{lifetime: 10 * time.Minute, admins: 1}
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	_, port, err := net.SplitHostPort(c.Addr)
	if _, numErr := strconv.ParseUint(port, 10, 16); err != nil || numErr != nil {
		fail(`addr: %q is not host:port, such as "127.0.0.1:8080"`, c.Addr)
	}
	if u, err := url.Parse(c.PublicOrigin); err != nil || u.Host == "" || u.Scheme+"://"+u.Host != c.PublicOrigin ||
		c.PublicOrigin != strings.ToLower(c.PublicOrigin) || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		fail(`public_origin: %q is not an origin in lower case, such as "https://tools.example.com"`, c.PublicOrigin)
	}
	for n, i := range c.Issuers {
		issuer, mistakes := i.issuer()
		for _, err := range mistakes {
			fail("issuers[%d].%w", n, err)
		}
		if strings.EqualFold(strings.TrimRight(i.Issuer, "/"), c.PublicOrigin) {
			fail("issuers[%d].issuer: is public_origin, which issues the tokens of agents only", n)
		}
		s.issuers = append(s.issuers, issuer)
	}
	if c.APIKeys != nil {
		s.cacheTTL, err = c.APIKeys.check()
		if err != nil {
			errs = append(errs, err)
		}
		for n, mint := range c.APIKeys.Mint {
			if mint.Agent != "" && !slices.ContainsFunc(c.Agents, func(a agentConfig) bool { return a.ID == mint.Agent && a.Tenant == mint.Tenant }) {
				fail("api_keys.mint[%d].agent: %q is not an agent of the tenant", n, mint.Agent)
			}
		}
	}
	if c.Approvals.TTL != "" {
		if s.lifetime, err = time.ParseDuration(c.Approvals.TTL); err != nil || s.lifetime < time.Second || s.lifetime > 24*time.Hour {
			fail(`approvals.ttl: %q is not a duration from "1s" to "24h"`, c.Approvals.TTL)
		}
	}
	if c.Approvals.AdminsForExec != nil {
		if s.admins = *c.Approvals.AdminsForExec; s.admins < 1 || s.admins > 10 {
			fail("approvals.admins_for_exec: got %d, want 1 to 10", s.admins)
		}
	}
	if c.Audit == nil {
		fail("audit: required")
	}
	errs = append(errs, c.checkRoles(), c.checkAgents(), c.checkSignIn())
	return s, errors.Join(errs...)
}

// checkRoles checks the table of roles.
func (c *config) checkRoles() error {
	var errs []error
	for role, granted := range c.Roles {
		scopes, err := gatehouse.NewScopes(granted...)
		switch {
		case role == "":
			err = errors.New("a role needs a name")
		case err != nil:
		case scopes.Len() == 0:
			err = errors.New("at least one scope is required")
		case strings.Contains(scopes.String(), "*"):
			err = errors.New("a scope has no wildcard")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("roles.%s: %w", role, err))
		}
	}
	return errors.Join(errs...)
}

// checkAgents makes the checks that the registry of agents does not make.
func (c *config) checkAgents() error {
	var errs []error
	for n, a := range c.Agents {
		fail := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("agents[%d].%w", n, fmt.Errorf(format, args...)))
		}
		switch {
		case a.ID == "":
			fail("id: required")
		case slices.ContainsFunc(c.Agents[:n], func(other agentConfig) bool { return other.ID == a.ID }):
			fail("id: %q occurs twice", a.ID)
		}
		if a.Tenant == "" {
			fail("tenant: required")
		}
		if len(a.Roles) == 0 {
			fail("roles: at least one is required")
		}
		for _, role := range a.Roles {
			if c.Roles[role] == nil {
				fail("roles: unknown role %q", role)
			}
		}
		if len(a.JWK) == 0 || string(a.JWK) == "null" {
			fail("jwk: required")
		}
		if a.Attestation != "" && a.Attestation != "key" && a.Attestation != "none" {
			fail(`attestation: %q is neither "key" nor "none"`, a.Attestation)
		}
	}
	return errors.Join(errs...)
}
