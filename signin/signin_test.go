// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

func TestNewReportsEveryError(t *testing.T) {
	mistake := func(change func(*signin.Config)) error {
		config := configOf(newSite(t))
		change(&config)
		h, err := signin.New(config)
		if h != nil || err == nil {
			t.Errorf("New() = %v, %v, want an error only", h, err)
			return errors.New("none")
		}
		return err
	}
	for name, test := range map[string]struct {
		change func(*signin.Config)
		want   string
	}{
		"client":                   {func(c *signin.Config) { c.Client.Issuer = "" }, "Config.Client: oauth: Config.Issuer: required"},
		"no redirect URI":          {func(c *signin.Config) { c.RedirectURI = "" }, "Config.RedirectURI: required"},
		"redirect to root":         {func(c *signin.Config) { c.RedirectURI = origin + "/" }, "Config.RedirectURI: path: must not be"},
		"redirect to host":         {func(c *signin.Config) { c.RedirectURI = origin }, "Config.RedirectURI: path: must not be"},
		"redirect to login":        {func(c *signin.Config) { c.RedirectURI = origin + "/auth/login" }, "Config.RedirectURI: path: must not be"},
		"redirect to logout":       {func(c *signin.Config) { c.RedirectURI = origin + "/logout" }, "Config.RedirectURI: path: must not be"},
		"redirect to back channel": {func(c *signin.Config) { c.RedirectURI = origin + "/backchannel-logout" }, "Config.RedirectURI: path: must not be"},
		"redirect with a space":    {func(c *signin.Config) { c.RedirectURI = origin + "/a%20b/callback" }, "signin: Config: gatehouse"},
		"redirect over http":       {func(c *signin.Config) { c.RedirectURI = "http://app.example.com/callback" }, "Config.RedirectURI: plain http"},
		"scope":                    {func(c *signin.Config) { c.Scopes = []string{"a b"} }, "Config.Scopes: gatehouse: malformed scope"},
		"MaxAge":                   {func(c *signin.Config) { c.MaxAge = -1 }, "AuthorizationRequest.MaxAge: must be in whole seconds"},
		"parameter":                {func(c *signin.Config) { c.Params = url.Values{"state": {"x"}} }, "AuthorizationRequest.Params: state"},
		"no secrets":               {func(c *signin.Config) { c.CookieSecrets = nil }, "Config.CookieSecrets: cookie: NewKeyring: at least one secret is required"},
		"no store":                 {func(c *signin.Config) { c.Session.Store = nil }, "Config.Session: session: Config.Store: required"},
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
		"session observer":    {func(c *signin.Config) { c.Session.Observer = &observer{} }, "Config.Session: Keys, Refresh"},
		"empty group":         {func(c *signin.Config) { c.Admit.Groups = []string{"staff", ""} }, "Config.Admit: Groups[1]: empty"},
		"domain":              {func(c *signin.Config) { c.Admit.EmailDomains = []string{"@acme.example"} }, "Config.Admit: EmailDomains[0]"},
		"domain with a space": {func(c *signin.Config) { c.Admit.EmailDomains = []string{"acme.example", "acme example"} }, "Config.Admit: EmailDomains[1]"},
		"domain in capitals":  {func(c *signin.Config) { c.Admit.EmailDomains = []string{"ACME.example"} }, "Config.Admit: EmailDomains[0]"},
		"acr":                 {func(c *signin.Config) { c.ACRValues = []string{"gold", "a b"} }, "Config.ACRValues: \"a b\""},
		"acr twice":           {func(c *signin.Config) { c.ACRValues, c.Params = []string{"a"}, url.Values{"acr_values": {"b"}} }, "Config.ACRValues: must be empty"},
		"long acr":            {func(c *signin.Config) { c.ACRValues = []string{strings.Repeat("a", 257)} }, "Config.ACRValues: 257 bytes"},
		"remember":            {func(c *signin.Config) { c.Remember.Absolute = 500 * 24 * time.Hour }, "Config.Remember: session: Lifetime.Absolute"},
		"nil revocations":     {func(c *signin.Config) { c.Revocations = (*revocations)(nil) }, "Config.Revocations: is a nil"},
		"nil observer":        {func(c *signin.Config) { c.Observer = (*observer)(nil) }, "Observer: is a nil"},
		"home":                {func(c *signin.Config) { c.Home = "//evil.example" }, "Config.Home: "},
		"post logout":         {func(c *signin.Config) { c.PostLogoutRedirectURI = "/" }, "Config.PostLogoutRedirectURI: not an absolute URL"},
	} {
		if err := mistake(test.change); !strings.Contains(err.Error(), "signin: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: New error = %v, want %s", name, err, test.want)
		}
	}
	// One mistake is not reported twice, such as in Client and in Session too.
	for want, change := range map[string]func(*signin.Config){
		"RedirectURI: not an absolute URL":                                      func(c *signin.Config) { c.RedirectURI = "/auth/callback" },
		"Scopes: gatehouse: malformed scope \"a b\": each element is one scope": func(c *signin.Config) { c.Scopes = []string{"a b"} },
		"CookieSecrets: cookie: NewKeyring: at least one secret is required":    func(c *signin.Config) { c.CookieSecrets = nil },
	} {
		if err := mistake(change); err.Error() != "signin: Config."+want {
			t.Errorf("New error = %v, want %s", err, want)
		}
	}
	err := mistake(func(c *signin.Config) { *c = signin.Config{} })
	for _, field := range []string{"Client: oauth: Config.Issuer", "RedirectURI", "CookieSecrets", "Session: session: Config.Store"} {
		if !strings.Contains(err.Error(), "signin: Config."+field) {
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
		origin + "/a/c/return":    {"/a/c/login", "/a/c"},
		origin + "/a/callback/":   {"/a/callback/login", "/"},
	} {
		s := newSite(t, func(c *signin.Config) { c.RedirectURI = redirect })
		if w := s.do(http.MethodGet, test.login); w.Code != http.StatusSeeOther {
			t.Errorf("%s: GET %s: status %d, want 303", redirect, test.login, w.Code)
		}
		w := s.through(s, http.MethodGet, test.unknown)
		events := s.events.take()
		event, page := len(events) > 0, w.Header().Get("Content-Type") == "text/html; charset=utf-8"
		if w.Code != http.StatusNotFound || event != (test.unknown == "/login") || page != event ||
			event && !strings.Contains(events[0].Cause.Error(), "got "+test.unknown+", want "+test.login) {
			t.Errorf("%s: GET %s: %d %v, want 404, with an event and a page only for a part of a path", redirect, test.unknown, w.Code, w.Header())
		}
	}
}

// TestOwnOriginIsTrusted: the origin of the redirect URI can use the sessions if a
// proxy changes the Host, beside the origins of the configuration.
func TestOwnOriginIsTrusted(t *testing.T) {
	const spa = "https://spa.example.com"
	s := newSite(t, func(c *signin.Config) { c.Session.TrustedOrigins = []string{spa} })
	s.login("")
	for from, status := range map[string]int{"https://evil.example": 403, origin: 303, spa: 303} {
		w := s.do(http.MethodPost, "/auth/logout", func(r *http.Request) { r.Host, r.Header["Sec-Fetch-Site"] = "internal", nil }, header("Origin", from))
		if w.Code != status {
			t.Errorf("logout from %s: status %d, want %d", from, w.Code, status)
		}
	}
}
