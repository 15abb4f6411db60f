// SPDX-License-Identifier: Apache-2.0

// Package clientconfig is what the configuration files of the apps that sign
// people in have in common.
package clientconfig

import (
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/examples/internal/configfile"
	"github.com/gatehouse-go/gatehouse/examples/internal/engine"
)

// File is the JSON.
type File struct {
	Addr         string   `json:"addr"`          // host:port to listen on
	PublicOrigin string   `json:"public_origin"` // what browsers reach that by
	Issuer       string   `json:"issuer"`        // the authorization server
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"` // env:NAME or file:PATH
	Scopes       []string `json:"scopes"`        // with openid among them
	CookieKeys   []string `json:"cookie_keys"`   // env:NAME or file:PATH, the one that seals first
	Idle         string   `json:"idle"`          // such as "15m"; the library's default if left out
	Absolute     string   `json:"absolute"`      // such as "12h"; likewise

	Store engine.Config `json:"session_store"`
}

// Values is what the file means. What the library checks is not checked here.
type Values struct {
	Secret         gatehouse.Secret
	Scopes         gatehouse.Scopes
	Keys           *cookie.Ring
	Idle, Absolute time.Duration
}

// Values reads the secrets and returns all mistakes at once.
func (f *File) Values() (Values, error) {
	var v Values
	var errs []error
	fail := func(field string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", field, err))
		}
	}
	if f.Addr == "" {
		fail("addr", errRequired)
	}
	var err error
	// How long a client secret is, the authorization server decides.
	v.Secret, err = load(f.ClientSecret, 1)
	fail("client_secret", err)

	v.Scopes, err = gatehouse.NewScopes(f.Scopes...)
	if err == nil && !v.Scopes.Has("openid") {
		err = errors.New("openid has to be among them: it says who has signed in")
	}
	fail("scopes", err)

	if err := f.Store.Check(); err != nil {
		errs = append(errs, fmt.Errorf("session_store.%w", err))
	}
	v.Keys, err = f.ring()
	fail("cookie_keys", err)
	v.Idle, err = duration(f.Idle)
	fail("idle", err)
	v.Absolute, err = duration(f.Absolute)
	fail("absolute", err)
	return v, errors.Join(errs...)
}

var errRequired = errors.New("required")

func load(ref string, size int) (gatehouse.Secret, error) {
	if ref == "" {
		return gatehouse.Secret{}, errRequired
	}
	return gatehouse.LoadSecret(ref, size)
}

func (f *File) ring() (*cookie.Ring, error) {
	var secrets []gatehouse.Secret
	var errs []error
	for i, ref := range f.CookieKeys {
		secret, err := load(ref, 32)
		if err != nil {
			errs = append(errs, fmt.Errorf("[%d]: %w", i, err))
		}
		secrets = append(secrets, secret)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	ring, err := cookie.NewRing(secrets...)
	return ring, configfile.Rename(err, "cookie: NewRing: ", "")
}

func duration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf(`%q is not a duration such as "15m"`, text)
	}
	return d, nil
}

// Explain names the fields of the file where the library names its own.
func Explain(err error) error {
	return configfile.Rename(err,
		"session: Config.TrustedOrigins: cookie: CrossSiteConfig.TrustedOrigins[0]", "public_origin",
		"session: Config.TrustedOrigins: cookie: CrossSiteConfig.TrustedOrigins[1]", "app_origin",
		"cookie: CrossSiteConfig.TrustedOrigins[1]", "app_origin", // the second of two
		"session: Config.Idle", "idle",
		"session: Config.Absolute", "absolute",
		"oauth: Config.Issuer", "issuer",
		"oauth: Config.ClientID", "client_id",
		"oauth: Config.Secret", "client_secret",
		"oauth: LoginConfig.Request.RedirectURI", "public_origin",
		"oauth: LoginConfig.Request.Scopes", "scopes",
	)
}
