// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

// config is the configuration file.
type config struct {
	Addr     string         `json:"addr"`     // host:port to listen on; port 0 takes a free one
	Resource string         `json:"resource"` // the identifier of this API, for RFC 9728
	Issuers  []issuerConfig `json:"issuers"`
	APIKeys  *apiKeysConfig `json:"api_keys"` // optional
}

// issuerConfig is an authorization server whose access tokens are taken.
type issuerConfig struct {
	Issuer     string              `json:"issuer"`
	Audience   string              `json:"audience"`
	Algorithms []jwtauth.Algorithm `json:"algorithms"`
	JWKSURL    string              `json:"jwks_url"` // left out: found by discovery
	Profile    string              `json:"profile"`  // "rfc9068", which is the default, or "compat"
	Secret     string              `json:"secret"`   // env:NAME or file:PATH, for HS* only
}

func loadConfig(path string) (*config, error) {
	data, err := os.ReadFile(path) //nolint:gosec // it is the operator who names the file
	if err != nil {
		return nil, errors.Unwrap(err) // the path is in front of it already
	}
	var c config
	if err := decodeStrictly(data, &c); err != nil {
		return nil, err
	}
	if c.Addr == "" {
		return nil, errors.New("addr: required")
	}
	return &c, nil
}

// decodeStrictly refuses unknown fields, fields that are there twice, and
// anything behind the end: this file opens doors, so it is never guessed at.
func decodeStrictly(data []byte, v any) error {
	if err := checkNames(json.NewDecoder(bytes.NewReader(data))); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("json: there is something behind the end")
	}
	return nil
}

// checkNames reads one JSON value and refuses what encoding/json puts up with:
// names that are there twice, and names that differ from the right ones in
// their case.
func checkNames(decoder *json.Decoder) error {
	opening, err := decoder.Token()
	if err != nil {
		return err
	}
	switch opening {
	case json.Delim('{'):
		seen := make(map[string]bool)
		for decoder.More() {
			token, err := decoder.Token()
			if err != nil {
				return err
			}
			name, _ := token.(string)
			switch {
			case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz_") != "":
				return fmt.Errorf("json: unknown field %q", name)
			case seen[name]:
				return fmt.Errorf("json: field %q is there twice", name)
			}
			seen[name] = true
			if err := checkNames(decoder); err != nil {
				return err
			}
		}
		_, err = decoder.Token()
	case json.Delim('['):
		for decoder.More() {
			if err := checkNames(decoder); err != nil {
				return err
			}
		}
		_, err = decoder.Token()
	}
	return err
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
		if i.JWKSURL != "" {
			keys = "jwks_url"
		}
		theirs, ours := fmt.Sprintf("jwtauth: Config.Issuers[%d].", n), fmt.Sprintf("issuers[%d].", n)
		names = append(names,
			theirs+"URL", ours+"issuer",
			theirs+"Audience", ours+"audience",
			theirs+"Algorithms", ours+"algorithms",
			theirs+"Keys", ours+keys)
	}
	return rename(err, append(names, "jwtauth: Config.Issuers", "issuers")...)
}

// rename replaces names in an error, which are given in pairs.
func rename(err error, names ...string) error {
	return errors.New(strings.NewReplacer(names...).Replace(err.Error()))
}
