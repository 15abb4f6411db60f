// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// config is the configuration file.
type config struct {
	Addr     string         `json:"addr"`     // host:port to listen on; port 0 picks a free one
	Resource string         `json:"resource"` // the identifier of this API, RFC 9728
	Issuers  []issuerConfig `json:"issuers"`
	APIKeys  *keysConfig    `json:"api_keys"` // optional

	// For sender-constrained tokens, all optional: see bound.go.
	PublicOrigin string      `json:"public_origin"` // the origin that clients use
	TLS          *tlsConfig  `json:"tls"`
	MTLS         *mtlsConfig `json:"mtls"`
	DPoP         *dpopConfig `json:"dpop"`

	Introspection []introspectionConfig `json:"introspection"` // of opaque tokens

	MetricsAddr string `json:"metrics_addr"` // loopback host:port for Prometheus; none if empty
	AccessLog   bool   `json:"access_log"`   // a line for each request
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
	if err := checkNames(names); err != nil {
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
// encoding/json accepts.
func checkNames(d *json.Decoder) error {
	value, err := d.Token()
	opening, ok := value.(json.Delim)
	if err != nil || !ok {
		return err
	}
	for seen := make(map[string]bool); d.More(); {
		if opening == '{' {
			token, err := d.Token()
			name, _ := token.(string)
			switch {
			case err != nil:
				return err
			case seen[name]:
				return fmt.Errorf("field %q occurs twice", name)
			case name != strings.ToLower(name):
				return fmt.Errorf("unknown field %q", name)
			}
			seen[name] = true
		}
		if err := checkNames(d); err != nil {
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
}

// settings checks the values that the library does not check.
func (c *config) settings() (settings, error) {
	var s settings
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	_, port, err := net.SplitHostPort(c.Addr)
	if _, numErr := strconv.ParseUint(port, 10, 16); err != nil || numErr != nil {
		fail(`addr: %q is not host:port, such as "127.0.0.1:8080"`, c.Addr)
	}
	if c.MetricsAddr != "" && !isLoopbackAddr(c.MetricsAddr) {
		fail(`metrics_addr: %q is not a loopback address with a port, such as "127.0.0.1:9464"`, c.MetricsAddr)
	}
	for n, i := range c.Issuers {
		issuer, mistakes := i.issuer()
		for _, err := range mistakes {
			fail("issuers[%d].%w", n, err)
		}
		s.issuers = append(s.issuers, issuer)
	}
	if err := c.checkTenants(); err != nil {
		errs = append(errs, err)
	}
	if c.APIKeys != nil {
		s.cacheTTL, err = c.APIKeys.check()
		if err != nil {
			errs = append(errs, err)
		}
	}
	return s, errors.Join(errs...)
}
