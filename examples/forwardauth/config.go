// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"

	"github.com/gatehouse-go/gatehouse"
)

// config is the configuration file.
type config struct {
	Addr         string   `json:"addr"`          // host:port to listen on, for the proxy only
	PublicOrigin string   `json:"public_origin"` // the origin of the application in browsers
	Proxies      []string `json:"proxies"`       // the networks of the proxy
	Issuer       string   `json:"issuer"`        // the authorization server
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"` // env:NAME or file:PATH
	Scopes       []string `json:"scopes"`
	CookieKeys   []string `json:"cookie_keys"` // env:NAME or file:PATH; the first one seals
	Domains      []string `json:"domains"`     // of the email addresses that may sign in; empty for all users
}

func readConfig(path string) (*config, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, errors.Unwrap(err) // without the path, which the caller adds
	}
	defer file.Close()
	var c config
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&c); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("data after the JSON object")
	}
	return &c, nil
}

// settings are the values that the library does not check.
type settings struct {
	secret     gatehouse.Secret
	cookieKeys []gatehouse.Secret
	proxies    []netip.Prefix
}

func (c *config) settings() (s settings, err error) {
	var errs []error
	load := func(field, ref string, size int) gatehouse.Secret {
		secret, err := gatehouse.LoadSecret(ref, size)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", field, err))
		}
		return secret
	}
	s.secret = load("client_secret", c.ClientSecret, 1)
	for i, ref := range c.CookieKeys {
		s.cookieKeys = append(s.cookieKeys, load(fmt.Sprintf("cookie_keys[%d]", i), ref, 32))
	}
	if len(c.Proxies) == 0 {
		errs = append(errs, errors.New("proxies: required: the networks of the proxy, such as 127.0.0.1/32"))
	}
	for i, text := range c.Proxies {
		network, err := netip.ParsePrefix(text)
		if err != nil || network.Bits() == 0 || network != network.Masked() || network.Addr().Is4In6() {
			errs = append(errs, fmt.Errorf("proxies[%d]: %q is not a network such as 127.0.0.1/32", i, text))
		}
		s.proxies = append(s.proxies, network)
	}
	return s, errors.Join(errs...)
}
