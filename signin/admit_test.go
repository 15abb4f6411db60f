// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

func TestAdmit(t *testing.T) {
	groups := signin.Admit{Groups: []string{"staff", "admins"}}
	email := signin.Admit{EmailDomains: []string{"acme.example"}}
	for name, test := range map[string]struct {
		admit  signin.Admit
		claims object
		reason gatehouse.Reason // "" for a session
	}{
		"no restriction":       {signin.Admit{}, nil, ""},
		"in a group":           {groups, object{"groups": []string{"x", "admins"}}, ""},
		"in another group":     {groups, object{"groups": []string{"Staff"}}, signin.ReasonNotAllowed},
		"in none":              {groups, object{"groups": []string{}}, signin.ReasonNotAllowed},
		"no groups":            {groups, nil, signin.ReasonGroups},
		"groups a text":        {groups, object{"groups": "staff"}, signin.ReasonGroups},
		"groups null":          {groups, object{"groups": (*int)(nil)}, signin.ReasonGroups},
		"another claim":        {signin.Admit{Groups: []string{"staff"}, GroupsClaim: "roles"}, object{"roles": []string{"staff"}, "groups": []string{}}, ""},
		"too many groups":      {groups, object{"_claim_names": object{"groups": "src1"}, "_claim_sources": object{"src1": object{"endpoint": "https://graph.example"}}}, signin.ReasonGroups},
		"too many, implicitly": {groups, object{"hasgroups": true}, signin.ReasonGroups},
		"domain":               {email, object{"email": "ada@ACME.example", "email_verified": true}, ""},
		"verified as a text":   {email, object{"email": "ada@acme.example", "email_verified": "true"}, ""},
		"not verified":         {email, object{"email": "ada@acme.example", "email_verified": false}, signin.ReasonNotAllowed},
		"not said":             {email, object{"email": "ada@acme.example"}, signin.ReasonNotAllowed},
		"verified 1":           {email, object{"email": "ada@acme.example", "email_verified": 1}, signin.ReasonNotAllowed},
		"another domain":       {email, object{"email": "ada@acme.example.evil.example", "email_verified": true}, signin.ReasonNotAllowed},
		"subdomain":            {email, object{"email": "ada@x.acme.example", "email_verified": true}, signin.ReasonNotAllowed},
		"two at signs":         {email, object{"email": "ada@acme.example@evil.example", "email_verified": true}, signin.ReasonNotAllowed},
		"letter outside ASCII": {signin.Admit{EmailDomains: []string{"microsoft.example"}}, object{"email": "x@m\u0130crosoft.example", "email_verified": true}, signin.ReasonNotAllowed},
		"domain at the end":    {email, object{"email": "ada@evil.example@acme.example", "email_verified": true}, signin.ReasonNotAllowed},
		"no address":           {email, object{"email": "acme.example", "email_verified": true}, signin.ReasonNotAllowed},
		"only a domain":        {email, object{"email": "@acme.example", "email_verified": true}, signin.ReasonNotAllowed},
		"no email":             {email, object{"email_verified": true}, signin.ReasonNotAllowed},
		"email a list":         {email, object{"email": []string{"ada@acme.example"}, "email_verified": true}, signin.ReasonNotAllowed},
		"both": {
			signin.Admit{Groups: groups.Groups, EmailDomains: email.EmailDomains},
			object{"groups": []string{"staff"}, "email": "eve@evil.example", "email_verified": true},
			signin.ReasonNotAllowed,
		},
	} {
		t.Run(name, func(t *testing.T) {
			completed := false
			s := newSite(t, func(c *signin.Config) {
				c.Admit = test.admit
				c.Complete = func(*http.Request, *session.Login) error { completed = true; return nil }
			})
			revoked := ""
			s.Routes["/revoke"] = func(_ http.ResponseWriter, r *http.Request) { revoked = r.PostFormValue("token") }
			s.Claims = func(claims object) {
				maps.Copy(claims, test.claims)
			}
			w := s.login("?return_to=/reports")
			if test.reason == "" {
				if w.Code != 303 || s.jar[sessionCookie] == "" {
					t.Errorf("login: status %d, want a session", w.Code)
				}
				return
			}
			events := s.events.take()
			if w.Code != 403 || len(events) != 1 || events[0].Reason != test.reason ||
				strings.Contains(fmt.Sprint(events[0].Cause), "too many") != strings.HasPrefix(name, "too many") {
				t.Errorf("login: status %d, events %+v, want 403 and %s", w.Code, events, test.reason)
			}
			if s.jar[sessionCookie] != "" || revoked != "refresh-1" || completed {
				t.Errorf("session %t, revoked %q, Complete called: %t; want none, the refresh token, and false", s.jar[sessionCookie] != "", revoked, completed)
			}
			if want := `href="/auth/login?prompt=login&amp;return_to=%2Freports"`; !strings.Contains(w.Body.String(), want) {
				t.Errorf("page %s, want the link %s", w.Body, want)
			}
		})
	}
}

