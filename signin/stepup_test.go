// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/signin"
)

// TestLoginParameters: what a link can ask for, and what it cannot weaken.
func TestLoginParameters(t *testing.T) {
	plain := newSite(t)
	fixed := newSite(t, func(c *signin.Config) {
		c.Params = url.Values{"login_hint": {"ada@acme.example"}, "prompt": {"login"}}
		c.ACRValues = []string{"gold", "silver"}
	})
	quiet := newSite(t, func(c *signin.Config) { c.Params = url.Values{"prompt": {"none"}} })
	bare := newSite(t)
	bare.Metadata["prompt_values_supported"] = []string{"none", "login", "consent"}
	rich := newSite(t)
	rich.Metadata["prompt_values_supported"] = []string{"none", "select_account"}
	longest := newSite(t, func(c *signin.Config) { c.ACRValues = []string{strings.Repeat("a", 256)} })
	strong := newSite(t, func(c *signin.Config) { c.Params = url.Values{"acr_values": {"phr"}} })
	hourly := newSite(t, func(c *signin.Config) { c.MaxAge, c.Scopes = time.Hour, []string{"offline_access"} })
	for _, test := range []struct {
		name                      string
		site                      *site
		query                     string
		hint, prompt, acr, maxAge string
	}{
		{"link of another page", strong, "?acr_values=weak&max_age=60", "", "", "phr", "55"},
		{"configured acr", strong, "", "", "", "phr", ""},
		{"configured", hourly, "", "", "consent", "", "3600"},
		{"challenge", hourly, "?max_age=300&acr_values=phr+phrh", "", "consent", "phr phrh", "295"},
		{"weaker than the configuration", hourly, "?max_age=7200", "", "consent", "", "3600"},
		{"half of the margin", hourly, "?max_age=7", "", "consent", "", "4"},
		{"a second", hourly, "?max_age=1", "", "consent", "", "1"},
		{"as the configuration", hourly, "?max_age=3600", "", "consent", "", "3600"},
		{"again", hourly, "?max_age=0", "", "login consent", "", "600"},
		{"negative", hourly, "?max_age=-1", "", "consent", "", "3600"},
		{"float", hourly, "?max_age=1e3", "", "consent", "", "3600"},
		{"overflow", hourly, "?max_age=99999999999999999999", "", "consent", "", "3600"},
		{"acr a space", hourly, "?acr_values=%20", "", "consent", "", "3600"},
		{"acr with a line end", hourly, "?acr_values=a%0Ab", "", "consent", "", "3600"},
		{"longest acr", hourly, "?acr_values=" + strings.Repeat("a", 256), "", "consent", strings.Repeat("a", 256), "3600"},
		{"long acr", hourly, "?acr_values=" + strings.Repeat("a", 257), "", "consent", "", "3600"},
		{"nothing", plain, "", "", "", "", ""},
		{"hint", plain, "?login_hint=ada%40acme.example", "ada@acme.example", "", "", ""},
		{"hint with a line end", plain, "?login_hint=a%0Ab", "", "", "", ""},
		{"longest hint", plain, "?login_hint=" + strings.Repeat("a", 256), strings.Repeat("a", 256), "", "", ""},
		{"long hint", plain, "?login_hint=" + strings.Repeat("a", 257), "", "", "", ""},
		{"configured hint", fixed, "?login_hint=eve", "ada@acme.example", "login", "gold silver", ""},
		{"another account", plain, "?prompt=select_account", "", "select_account", "", ""},
		{"another account, not offered", bare, "?prompt=select_account", "", "login", "", ""},
		{"another account, offered", rich, "?prompt=select_account", "", "select_account", "", ""},
		{"several", plain, "?prompt=consent+login", "", "login consent", "", ""},
		{"silent", plain, "?prompt=none", "", "", "", ""},
		{"invented", plain, "?prompt=x+create", "", "", "", ""},
		{"beside a configured one", fixed, "?prompt=select_account", "ada@acme.example", "select_account login", "gold silver", ""},
		{"configured, and again", fixed, "?prompt=login", "ada@acme.example", "login", "gold silver", ""},
		{"longest configured acr", longest, "", "", "", strings.Repeat("a", 256), ""},
		{"configured silence", quiet, "?prompt=login", "", "none", "", ""},
		{"no value but a space", fixed, "?acr_values=%20+", "ada@acme.example", "login", "gold silver", ""},
		{"part of the configured values", fixed, "?acr_values=bronze+silver", "ada@acme.example", "login", "silver", ""},
	} {
		q := must(url.Parse(test.site.start(test.query))).Query()
		if q.Get("login_hint") != test.hint || q.Has("login_hint") != (test.hint != "") || q.Get("prompt") != test.prompt || q.Has("prompt") != (test.prompt != "") ||
			q.Get("acr_values") != test.acr || test.maxAge != "" && q.Get("max_age") != test.maxAge {
			t.Errorf("%s: request %v, want login_hint %q, prompt %q, acr_values %q, max_age %q", test.name, q, test.hint, test.prompt, test.acr, test.maxAge)
		}
	}
	w := fixed.do(http.MethodGet, "/auth/login?acr_values=bronze")
	fixed.expect("no configured value", w, 403, signin.ReasonStepUp)
}

