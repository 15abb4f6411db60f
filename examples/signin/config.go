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
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/stepup"
)

// config is the configuration file.
type config struct {
	Addr         string   `json:"addr"`          // host:port to listen on
	PublicOrigin string   `json:"public_origin"` // the origin that browsers use for it
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

	// Optional.
	BasePath string `json:"base_path"` // the path of the application behind a proxy, such as /notes
	StepUp   struct {
		MaxAge    string   `json:"max_age"`    // of the login
		ACRValues []string `json:"acr_values"` // the accepted strengths of the login
	} `json:"step_up"` // what GET /export demands
	Remember struct {
		Idle     string `json:"idle"`     // idle timeout
		Absolute string `json:"absolute"` // absolute timeout
	} `json:"remember"` // the sessions of users who ask to stay signed in
	Admit struct {
		Groups       []string `json:"groups"`
		GroupsClaim  string   `json:"groups_claim"`
		EmailDomains []string `json:"email_domains"`
	} `json:"admit"` // who may sign in
	Userinfo bool `json:"userinfo"` // whether the claims of the userinfo endpoint count
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
	stepUp         stepup.Requirement
	remember       session.Lifetime
}

// basePath matches paths that are the same for every proxy and router.
var basePath = regexp.MustCompile(`^(/[a-z0-9_-]+)*$`)

var acrValue = regexp.MustCompile("^[!-~]+$")

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
	_, port, err := net.SplitHostPort(c.Addr)
	if _, numErr := strconv.ParseUint(port, 10, 16); err != nil || numErr != nil {
		fail(`addr: %q is not host:port, such as "127.0.0.1:8080"`, c.Addr)
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
	if c.Remember.Idle != "" || c.Remember.Absolute != "" {
		s.remember = session.Lifetime{
			Idle: duration("remember.idle", c.Remember.Idle), Absolute: duration("remember.absolute", c.Remember.Absolute), Persistent: true,
		}
	}
	if !basePath.MatchString(c.BasePath) {
		fail(`base_path: %q is not a path such as "/notes"`, c.BasePath)
	}
	s.stepUp = stepup.Requirement{MaxAge: duration("step_up.max_age", c.StepUp.MaxAge), ACRValues: c.StepUp.ACRValues}
	if d := s.stepUp.MaxAge; d != 0 && (d < 10*time.Second || d > 365*24*time.Hour || d%time.Second != 0) {
		fail("step_up.max_age: %v is not from 10s to 8760h in whole seconds", d)
	}
	if values := strings.Join(c.StepUp.ACRValues, " "); len(values) > 256 || slices.ContainsFunc(c.StepUp.ACRValues, func(v string) bool { return !acrValue.MatchString(v) }) {
		fail("step_up.acr_values: must be visible ASCII without spaces, together at most 256 bytes")
	}
	return s, errors.Join(errs...)
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
		"signin: Config.Admit", "admit",
		"signin: Config.Remember", "remember",
		"session: Config.Idle", "idle",
		"session: Config.Absolute", "absolute",
		"oauth: Config.Issuer", "issuer",
		"oauth: Config.ClientID", "client_id",
		"oauth: Config.Secret", "client_secret",
	).Replace(text))
}
