// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
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
		"groups not all texts": {groups, object{"groups": []any{"staff", 1}}, signin.ReasonGroups},
		"groups null":          {groups, object{"groups": (*int)(nil)}, signin.ReasonGroups},
		"another claim":        {signin.Admit{Groups: []string{"staff"}, GroupsClaim: "roles"}, object{"roles": []string{"staff"}, "groups": []string{}}, ""},
		"too many groups":      {groups, object{"_claim_names": object{"groups": "src1"}, "_claim_sources": object{"src1": object{"endpoint": "https://graph.example"}}}, signin.ReasonGroups},
		"too many, implicitly": {groups, object{"hasgroups": true}, signin.ReasonGroups},
		"domain":               {email, object{"email": "ada@ACME.example", "email_verified": true}, ""},
		"name of one letter":   {email, object{"email": "a@acme.example", "email_verified": true}, ""},
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
			s.Claims = func(claims object) { maps.Copy(claims, test.claims) }
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
			if revoked := s.revoked(); s.jar[sessionCookie] != "" || !slices.Equal(revoked, []string{"refresh-1"}) || completed {
				t.Errorf("cookies %v, revoked %q, Complete called: %t; want no session, the refresh token, and false", s.jar, revoked, completed)
			}
			if want := `href="/auth/login?prompt=login&amp;return_to=%2Freports"`; !strings.Contains(w.Body.String(), want) {
				t.Errorf("page %s, want the link %s", w.Body, want)
			}
		})
	}
}

// TestUserinfoAddsClaims: the claims of the userinfo endpoint complete those of the ID
// token and change none of them. An address and its email_verified are of one source.
func TestUserinfoAddsClaims(t *testing.T) {
	for name, test := range map[string]struct {
		token object
		route http.HandlerFunc
		want  string // a part of the claims, "" for no session
	}{
		"claims": {object{"name": "Alice", "email": "alice@acme.example"}, raw(200, `{"sub":"alice","groups":["staff"],"name":"evil","email":"evil",`+
			`"email_verified":true,"iss":"evil","aud":"evil","exp":"evil","iat":"evil","nbf":"evil","jti":"evil","azp":"evil","nonce":"evil","at_hash":"evil",`+
			`"c_hash":"evil","s_hash":"evil","sid":"evil","auth_time":"evil","acr":"evil","amr":"evil","events":"evil","cnf":"evil"}`), `"name":"Alice"`},
		"an address, verified by the token": {object{"email_verified": false}, raw(200, `{"sub":"alice","groups":["staff"],"email":"evil"}`), `"email_verified":false`},
		"a number, verified by the token": {
			object{"phone_number_verified": false},
			raw(200, `{"sub":"alice","groups":["staff"],"phone_number":"evil"}`), `"phone_number_verified":false`,
		},
		"an address of the endpoint": {
			nil, raw(200, `{"sub":"alice","groups":["staff"],"email":"ada@acme.example","email_verified":false}`),
			`"email":"ada@acme.example","email_verified":false`,
		},
		"another subject": {nil, raw(200, `{"sub":"eve","groups":["staff"]}`), ""},
		"down":            {nil, raw(503, ""), ""},
	} {
		s := newSite(t, func(c *signin.Config) { c.Userinfo, c.Admit.Groups = true, []string{"staff"} })
		s.Metadata["userinfo_endpoint"] = s.Config().Issuer + "/userinfo"
		s.Routes["/userinfo"] = func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header.Get("Authorization"); got != "Bearer access-1" {
				t.Errorf("userinfo request with %q, want the access token", got)
			}
			test.route(w, r)
		}
		s.Claims = func(claims object) { maps.Copy(claims, test.token); delete(claims, "sid") }
		w := s.login("")
		if test.want == "" {
			s.expect(name, w, 503, signin.ReasonUnavailable)
			continue
		}
		got := must(s.principal()).Claims.String()
		if !strings.Contains(got, test.want) || !strings.Contains(got, `"groups":["staff"]`) || strings.Contains(got, "evil") || strings.Contains(got, "true") {
			t.Errorf("%s: claims %s, want the groups, and of the rest what the ID token says", name, got)
		}
	}
}

// TestRemember: a user who asked for it on a page of this application stays signed in.
func TestRemember(t *testing.T) {
	const day = 24 * time.Hour
	month := session.Lifetime{Idle: 7 * day, Absolute: 30 * day, Persistent: true}
	for name, test := range map[string]struct {
		query, from string // from is Sec-Fetch-Site
		config      session.Lifetime
		long        bool
	}{
		"asked":                {"?remember=1&return_to=/x", "same-origin", month, true},
		"not asked":            {"?return_to=/x", "same-origin", month, false},
		"another value":        {"?remember=0", "same-origin", month, false},
		"link of another site": {"?remember=1", "cross-site", month, false},
		"link of a sibling":    {"?remember=1", "same-site", month, false},
		"not offered":          {"?remember=1", "same-origin", session.Lifetime{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen session.Lifetime // by Complete
				s := newSite(t, func(c *signin.Config) {
					c.Remember = test.config
					c.Complete = func(_ *http.Request, login *session.Login) error { seen = login.Lifetime; return nil }
				})
				sent := s.do(http.MethodGet, "/auth/login"+test.query, header("Sec-Fetch-Site", test.from)).Header().Get("Location")
				w := s.callback(s.Authorize(sent))
				if kept := strings.Contains(strings.Join(w.Header()["Set-Cookie"], "\n"), "Max-Age=2592000"); kept != test.long || (seen == month) != test.long {
					t.Errorf("Set-Cookie %q, lifetime %v, want a cookie of 30 days: %t", w.Header()["Set-Cookie"], seen, test.long)
				}
				time.Sleep(6 * day)
				if _, err := s.principal(); (err == nil) != test.long {
					t.Errorf("session error after 6 days = %v, want none: %t", err, test.long)
				}
				_ = s.Close()
			})
		})
	}
}

// TestPartitionedLogin: an application in a frame of another site can log in there.
func TestPartitionedLogin(t *testing.T) {
	s := newSite(t, func(c *signin.Config) { c.Session.Partitioned, c.Session.AllowFraming = true, true })
	for name, test := range map[string]struct {
		change func(*http.Request)
		status int
		cookie string
	}{
		"frame":  {header("Sec-Fetch-Dest", "iframe"), 303, "SameSite=None; Partitioned"},
		"script": {script, 401, ""},
		"POST":   {func(r *http.Request) { r.Method = http.MethodPost }, 401, ""},
	} {
		if w := s.through(s, http.MethodGet, "/auth/login", test.change); w.Code != test.status || !strings.Contains(w.Header().Get("Set-Cookie"), test.cookie) {
			t.Errorf("%s: status %d, Set-Cookie %q, want %d with %q", name, w.Code, w.Header()["Set-Cookie"], test.status, test.cookie)
		}
	}
}