// TestStepUpIsCompared: the acr and the auth_time of the ID token must be what the login or
// the configuration asks for. Otherwise the user gets a page, and is not redirected without
// an end.
//
// Covers RFC 9470 §4.
func TestStepUpIsCompared(t *testing.T) {
	ago := func(d time.Duration) func(object) {
		return func(c object) { c["auth_time"] = time.Now().Add(-d).Unix() }
	}
	acr := func(value any) func(object) { return func(c object) { c["acr"] = value } }
	never := func(c object) { delete(c, "auth_time") }
	strict := func(c *signin.Config) { c.ACRValues = []string{"gold"} }
	always := func(c *signin.Config) { c.Params = url.Values{"prompt": {"login"}} }
	hint := func(c *signin.Config) { c.Params = url.Values{"acr_values": {"gold"}} } // of which no more is demanded
	for name, test := range map[string]struct {
		config func(*signin.Config) // nil for none
		query  string
		claims func(object)
		reason gatehouse.Reason // "" for a session
	}{
		"acr":                         {nil, "?acr_values=gold+silver", acr("silver"), ""},
		"another acr":                 {nil, "?acr_values=gold", acr("bronze"), signin.ReasonStepUp},
		"no acr":                      {nil, "?acr_values=gold", func(object) {}, signin.ReasonStepUp},
		"acr a number":                {nil, "?acr_values=1", acr(1), signin.ReasonStepUp},
		"acr a number, nothing asked": {nil, "", acr(1), signin.ReasonStepUp},
		"nothing asked":               {nil, "", acr("bronze"), ""},
		"configured acr":              {strict, "", acr("gold"), ""},
		"not the configured acr":      {strict, "", func(object) {}, signin.ReasonStepUp},
		"hint":                        {hint, "", func(object) {}, ""},
		"acr beside a hint":           {hint, "?acr_values=silver", func(object) {}, signin.ReasonStepUp},
		"recent":                      {nil, "?max_age=60", ago(5 * time.Second), ""},
		"too old within the skew":     {nil, "?max_age=60", ago(70 * time.Second), signin.ReasonStepUp},
		"too old":                     {nil, "?max_age=60", ago(time.Hour), oauth.ReasonStepUp},
		"no auth_time":                {nil, "?max_age=60", never, oauth.ReasonStepUp},
		"again":                       {nil, "?max_age=0", ago(0), ""},
		"again, clock behind":         {nil, "?prompt=login", ago(30 * time.Second), ""},
		"not again":                   {nil, "?max_age=0", ago(5 * time.Minute), signin.ReasonStepUp},
		"not again by prompt":         {nil, "?prompt=login", ago(5 * time.Minute), signin.ReasonStepUp},
		"not again by configuration":  {always, "", ago(5 * time.Minute), signin.ReasonStepUp},
		"not again, no auth_time":     {nil, "?prompt=login", never, oauth.ReasonStepUp},
		"an old session, not strict":  {nil, "", ago(5 * time.Hour), ""},
		"another account, no matter":  {nil, "?prompt=select_account", ago(5 * time.Hour), ""},
		"no auth_time, nothing asked": {nil, "", never, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, test.config)
			s.Claims = acr("gold")
			s.login("")
			s.events.take()
			before := s.jar[sessionCookie]
			s.Claims = test.claims
			w := s.login(test.query)
			if test.reason == "" {
				if w.Code != 303 || s.jar[sessionCookie] == before {
					t.Errorf("callback: status %d, want a new session: %s", w.Code, w.Body)
				}
				return
			}
			if w.Code != 403 || !strings.Contains(w.Body.String(), "stronger sign-in") || strings.Contains(w.Body.String(), "/auth/login") {
				t.Errorf("callback: %d %s, want 403 with words and without a way round", w.Code, w.Body)
			}
			// The session is what it was. Its grant is not revoked, but the new tokens are reported.
			if _, err := s.principal(); err != nil || s.jar[sessionCookie] != before || s.revoked() != nil {
				t.Errorf("session error = %v, want the session of before and no revocation", err)
			}
			events := s.events.names()
			slices.Sort(events)
			want := []string{string(test.reason)}
			if test.reason == signin.ReasonStepUp {
				want = []string{string(test.reason), string(signin.EventTokensDropped)}
			}
			if !slices.Equal(events, want) {
				t.Errorf("events %q, want %q", events, want)
			}
		})
	}
}