// TestUserinfoAddsClaims: the claims of the userinfo endpoint complete those of the ID
// token and change none of them.
func TestUserinfoAddsClaims(t *testing.T) {
	for name, test := range map[string]struct {
		route  http.HandlerFunc
		status int
	}{
		"claims": {raw(200, `{"sub":"alice","groups":["staff"],"name":"evil","email":"eve@acme.example","email_verified":true,`+
			`"iss":"evil","aud":"evil","exp":"evil","iat":"evil","nbf":"evil","jti":"evil","azp":"evil","nonce":"evil","at_hash":"evil","c_hash":"evil",`+
			`"s_hash":"evil","sid":"evil","auth_time":"evil","acr":"evil","amr":"evil","events":"evil","cnf":"evil"}`), 303},
		"another subject": {raw(200, `{"sub":"eve","groups":["staff"]}`), 503},
		"down":            {raw(503, ""), 503},
	} {
		s := newSite(t, func(c *signin.Config) { c.Userinfo, c.Admit.Groups = true, []string{"staff"} })
		s.Metadata["userinfo_endpoint"] = s.Config().Issuer + "/userinfo"
		s.Routes["/userinfo"], s.Routes["/revoke"] = test.route, func(http.ResponseWriter, *http.Request) {}
		s.Claims = func(claims object) {
			claims["name"], claims["email"] = "Alice", "alice@acme.example"
			delete(claims, "sid")
		}
		w := s.login("")
		if test.status != 303 {
			s.expect(name, w, 503, signin.ReasonUnavailable)
			continue
		}
		var claims struct {
			Name   string   `json:"name"`
			Groups []string `json:"groups"`

			Verified any `json:"email_verified"`
		}
		p := must(s.principal())
		if err := p.Claims.Decode(&claims); err != nil || claims.Name != "Alice" || len(claims.Groups) != 1 || claims.Verified != nil || strings.Contains(p.Claims.String(), "evil") {
			t.Errorf("claims %s, %v, want the groups, what the ID token says, and no email_verified of another address", p.Claims, err)
		}
	}
}

// TestVerifiedEmailIsOfOnePlace: email_verified of the ID token says nothing about the
// address of the userinfo endpoint.
func TestVerifiedEmailIsOfOnePlace(t *testing.T) {
	s := newSite(t, func(c *signin.Config) { c.Userinfo, c.Admit.EmailDomains = true, []string{"acme.example"} })
	s.Metadata["userinfo_endpoint"] = s.Config().Issuer + "/userinfo"
	s.Routes["/userinfo"] = raw(200, `{"sub":"alice","email":"eve@acme.example"}`)
	s.Routes["/revoke"] = func(http.ResponseWriter, *http.Request) {}
	s.Claims = func(claims object) { claims["email_verified"] = true }
	s.expect("login", s.login(""), 403, signin.ReasonNotAllowed)
}

// TestRemember: a user who asked for it on a page of this application stays signed in.
func TestRemember(t *testing.T) {
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		query  string
		from   string // Sec-Fetch-Site
		config session.Lifetime
		long   bool
	}{
		"asked":                {"?remember=1&return_to=/x", "same-origin", session.Lifetime{Idle: 7 * day, Absolute: 30 * day, Persistent: true}, true},
		"not asked":            {"?return_to=/x", "same-origin", session.Lifetime{Idle: 7 * day, Absolute: 30 * day, Persistent: true}, false},
		"another value":        {"?remember=0", "same-origin", session.Lifetime{Idle: 7 * day, Absolute: 30 * day, Persistent: true}, false},
		"link of another site": {"?remember=1", "cross-site", session.Lifetime{Idle: 7 * day, Absolute: 30 * day, Persistent: true}, false},
		"link of a sibling":    {"?remember=1", "same-site", session.Lifetime{Idle: 7 * day, Absolute: 30 * day, Persistent: true}, false},
		"not offered":          {"?remember=1", "same-origin", session.Lifetime{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, func(c *signin.Config) { c.Remember = test.config })
				sent := s.do(http.MethodGet, "/auth/login"+test.query, header("Sec-Fetch-Site", test.from)).Header().Get("Location")
				w := s.callback(s.Authorize(sent))
				if kept := strings.Contains(strings.Join(w.Header()["Set-Cookie"], "\n"), "Max-Age=2592000"); kept != test.long {
					t.Errorf("Set-Cookie %q, want a cookie of 30 days: %t", w.Header()["Set-Cookie"], test.long)
				}
				time.Sleep(6 * day)
				if _, err := s.principal(); (err == nil) != test.long {
					t.Errorf("session error after 6 days = %v, want none: %t", err, test.long)
				}
				_ = s.Close()
			})
		})
	}
	s := newSite(t, func(c *signin.Config) {
		c.Remember = session.Lifetime{Absolute: 30 * day}
		c.Complete = func(_ *http.Request, login *session.Login) error {
			if login.Lifetime.Absolute != 30*day {
				return errors.New("Complete does not see the lifetime")
			}
			return nil
		}
	})
	if w := s.login("?remember=1"); w.Code != 303 {
		t.Errorf("login: status %d, want 303", w.Code)
	}
}

// TestPartitionedLogin: an application in a frame of another site can log in there.
func TestPartitionedLogin(t *testing.T) {
	s := newSite(t, func(c *signin.Config) { c.Session.Partitioned, c.Session.AllowFraming = true, true })
	w := httptest.NewRecorder()
	s.ServeHTTP(w, s.request(http.MethodGet, "/auth/login", header("Sec-Fetch-Dest", "iframe")))
	if set := w.Header().Get("Set-Cookie"); w.Code != 303 || !strings.Contains(set, "SameSite=None; Partitioned") {
		t.Errorf("login in a frame: %d with %s, want 303 with a partitioned cookie", w.Code, set)
	}
	for name, change := range map[string]func(*http.Request){"script": script, "POST": func(r *http.Request) { r.Method = http.MethodPost }} {
		w := httptest.NewRecorder()
		if s.ServeHTTP(w, s.request(http.MethodGet, "/auth/login", change)); w.Code != 401 {
			t.Errorf("%s: status %d, want 401", name, w.Code)
		}
	}
}
