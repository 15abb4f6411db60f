// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

func TestNewReportsEveryError(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*signin.Config)
		want   string
	}{
		"client":             {func(c *signin.Config) { c.Client.Issuer = "" }, "Config.Client: oauth: Config.Issuer: required"},
		"no redirect URI":    {func(c *signin.Config) { c.RedirectURI = "" }, "Config.RedirectURI: required"},
		"redirect to root":   {func(c *signin.Config) { c.RedirectURI = origin + "/" }, "Config.RedirectURI: path: must not be"},
		"redirect to host":   {func(c *signin.Config) { c.RedirectURI = origin }, "Config.RedirectURI: path: must not be"},
		"redirect to login":  {func(c *signin.Config) { c.RedirectURI = origin + "/auth/login" }, "Config.RedirectURI: path: must not be"},
		"redirect over http": {func(c *signin.Config) { c.RedirectURI = "http://app.example.com/callback" }, "Config.RedirectURI: plain http"},
		"scope":              {func(c *signin.Config) { c.Scopes = []string{"a b"} }, "Config.Scopes: gatehouse: malformed scope"},
		"MaxAge":             {func(c *signin.Config) { c.MaxAge = -1 }, "AuthorizationRequest.MaxAge: must be in whole seconds"},
		"parameter":          {func(c *signin.Config) { c.Params = url.Values{"state": {"x"}} }, "AuthorizationRequest.Params: state"},
		"no secrets":         {func(c *signin.Config) { c.CookieSecrets = nil }, "Config.CookieSecrets: cookie: NewKeyring: at least one secret is required"},
		"no store":           {func(c *signin.Config) { c.Session.Store = nil }, "Config.Session: session: Config.Store: required"},
		"client once": {func(c *signin.Config) {
			c.Client.Once = func(context.Context, string) (bool, error) { return true, nil }
		}, "Config.Client: Once must be nil"},
		"session keys": {func(c *signin.Config) { c.Session.Keys = new(cookie.Keyring) }, "Config.Session: Keys, Refresh, Revoke and Observer must be nil"},
		"session refresh": {func(c *signin.Config) {
			c.Session.Refresh = func(context.Context, session.Tokens) (session.Tokens, error) { return session.Tokens{}, nil }
		}, "Config.Session: Keys, Refresh"},
		"session revoke": {func(c *signin.Config) {
			c.Session.Revoke = func(context.Context, session.Tokens) error { return nil }
		}, "Config.Session: Keys, Refresh"},
		"session observer":   {func(c *signin.Config) { c.Session.Observer = &observer{} }, "Config.Session: Keys, Refresh"},
		"empty group":        {func(c *signin.Config) { c.Admit.Groups = []string{""} }, "Config.Admit: Groups[0]: empty"},
		"domain":             {func(c *signin.Config) { c.Admit.EmailDomains = []string{"@acme.example"} }, "Config.Admit: EmailDomains[0]"},
		"domain in capitals": {func(c *signin.Config) { c.Admit.EmailDomains = []string{"ACME.example"} }, "Config.Admit: EmailDomains[0]"},
		"acr":                {func(c *signin.Config) { c.ACRValues = []string{"a b"} }, "Config.ACRValues: \"a b\""},
		"acr twice":          {func(c *signin.Config) { c.ACRValues, c.Params = []string{"a"}, url.Values{"acr_values": {"b"}} }, "Config.ACRValues: must be empty"},
		"long acr":           {func(c *signin.Config) { c.ACRValues = []string{strings.Repeat("a", 257)} }, "Config.ACRValues: 257 bytes"},
		"remember":           {func(c *signin.Config) { c.Remember.Absolute = 500 * 24 * time.Hour }, "Config.Remember: session: Lifetime.Absolute"},
		"nil revocations":    {func(c *signin.Config) { c.Revocations = (*revocations)(nil) }, "Config.Revocations: is a nil"},
		"nil observer":       {func(c *signin.Config) { c.Observer = (*observer)(nil) }, "Observer: is a nil"},
		"home":               {func(c *signin.Config) { c.Home = "//evil.example" }, "Config.Home: "},
		"post logout":        {func(c *signin.Config) { c.PostLogoutRedirectURI = "/" }, "Config.PostLogoutRedirectURI: not an absolute URL"},
	} {
		config := signin.Config{
			Client: newSite(t).Config(), RedirectURI: origin + "/auth/callback",
			CookieSecrets: []gatehouse.Secret{secret("0123456789abcdef0123456789abcdef")}, Session: session.Config{Store: session.NewMemory(0)},
		}
		test.change(&config)
		if h, err := signin.New(config); err == nil || !strings.Contains(err.Error(), "signin: ") || !strings.Contains(err.Error(), test.want) || h != nil {
			t.Errorf("%s: New error = %v, want %s", name, err, test.want)
		}
	}
	// A mistake in RedirectURI or Scopes is no second mistake in Client.
	_, err := signin.New(signin.Config{
		Client: newSite(t).Config(), RedirectURI: "/auth/callback", Scopes: []string{"a b"},
		CookieSecrets: []gatehouse.Secret{secret("0123456789abcdef0123456789abcdef")}, Session: session.Config{Store: session.NewMemory(0)},
	})
	if want := "signin: Config.RedirectURI: not an absolute URL\nsignin: Config.Scopes: gatehouse: malformed scope \"a b\": each element is one scope"; err == nil || err.Error() != want {
		t.Errorf("New error = %v, want %s", err, want)
	}
	_, err = signin.New(signin.Config{})
	for _, field := range []string{"Client: oauth: Config.Issuer", "RedirectURI", "CookieSecrets", "Session: session: Config.Store"} {
		if err == nil || !strings.Contains(err.Error(), "signin: Config."+field) {
			t.Errorf("New(Config{}) error = %v, want it to name %s", err, field)
		}
	}
}