// TestStepUpAgeCountsToTheCallback: an authentication that was recent when the login began
// can be too old when it ends. One that prompt=login asks for has to follow the begin,
// however long ago that was.
func TestStepUpAgeCountsToTheCallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			query     string
			age, wait time.Duration // of the authentication, at the begin and until the callback
			status    int
		}{
			{"?max_age=60", 30 * time.Second, 30 * time.Second, 303},
			{"?max_age=60", 30 * time.Second, 30*time.Second + 1, 403},
			{"?prompt=login", time.Minute, 0, 303},
			{"?prompt=login", 0, 5 * time.Minute, 303},
		} {
			s := newSite(t)
			time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // auth_time is in whole seconds
			authenticated := time.Now().Add(-test.age).Unix()
			s.Claims = func(claims object) { claims["auth_time"] = authenticated }
			response := s.Authorize(s.start(test.query))
			time.Sleep(test.wait)
			if w := s.callback(response); w.Code != test.status {
				t.Errorf("callback for %s after %v: status %d, want %d: %s", test.query, test.wait, w.Code, test.status, w.Body)
			}
			_ = s.Close()
		}
	})
}

// TestStepUpAtTheLimit: a login that becomes too old while the browser is at the
// authorization server is made again there, and not refused here.
func TestStepUpAtTheLimit(t *testing.T) {
	const maxAge, travel = 60 * time.Second, time.Second
	for age := maxAge - 8*time.Second; age <= maxAge+2*time.Second; age += 250 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t)
			login := time.Now()
			time.Sleep(age)
			asked := must(url.Parse(s.start("?max_age=60")))
			seconds := must(strconv.ParseInt(asked.Query().Get("max_age"), 10, 64))
			s.Claims = func(c object) {
				if now := time.Now().Add(-travel).Unix(); now-login.Unix() > seconds {
					login = time.Unix(now, 0) // the user authenticates again
				}
				c["auth_time"] = login.Unix()
			}
			response := s.Authorize(asked.String())
			time.Sleep(travel)
			if w := s.callback(response); w.Code != http.StatusSeeOther {
				t.Fatalf("login of %v ago: status %d, want 303: %s", age, w.Code, w.Body)
			}
			if p := must(s.principal()); time.Since(p.AuthTime) > maxAge {
				t.Errorf("login of %v ago: the session has a login of %v ago, want at most %v", age, time.Since(p.AuthTime), maxAge)
			}
		})
	}
}
