// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// config is the configuration file.
type config struct {
	Addr         string   `json:"addr"`          // host:port for the backend
	PublicOrigin string   `json:"public_origin"` // the origin of the backend in browsers
	AppAddr      string   `json:"app_addr"`      // host:port for the page
	AppOrigin    string   `json:"app_origin"`    // the origin of the page in browsers
	Issuer       string   `json:"issuer"`        // the authorization server
	ClientID     string   `json:"client_id"`
	ClientSecret string   `json:"client_secret"` // env:NAME or file:PATH
	Scopes       []string `json:"scopes"`        // includes openid
	CookieKeys   []string `json:"cookie_keys"`   // env:NAME or file:PATH; the first one seals
	Idle         string   `json:"idle"`          // idle timeout of sessions
	Absolute     string   `json:"absolute"`      // absolute timeout of sessions

	Store struct {
		Driver string `json:"driver"` // memory, sqlite, postgres or redis
		DSN    string `json:"dsn"`    // a path or URL, or env:NAME or file:PATH that contains it
	} `json:"session_store"`
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
	secret         gatehouse.Secret
	cookieKeys     []gatehouse.Secret
	idle, absolute time.Duration // 0 for the default of the library
}

// settings loads the secrets and checks the values that the library does not
// check.
func (c *config) settings() (settings, error) {
	var s settings
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	load := func(field, ref string, size int) gatehouse.Secret {
		secret, err := gatehouse.LoadSecret(ref, size)
		if err != nil {
			fail("%s: %w", field, err)
		}
		return secret
	}
	duration := func(field, text string) time.Duration {
		if text == "" {
			return 0
		}
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			fail(`%s: %q is not a duration such as "15m"`, field, text)
		}
		return d
	}
	for _, addr := range [][2]string{{"addr", c.Addr}, {"app_addr", c.AppAddr}} {
		_, port, err := net.SplitHostPort(addr[1])
		if _, numErr := strconv.ParseUint(port, 10, 16); err != nil || numErr != nil {
			fail(`%s: %q is not host:port, such as "127.0.0.1:8080"`, addr[0], addr[1])
		}
	}
	if err := c.checkSite(); err != nil {
		fail("app_origin: %w", err)
	}
	s.secret = load("client_secret", c.ClientSecret, 1)
	if scopes, err := gatehouse.NewScopes(c.Scopes...); err != nil {
		fail("scopes: %w", err)
	} else if !scopes.Has("openid") {
		fail("scopes: openid is required")
	}
	for i, ref := range c.CookieKeys {
		s.cookieKeys = append(s.cookieKeys, load(fmt.Sprintf("cookie_keys[%d]", i), ref, 32))
	}
	s.idle = duration("idle", c.Idle)
	s.absolute = duration("absolute", c.Absolute)
	return s, errors.Join(errs...)
}

// checkSite returns an error if browsers would not send the cookie of the backend
// with requests of the page. The constructors check that both are origins.
func (c *config) checkSite() error {
	page, err1 := url.Parse(c.AppOrigin)
	backend, err2 := url.Parse(c.PublicOrigin)
	switch {
	case err1 != nil || err2 != nil || page.Host == "" || backend.Host == "":
		return nil //nolint:nilerr // package signin reports it
	case c.AppOrigin == c.PublicOrigin:
		return errors.New("equals public_origin; for one origin use examples/signin")
	case page.Scheme != backend.Scheme:
		return fmt.Errorf("scheme %s differs from %s of public_origin, so browsers do not send the cookie", page.Scheme, backend.Scheme)
	case siteOf(page.Hostname()) != siteOf(backend.Hostname()):
		return errors.New("another site than public_origin, so browsers do not send the cookie")
	}
	return nil
}

// siteOf returns the last two labels of a host name. It does not read the public
// suffix list: a.co.uk and b.co.uk pass here and are two sites for browsers.
func siteOf(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	labels := strings.Split(host, ".")
	return strings.Join(labels[max(len(labels)-2, 0):], ".")
}

// rename replaces the names of library fields in err by those of the file.
func rename(err error) error {
	text := strings.NewReplacer("signin: Config.Client: ", "", "signin: Config.Session: ", "").Replace(err.Error())
	return errors.New(strings.NewReplacer(
		"store: Config.Driver", "session_store.driver",
		"store: Config.DSN", "session_store.dsn",
		"signin: Config.CookieSecrets", "cookie_keys",
		"signin: Config.RedirectURI", "public_origin",
		"oauth: AuthorizationRequest.RedirectURI", "public_origin",
		"signin: Config.PostLogoutRedirectURI", "public_origin",
		"session: Config.TrustedOrigins: cookie: CrossSiteConfig.TrustedOrigins[0]", "public_origin",
		"session: Config.TrustedOrigins: cookie: CrossSiteConfig.TrustedOrigins[1]", "app_origin",
		"cookie: CrossSiteConfig.TrustedOrigins[1]", "app_origin", // the second error of two
		"signin: Config.Home", "app_origin",
		"session: Config.Idle", "idle",
		"session: Config.Absolute", "absolute",
		"oauth: Config.Issuer", "issuer",
		"oauth: Config.ClientID", "client_id",
		"oauth: Config.Secret", "client_secret",
	).Replace(text))
}
