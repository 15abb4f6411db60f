// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/examples/internal/configfile"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// config is the configuration file.
type config struct {
	Addr     string         `json:"addr" example:"127.0.0.1:8080"`              // host:port to listen on; port 0 takes a free one
	Resource string         `json:"resource" example:"https://api.example.com"` // the identifier of this API, for RFC 9728
	Issuers  []issuerConfig `json:"issuers"`
	APIKeys  *apiKeysConfig `json:"api_keys"` // optional
}

// issuerConfig is an authorization server whose access tokens are taken.
type issuerConfig struct {
	Issuer     string              `json:"issuer"`
	Audience   string              `json:"audience"`
	Algorithms []jwtauth.Algorithm `json:"algorithms" example:"RS256"`
	JWKSURL    string              `json:"jwks_url"` // left out: found by discovery
	Profile    string              `json:"profile"`  // "rfc9068", which is the default, or "compat"
	Secret     string              `json:"secret"`   // env:NAME or file:PATH, for HS* only
}

func loadConfig(path string) (*config, error) {
	var c config
	if err := configfile.Read(path, &c); err != nil {
		return nil, err
	}
	return &c, nil
}

// check returns the mistakes that are none of the library's.
func (c *config) check() error {
	if err := configfile.CheckAddr(c.Addr); err != nil {
		return fmt.Errorf("addr: %w", err)
	}
	return nil
}

// issuers says to jwtauth what the file says. What it means, jwtauth checks.
func (c *config) issuers() ([]jwtauth.Issuer, error) {
	var issuers []jwtauth.Issuer
	var errs []error
	for n, i := range c.Issuers {
		issuer := jwtauth.Issuer{URL: i.Issuer, Audience: i.Audience, Algorithms: i.Algorithms}
		switch i.Profile {
		case "", "rfc9068":
			issuer.Profile = jwtauth.RFC9068
		case "compat":
			issuer.Profile = jwtauth.Compatible
		default:
			errs = append(errs, fmt.Errorf(`issuers[%d].profile: %q is neither "rfc9068" nor "compat"`, n, i.Profile))
		}
		switch {
		case i.Secret != "" && i.JWKSURL != "":
			errs = append(errs, fmt.Errorf("issuers[%d].secret: does not go together with jwks_url", n))
			issuer.Keys = jwtauth.RemoteKeys(i.JWKSURL)
		case i.Secret != "":
			secret, err := gatehouse.LoadSecret(i.Secret, 32)
			if err != nil {
				errs = append(errs, fmt.Errorf("issuers[%d].secret: %w", n, err))
			}
			issuer.Keys = jwtauth.SharedSecret(secret)
		case i.JWKSURL != "":
			issuer.Keys = jwtauth.RemoteKeys(i.JWKSURL)
		default:
			issuer.Keys = jwtauth.Discover()
		}
		issuers = append(issuers, issuer)
	}
	return issuers, errors.Join(errs...)
}

// explain names the fields of the file where the library names its own.
func (c *config) explain(err error) error {
	names := []string{"gatehouse: ProtectedResource.Resource", "resource"}
	for n, i := range c.Issuers {
		keys := "secret"
		if i.JWKSURL != "" && i.Secret == "" {
			keys = "jwks_url"
		}
		theirs, ours := fmt.Sprintf("jwtauth: Config.Issuers[%d].", n), fmt.Sprintf("issuers[%d].", n)
		names = append(names,
			theirs+"URL", ours+"issuer",
			theirs+"Audience", ours+"audience",
			theirs+"Algorithms", ours+"algorithms",
			theirs+"Keys", ours+keys,
			fmt.Sprintf("gatehouse: ProtectedResource.AuthorizationServers[%d]", n), ours+"issuer")
	}
	return configfile.Rename(err, append(names,
		"gatehouse: ProtectedResource.AuthorizationServers", "issuers",
		"jwtauth: Config.Issuers", "issuers")...)
}