// TestConfigIsCopied: later changes of slices and maps of the configuration have
// no effect.
func TestConfigIsCopied(t *testing.T) {
	params, resources, trusted := url.Values{"prompt": {"login"}}, []string{"https://api.example.com"}, []string{"https://spa.example.com", "https://other.example"}
	groups, domains, acr := []string{"staff"}, []string{"acme.example"}, []string{"gold"}
	s := newSite(t, func(c *signin.Config) {
		c.Params, c.Resources, c.Session.TrustedOrigins, c.MaxAge = params, resources, trusted[:1], time.Minute
		c.Admit, c.ACRValues, c.Scopes = signin.Admit{Groups: groups, EmailDomains: domains}, acr, []string{"offline_access"}
	})
	params["prompt"][0], resources[0] = "none", "https://evil.example"
	groups[0], domains[0], acr[0] = "guests", "evil.example", "bronze"
	params.Set("x", "y")
	q := must(url.Parse(s.start(""))).Query()
	if q.Get("prompt") != "login" || q.Get("resource") != "https://api.example.com" || q.Has("x") || q.Get("max_age") != "60" || trusted[1] != "https://other.example" {
		t.Errorf("authorization request %v, trusted %q, want the original parameters", q, trusted)
	}
	s.Claims = func(claims object) {
		claims["groups"], claims["email"], claims["email_verified"], claims["acr"] = []string{"staff"}, "ada@acme.example", true, "gold"
	}
	if w := s.login(""); w.Code != http.StatusSeeOther {
		t.Errorf("login: status %d, want 303 by the original groups, domains and acr: %s", w.Code, s.events.names())
	}
}

// TestPaths: the endpoints are in the directory of the redirect URI, and other
// paths are 404.
func TestPaths(t *testing.T) {
	for redirect, test := range map[string]struct{ login, unknown string }{
		origin + "/callback":      {"/login", "/auth/login"},
		origin + "/auth/callback": {"/auth/login", "/login"},
		origin + "/a/b/return":    {"/a/b/login", "/a/b/callback"},
		origin + "/a/callback/":   {"/a/callback/login", "/"},
	} {
		s := newSite(t, func(c *signin.Config) { c.RedirectURI = redirect })
		if w := s.do(http.MethodGet, test.login); w.Code != http.StatusSeeOther {
			t.Errorf("%s: GET %s: status %d, want 303", redirect, test.login, w.Code)
		}
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, s.request(http.MethodGet, test.unknown)); w.Code != http.StatusNotFound || (len(s.events.take()) > 0) != (test.unknown == "/login") {
			t.Errorf("%s: GET %s: status %d, want 404, and an event only for a part of a path", redirect, test.unknown, w.Code)
		}
	}
}

// TestOwnOriginIsTrusted: the origin of the redirect URI can use the sessions if a
// proxy changes the Host.
func TestOwnOriginIsTrusted(t *testing.T) {
	s := newSite(t)
	s.login("")
	for from, status := range map[string]int{"https://evil.example": 403, origin: 303} {
		w := s.do(http.MethodPost, "/auth/logout", header("Origin", from), func(r *http.Request) {
			r.Host = "internal"
			r.Header.Del("Sec-Fetch-Site")
		})
		if w.Code != status {
			t.Errorf("logout from %s: status %d, want %d", from, w.Code, status)
		}
	}
}
