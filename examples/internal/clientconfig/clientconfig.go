// SPDX-License-Identifier: Apache-2.0

// Package clientconfig is what the configuration files of the apps that sign
// people in have in common.
package clientconfig

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/examples/internal/configfile"
	"github.com/gatehouse-go/gatehouse/examples/internal/engine"
)

// File is the JSON.
type File struct {
	Addr         string   `json:"addr" example:"127.0.0.1:8080"`                     // host:port to listen on
	PublicOrigin string   `json:"public_origin" example:"https://notes.example.com"` // what browsers reach that by
	Issuer       string   `json:"issuer" example:"https://auth.example.com"`         // the authorization server
	ClientID     string   `json:"client_id"`                                         // what the app is called there
	ClientSecret string   `json:"client_secret" example:"env:NAME"`                  // or file:PATH
	Scopes       []string `json:"scopes" example:"openid"`                           // with openid among them
	CookieKeys   []string `json:"cookie_keys" example:"env:NAME"`                    // or file:PATH, the one that seals first
	Idle         string   `json:"idle" example:"15m"`                                // the library's default if left out
	Absolute     string   `json:"absolute" example:"12h"`                            // likewise

	Store engine.Config `json:"session_store" example:"{\"driver\": \"memory\"}"`
}

// Values is what the file means. What the library checks is not checked here.
type Values struct {
	Engine         *engine.Engine // to be closed, also where there is an error
	Secret         gatehouse.Secret
	Scopes         gatehouse.Scopes
	Keys           *cookie.Keyring
	Idle, Absolute time.Duration
}

// Values reads the secrets, opens the store, and returns all mistakes at once. In
// the place of what could not be had stands what the library puts up with, so that
// it can be asked for more mistakes; nobody may be served with that.
func (f *File) Values(logger *slog.Logger) (Values, error) {
	var v Values
	var errs []error
	fail := func(field string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", field, err))
		}
	}
	fail("addr", configfile.CheckAddr(f.Addr))
	var err error
	// How long a client secret is, the authorization server decides.
	if v.Secret, err = load(f.ClientSecret, 1); err != nil {
		fail("client_secret", err)
		v.Secret = random()
	}
	v.Scopes, err = f.scopes()
	errs = append(errs, err)
	if v.Engine, err = f.Store.Open(logger); err != nil {
		errs = append(errs, fmt.Errorf("session_store.%w", err))
	}
	v.Keys, err = f.ring()
	errs = append(errs, err)
	if err != nil {
		v.Keys, _ = cookie.NewKeyring(random())
	}
	v.Idle, err = duration(f.Idle)
	fail("idle", err)
	v.Absolute, err = duration(f.Absolute)
	fail("absolute", err)
	return v, errors.Join(errs...)
}

// random is a secret that nobody knows.
func random() gatehouse.Secret {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return gatehouse.NewSecret(b[:])
}

func load(ref string, size int) (gatehouse.Secret, error) {
	if ref == "" {
		return gatehouse.Secret{}, errors.New("required")
	}
	return gatehouse.LoadSecret(ref, size)
}

func (f *File) scopes() (gatehouse.Scopes, error) {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("scopes: "+format, args...)) }
	for _, scope := range f.Scopes {
		switch _, err := gatehouse.NewScopes(scope); {
		case err != nil && strings.Contains(scope, " "):
			fail("%q is not one scope: each is an element of its own", scope)
		case err != nil:
			fail("%q is not a scope", scope)
		}
	}
	scopes, _ := gatehouse.NewScopes(f.Scopes...)
	if len(errs) == 0 && !scopes.Has("openid") {
		fail("openid has to be among them: it says who has signed in")
	}
	return scopes, errors.Join(errs...)
}

func (f *File) ring() (*cookie.Keyring, error) {
	var secrets []gatehouse.Secret
	var errs []error
	for i, ref := range f.CookieKeys {
		secret, err := load(ref, 32)
		if err != nil {
			errs = append(errs, fmt.Errorf("cookie_keys[%d]: %w", i, err))
		}
		secrets = append(secrets, secret)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	ring, err := cookie.NewKeyring(secrets...)
	return ring, configfile.Rename(err, "cookie: NewKeyring: ", "cookie_keys: ")
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

// Join makes one error of what the library has found, with the names of the file
// in place of its own.
func Join(errs ...error) error {
	named := make([]error, len(errs))
	for i, err := range errs {
		named[i] = configfile.Rename(err,
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
			": not an absolute URL", `: not an absolute URL such as "https://example.com"`,
		)
	}
	return configfile.Join(named...)
}
