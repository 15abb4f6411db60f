// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

// Covers RFC 6749 §3.1 (query), §4.1.3; RFC 9700 §4.2.4, §4.12; ASVS 5.0 §10.5.2,
// §14.3.2; OIDC Core §5.7, §11.
func TestLoginStartsSession(t *testing.T) {
	s := newSite(t, func(c *signin.Config) {
		c.Scopes = []string{"reports:read", "offline_access"}
		c.Complete = func(_ *http.Request, login *session.Login) error {
			login.Label, login.Principal.Tenant = "Firefox", "acme"
			return nil
		}
	})
	sent := s.start("?return_to=" + url.QueryEscape("/reports?year=2026#top"))
	q := must(url.Parse(sent)).Query()
	if q.Get("redirect_uri") != origin+"/auth/callback" || q.Get("scope") != "offline_access openid reports:read" || q.Get("prompt") != "consent" {
		t.Errorf("authorization request %v", q)
	}
	if len(s.transactions()) != 1 {
		t.Errorf("cookies %v, want one transaction", s.jar)
	}
	w := s.callback(s.Authorize(sent))
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/reports?year=2026#top" {
		t.Errorf("callback: %d to %q, want 303 to the return_to", w.Code, w.Header().Get("Location"))
	}
	if len(s.jar) != 1 || s.jar[sessionCookie] == "" {
		t.Errorf("cookies %v, want the session only", s.jar)
	}
	p, err := s.principal()
	if err != nil || p.Subject != "alice" || p.Issuer != s.Config().Issuer || p.Tenant != "acme" || !p.Scopes.Has("reports:read") {
		t.Errorf("principal = %+v, %v, want alice of acme", p, err)
	}
	list := must(s.Sessions.List(t.Context(), p.Issuer, p.Subject))
	if len(list) != 1 || list[0].SID != "s1" || list[0].Label != "Firefox" {
		t.Errorf("List = %+v, want one session with sid s1 and the label", list)
	}
	events := s.events.take()
	if len(events) != 1 || events[0].Type != session.EventStarted || events[0].Principal.Subject != "alice" ||
		events[0].Principal.Tenant != "acme" || events[0].Principal.Claims.String() != "{}" {
		t.Errorf("events = %+v, want one started session of alice without claims", events)
	}
	// The second login gets another session, and the first one ends (session fixation).
	first := s.jar[sessionCookie]
	s.login("")
	if s.jar[sessionCookie] == first || len(must(s.Sessions.List(t.Context(), p.Issuer, p.Subject))) != 1 {
		t.Error("the second login did not replace the session")
	}
}

func TestTokensAreRefreshed(t *testing.T) {
	for name, test := range map[string]struct {
		route     http.HandlerFunc // nil for new tokens
		signedOut bool
	}{
		"invalid_grant":          {raw(400, `{"error":"invalid_grant"}`), true},
		"another error":          {raw(400, `{"error":"invalid_request"}`), false},
		"invalid_client":         {raw(401, `{"error":"invalid_client"}`), false},
		"down":                   {raw(503, ""), false},
		"invalid_grant with 503": {raw(503, `{"error":"invalid_grant"}`), false},
		"invalid_grant with 429": {raw(429, `{"error":"invalid_grant"}`), false},
		"invalid_grant with 302": {raw(302, `{"error":"invalid_grant"}`), false},
		"malformed":              {raw(200, `{}`), false},
		"refreshed":              {nil, false},
	} {
		s := newSite(t)
		s.Reply = object{"expires_in": 0}
		s.login("")
		ctx := gatehouse.NewContext(t.Context(), must(s.principal()))
		s.Reply, s.Routes["/token"] = nil, test.route
		tokens, err := s.Sessions.Tokens(ctx)
		if refreshed := err == nil && string(tokens.Access.Reveal()) == "access-2" && tokens.ID.Len() > 0; refreshed != (test.route == nil) {
			t.Errorf("%s: Tokens error = %v, want none: %t", name, err, test.route == nil)
		}
		if _, err := s.principal(); (err != nil) != test.signedOut {
			t.Errorf("%s: session error = %v, want ended: %t", name, err, test.signedOut)
		}
		sent := s.Count("/token")
		_ = s.Close()
		if _, err := s.Sessions.Tokens(ctx); (err == nil) != (test.route == nil) || s.Count("/token") != sent {
			t.Errorf("%s: Tokens after Close: error = %v with %d requests more, want an error without", name, err, s.Count("/token")-sent)
		}
	}
}

// Covers ASVS 5.0 §10.1.2.
func TestCallbackRejects(t *testing.T) {
	const tx = signin.ReasonTransaction
	set := func(name, value string) func(*site, url.Values) {
		return func(_ *site, p url.Values) { p.Set(name, value) }
	}
	edit := func(change func(string) string) func(*site, url.Values) {
		return func(s *site, _ url.Values) {
			for name, value := range s.jar {
				s.jar[name] = change(value)
			}
		}
	}
	for name, test := range map[string]struct {
		change func(*site, url.Values)
		reason gatehouse.Reason
		status int
		sent   int // token requests
	}{
		"state missing": {func(_ *site, p url.Values) { p.Del("state") }, tx, 400, 0},
		"state empty":   {set("state", ""), tx, 400, 0},
		"state forged":  {set("state", strings.Repeat("A", 43)), tx, 400, 0}, // Covers RFC 6749 §10.12.
		"state twice":   {func(_ *site, p url.Values) { p.Add("state", p.Get("state")) }, tx, 400, 0},
		// Covers RFC 6749 §10.12; RFC 9700 §2.1 (CSRF); ASVS 5.0 §10.2.1.
		"another browser":               {func(s *site, _ url.Values) { clear(s.jar) }, tx, 400, 0},
		"error to another browser":      {func(s *site, p url.Values) { clear(s.jar); p.Set("error", "access_denied") }, tx, 400, 0},
		"cookie changed":                {edit(func(v string) string { return v[:40] + string(v[40]^1) + v[41:] }), tx, 400, 0}, // Covers RFC 9700 §4.7.1.
		"cookie cut":                    {edit(func(v string) string { return v[:len(v)-4] }), tx, 400, 0},
		"cookie of another transaction": {swap, tx, 400, 0}, // Covers RFC 9700 §4.7.1.
		"error":                         {set("error", "access_denied"), oauth.ReasonDenied, 403, 0},
		"another issuer":                {set("iss", "https://evil.example"), oauth.ReasonIssuer, 400, 0},
		"code forged":                   {set("code", "x"), oauth.ReasonCode, 400, 1},
		"nonce of another login": {func(s *site, _ url.Values) {
			s.Claims = func(claims object) { claims["nonce"] = "x" }
		}, oauth.ReasonIDToken, 400, 1},
		"provider down": {func(s *site, _ url.Values) { s.Routes["/token"] = raw(503, "") }, oauth.ReasonUnavailable, 503, 1},
		"store full":    {func(s *site, _ url.Values) { s.down("Create") }, oauth.ReasonUnavailable, 503, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			response := s.Authorize(s.start(""))
			test.change(s, response)
			w := s.callback(response)
			s.expect("callback", w, test.status, test.reason)
			set := w.Header()["Set-Cookie"]
			if n := s.Count("/token"); s.jar[sessionCookie] != "" || n != test.sent || (set == nil) != (test.reason == tx) {
				t.Errorf("Set-Cookie %q, %d token requests; want no session, the login deleted: %t, and %d", set, n, test.reason != tx, test.sent)
			}
			if test.reason != tx {
				s.expect("the same callback again", s.callback(response), 400, tx)
			}
		})
	}
}

// swap moves the cookie of another transaction to the name of the first one.
func swap(s *site, _ url.Values) {
	first := s.transactions()[0]
	value := s.jar[first]
	delete(s.jar, first)
	s.start("")
	for name, other := range s.jar {
		if other != value {
			delete(s.jar, name)
			s.jar[first] = other
		}
	}
}

// TestCallbackTwice: a response counts once. With a session the second request is
// the back button, and leads on.
//
// Covers RFC 6749 §4.1.2 (once); RFC 9700 §2.1 (CSRF); ASVS 5.0 §10.2.1.
func TestCallbackTwice(t *testing.T) {
	s := newSite(t)
	response := s.Authorize(s.start(""))
	s.callback(response)
	s.events.take()
	w := s.callback(response)
	s.expect("with the session", w, 303, signin.ReasonTransaction)
	if w.Header().Get("Location") != "/" || s.Count("/token") != 1 {
		t.Errorf("second callback: to %q after %d token requests, want / after 1", w.Header().Get("Location"), s.Count("/token"))
	}
	mixed := s.Authorize(s.start(""))
	mixed.Set("iss", "https://evil.example")
	s.expect("another issuer, with the session", s.callback(mixed), 400, oauth.ReasonIssuer)
	delete(s.jar, sessionCookie)
	s.expect("without the session", s.callback(response), 400, signin.ReasonTransaction)
}

func TestCallbackForm(t *testing.T) {
	s := newSite(t)
	response := s.Authorize(s.start(""))
	target := "/auth/callback?" + response.Encode()
	s.expect("POST", s.do(http.MethodPost, target), 400, signin.ReasonResponse)
	s.expect("semicolon", s.do(http.MethodGet, target+";x=1"), 400, signin.ReasonResponse)
	if w := s.callback(response); w.Code != http.StatusSeeOther { // the login is still pending
		t.Errorf("GET after them: status %d, want 303", w.Code)
	}
}

// TestTransactionCookie: a cookie that is sealed with the right key but does not hold the
// transaction of the response, or holds one that has expired, is rejected.
//
// Covers RFC 9700 §2.1.1 (transaction); ASVS 5.0 §10.1.2.
func TestTransactionCookie(t *testing.T) {
	keep := func(kept object) any { return kept }
	for name, test := range map[string]struct {
		value  func(kept object) any
		wait   time.Duration
		status int
	}{
		"unchanged":          {keep, 10*time.Minute - time.Second, 303},
		"too late":           {keep, 10 * time.Minute, 400},
		"null":               {func(object) any { return nil }, 0, 400},
		"a text":             {func(object) any { return "x" }, 0, 400},
		"no transaction":     {func(kept object) any { delete(kept, "oauth"); return kept }, 0, 400},
		"of another state":   {func(kept object) any { kept["oauth"].(object)["state"] = "x"; return kept }, 0, 400},
		"without a verifier": {func(kept object) any { delete(kept["oauth"].(object), "verifier"); return kept }, 0, 400},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t)
			response := s.Authorize(s.start(""))
			full := s.transactions()[0]
			sealed := must(cookie.NewSealed(cookie.SealedConfig{
				Cookie: cookie.Config{Name: strings.TrimPrefix(full, "__Host-Http-")}, Purpose: "signin transaction", Lifetime: time.Hour,
				Keys: must(cookie.NewKeyring(key)),
			}))
			r := s.request(http.MethodGet, "/")
			var kept object
			w := httptest.NewRecorder()
			err := json.Unmarshal(must(sealed.Open(r)), &kept)
			if err = errors.Join(err, sealed.Set(w, r, must(json.Marshal(test.value(kept))))); err != nil {
				t.Fatal(err)
			}
			s.jar[full] = w.Result().Cookies()[0].Value
			time.Sleep(test.wait)
			if w := s.callback(response); w.Code != test.status || s.Count("/token") != map[int]int{303: 1}[test.status] || len(s.transactions()) != 0 {
				t.Errorf("%s: callback status %d with %d token requests and the cookies %v, want %d and none", name, w.Code, s.Count("/token"), s.transactions(), test.status)
			}
			_ = s.Close()
		})
	}
}

// TestMixUp: a login that began at one authorization server does not complete at
// another one, although both share the keys.
//
// Covers RFC 9207 §4 (one issuer); RFC 9700 §2.1 (mix-up), §2.1.1 (transaction),
// §4.4.2; ASVS 5.0 §6.8.1, §10.2.2.
func TestMixUp(t *testing.T) {
	honest := newSite(t)
	response := honest.Authorize(honest.start(""))
	for name, change := range map[string]func(*signin.Config){
		"server": func(c *signin.Config) {
			issuer := c.Client.Issuer
			c.Client.Issuer = "https://other.example"
			c.Client.Provider = oauth.Provider{Issuer: c.Client.Issuer, TokenEndpoint: issuer + "/token", AuthorizationEndpoint: issuer + "/auth", JWKSURI: issuer + "/jwks"}
		},
		"client": func(c *signin.Config) { c.Client.ClientID = "other" },
	} {
		other := newSite(t, change)
		maps.Copy(other.jar, honest.jar)
		sent := maps.Clone(response)
		if name == "server" { // one that does not announce iss
			sent.Del("iss")
		}
		other.expect(name, other.callback(sent), 400, oauth.ReasonIssuer)
		if other.Count("/token") != 0 {
			t.Errorf("%s: a code was sent", name)
		}
	}
}

// TestPendingLogins: logins in several tabs do not interfere. Each after the fifth evicts the
// oldest, and cookies of others are left alone.
func TestPendingLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		pending := func(when string) {
			if got := len(s.transactions()); got != 5 {
				t.Errorf("%d pending logins %s, want 5", got, when)
			}
		}
		var all []url.Values
		for range 8 {
			all = append(all, s.Authorize(s.start("")))
			time.Sleep(time.Second)
		}
		pending("after eight")
		for n := len(all) - 1; n >= 0; n-- {
			delete(s.jar, sessionCookie)
			want := map[bool]int{true: http.StatusBadRequest, false: http.StatusSeeOther}[n < 3]
			if w := s.callback(all[n]); w.Code != want {
				t.Errorf("login %d: callback status %d, want %d", n, w.Code, want)
			}
		}
		// Cookies that do not open are evicted first.
		s.start("")
		for n := range 5 {
			s.jar[fmt.Sprintf("__Host-Http-tx-0000000%d", n)] = "x"
		}
		last := s.Authorize(s.start(""))
		pending("beside cookies that do not open")
		if w := s.callback(last); w.Code != http.StatusSeeOther {
			t.Errorf("last login: callback status %d, want 303", w.Code)
		}
		others := []string{"__Host-Http-tx-abc", "__Host-Http-tx-0000000g", "__Host-Http-tx-000000000", "tx-00000000"}
		for _, name := range others {
			s.jar[name] = "kept"
		}
		for range 7 {
			s.start("")
		}
		for _, name := range others {
			if s.jar[name] != "kept" {
				t.Errorf("cookie %s was deleted", name)
			}
			delete(s.jar, name)
		}
		// A cookie that is too large to be read hides none of those behind it.
		large := "__Host-Http-tx-00000000=" + strings.Repeat("a", 16<<10) + "; "
		s.do(http.MethodGet, "/auth/login", func(r *http.Request) { r.Header.Set("Cookie", large+r.Header.Get("Cookie")) })
		pending("behind a large cookie")
		// The limit is 12 KB of names and values.
		const name = "__Host-Http-tx-00000000"
		for _, name := range []string{name, name + ".1"} { // and its part
			for size, read := range map[int]bool{12 << 10: true, 12<<10 + 1: false} {
				s.jar = map[string]string{name: strings.Repeat("a", size-len(name))}
				if s.start(""); (s.jar[name] == "") != read {
					t.Errorf("cookie %s of %d bytes: deleted: %t, want %t", name, size, !read, read)
				}
				// The same for two cookies together: the second is read if it fits.
				clear(s.jar)
				first, second := name+"="+strings.Repeat("a", 4<<10-len(name)), "__Host-Http-tx-11111111="+strings.Repeat("a", size-4<<10-len("__Host-Http-tx-11111111"))
				w := s.do(http.MethodGet, "/auth/login", header("Cookie", first+"; "+second))
				if deleted := strings.Contains(strings.Join(w.Header()["Set-Cookie"], "\n"), "__Host-Http-tx-11111111=;"); deleted != read {
					t.Errorf("second cookie, of %d bytes in all: deleted: %t, want %t", size, deleted, read)
				}
			}
		}
		_ = s.Close()
	})
}

// TestTransactionsStaySmall: another site can send a browser to the login with long values
// of return_to. Many servers reject requests with 8 KB of cookies. No more logins than
// needed are evicted.
func TestTransactionsStaySmall(t *testing.T) {
	pending := func(s *site) (size, logins int) {
		for name := range s.jar {
			if !strings.Contains(name, ".") { // the other parts of a large value
				logins++
			}
		}
		return len(s.request(http.MethodGet, "/").Header.Get("Cookie")), logins
	}
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			character    string
			length, kept int
		}{{"a", 900, 3}, {"a", 1200, 2}, {"a", 1900, 2}, {"&", 1900, 2}, {"<", 1900, 2}} {
			s := newSite(t)
			back := "/?" + strings.Repeat(test.character, test.length)
			var last url.Values
			for n := range 6 {
				last = s.Authorize(s.start("?return_to=" + url.QueryEscape(back)))
				time.Sleep(time.Second)
				if size, kept := pending(s); size > 6300 || kept != min(n+1, test.kept) {
					t.Fatalf("%.4q: %d pending logins with %d bytes of cookies, want %d with at most 6300", back, kept, size, min(n+1, test.kept))
				}
			}
			s.start("?return_to=/" + strings.Repeat("a", 1900)) // which may need the place of two
			if size, _ := pending(s); size > 6300 {
				t.Errorf("%.4q: cookies of %d bytes after a large login, want at most 6300", back, size)
			}
			if w := s.callback(last); w.Header().Get("Location") != back {
				t.Errorf("%.4q: the last callback is %d to %.20q, want the return_to", back, w.Code, w.Header().Get("Location"))
			}
			_ = s.Close()
		}
	})
}

// TestLoginNeedsNavigation: requests in which the user would not see the login do
// not start one.
//
// Covers ASVS 5.0 §7.6.2.
func TestLoginNeedsNavigation(t *testing.T) {
	s := newSite(t)
	for name, change := range map[string]func(*http.Request){
		"fetch": script,
		"image": func(r *http.Request) {
			r.Header = http.Header{"Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}}
		},
		"iframe": header("Sec-Fetch-Dest", "iframe"),
		"POST":   func(r *http.Request) { r.Method = http.MethodPost },
		"HEAD":   func(r *http.Request) { r.Method = http.MethodHead },
		"curl":   func(r *http.Request) { r.Header = http.Header{"Accept": {"*/*"}} },
	} {
		w := s.do(http.MethodGet, "/auth/login", change)
		s.expect(name, w, http.StatusUnauthorized, signin.ReasonNavigation)
		if w.Header().Get("WWW-Authenticate") == "" || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: header %v, want a challenge and no cookie", name, w.Header())
		}
		if name == "iframe" && !strings.Contains(w.Body.String(), "a window or tab of its own") {
			t.Errorf("%s: %s, want a page that says what to do", name, w.Body)
		}
		if name == "fetch" && (w.Header().Get("Content-Type") != "application/json" || !strings.Contains(w.Body.String(), `"missing_credentials"`)) {
			t.Errorf("%s: %v %s, want missing_credentials as JSON", name, w.Header(), w.Body)
		}
	}
	old := func(r *http.Request) { r.Header = http.Header{"Accept": {"text/html,application/xhtml+xml"}} }
	if w := s.do(http.MethodGet, "/auth/login", old); w.Code != http.StatusSeeOther {
		t.Errorf("a browser without Sec-Fetch-Mode: status %d, want 303", w.Code)
	}
}

func TestLoginUnavailable(t *testing.T) {
	s := newSite(t)
	s.Routes["/.well-known/openid-configuration"] = raw(502, "")
	w := s.do(http.MethodGet, "/auth/login")
	if w.Header().Get("Retry-After") != "5" || strings.Contains(w.Body.String(), "502") {
		t.Errorf("login: %v %s, want Retry-After 5 and no detail", w.Header(), w.Body)
	}
	s.expect("login", w, http.StatusServiceUnavailable, signin.ReasonUnavailable)
}

// TestObserverFails: what the observer does not record does not happen.
func TestObserverFails(t *testing.T) {
	s := newSite(t)
	response := s.Authorize(s.start(""))
	s.events.err = errors.New("disk full")
	for name, target := range map[string]string{
		"login": "/auth/callback?" + response.Encode(), "rejected callback": "/auth/callback?state=x", "return_to": "/auth/login?return_to=//evil.example",
	} {
		w := s.do(http.MethodGet, target)
		if _, ok := s.jar[sessionCookie]; w.Code != http.StatusServiceUnavailable || w.Header().Get("Location") != "" || ok {
			t.Errorf("%s: status %d to %q, want 503 and no session", name, w.Code, w.Header().Get("Location"))
		}
	}
}

// TestCompleteRejects: the login has no session, and its tokens are revoked although the
// browser goes away.
func TestCompleteRejects(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
		issuer string // in the event
	}{
		"denied":      {&gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: "app_disabled"}, 403, providertest.Issuer},
		"unavailable": {errors.New("database down"), 503, providertest.Issuer},
		"large label": {nil, 503, ""}, // which cannot be stored
	} {
		ctx, cancel := context.WithCancel(t.Context())
		s := newSite(t, func(c *signin.Config) {
			c.Complete = func(_ *http.Request, login *session.Login) error {
				login.Label = strings.Repeat("x", 1000)
				cancel()
				return test.err
			}
		})
		w := s.do(http.MethodGet, "/auth/callback?"+s.Authorize(s.start("")).Encode(), from(ctx))
		if got := s.revoked(); !slices.Equal(got, []string{"refresh-1"}) {
			t.Errorf("%s: revoked %q, want the refresh token that no session keeps", name, got)
		}
		if w.Code != test.status || s.jar[sessionCookie] != "" || strings.Contains(w.Body.String(), "database") {
			t.Errorf("%s: status %d, cookies %v, body %s; want %d and no session", name, w.Code, s.jar, w.Body, test.status)
		}
		if events := s.events.take(); len(events) != 1 || events[0].Decision == gatehouse.Allowed || events[0].Issuer != test.issuer {
			t.Errorf("%s: events = %+v, want one rejection", name, events)
		}
	}
}

// TestErrorResponses: navigations get a page, which may be that of the application, other requests JSON. Nothing of the error is in there.
//
// Covers RFC 6749 §10.14.
func TestErrorResponses(t *testing.T) {
	own := http.Header{
		"X-Own": {"1"}, "X-Other": {"2"}, "Retry-After": {"x"}, "cache-control": {"public"}, "Set-Cookie": {"a=b"}, "Www-Authenticate": {"X"}, "Content-Length": {"1"},
	}
	page := func(_ *http.Request, p signin.Page) gatehouse.Body {
		if p.Status == 403 {
			return gatehouse.Body{ContentType: "text/plain", Header: http.Header{"Location": {"https://spa.example.com/"}}}
		}
		return gatehouse.Body{ContentType: "text/html", Content: fmt.Appendf(nil, "page %d", p.Status), Header: own}
	}
	const html = "text/html; charset=utf-8"
	for name, test := range map[string]struct {
		code   string // of the authorization server, "" for a forged state
		script bool
		page   func(*http.Request, signin.Page) gatehouse.Body // nil for the default
		status int
		kind   string
		text   string
	}{
		"400":           {"", false, nil, 400, html, "Please start again"},
		"400 to script": {"", true, nil, 400, "application/json", `{"error":"invalid_request"`},
		"403":           {"access_denied", false, nil, 403, html, "refused"},
		"403 to script": {"access_denied", true, nil, 403, "application/json", `{"error":"access_denied"`},
		"503":           {"server_error", false, nil, 503, html, "later"},
		"503 to script": {"server_error", true, nil, 503, "application/json", `{"error":"temporarily_unavailable"`},
		"page":          {"server_error", false, page, 503, "text/html", "page 503"},
		"redirect":      {"access_denied", false, page, 303, "text/plain", ""},
		"page, script":  {"", true, page, 400, "application/json", `{"error":"invalid_request"`},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, func(c *signin.Config) { c.Page = test.page })
			response := url.Values{"state": {"x"}}
			if test.code != "" {
				response = s.Authorize(s.start(""))
				response.Set("error", test.code)
			}
			response.Set("everywhere", "1") // counts for a logout only
			mode := map[bool]string{true: "cors", false: "navigate"}[test.script]
			w := s.do(http.MethodGet, "/auth/callback?"+response.Encode(), header("Sec-Fetch-Mode", mode))
			header := w.Header()
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.text) || header.Get("Content-Type") != test.kind ||
				header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("callback: %d %v %s, want %d, %s with %q", w.Code, header, w.Body, test.status, test.kind, test.text)
			}
			if header["cache-control"] != nil || header.Get("Set-Cookie") == "a=b" || header["Www-Authenticate"] != nil || header["Content-Length"] != nil {
				t.Errorf("header %v, want none of the page that is not its own", header)
			}
			if after := header.Get("Retry-After"); after == "x" || (w.Code == 503) != (after != "") {
				t.Errorf("Retry-After = %q with status %d", after, w.Code)
			}
			if test.text == "page 503" && (header.Get("X-Own") != "1" || header.Get("X-Other") != "2") {
				t.Errorf("header %v, want all of the page that are its own", header)
			}
			if x := header["X-Own"]; x != nil {
				x[0] = "changed"
			}
		})
	}
	if own.Get("X-Own") != "1" {
		t.Error("the response shares the header of the page")
	}
	// The path of a callback may begin with that of the logout.
	named := newSite(t, func(c *signin.Config) { c.RedirectURI = origin + "/auth/logout-return" })
	if w := named.do(http.MethodGet, "/auth/logout-return?state=x"); !strings.Contains(w.Body.String(), "Please start again") {
		t.Errorf("callback /auth/logout-return: %s, want the page of a failed login", w.Body)
	}
	// Without Config.Page, which the other sites of these tests have.
	bare := newSite(t)
	h := must(signin.New(configOf(bare)))
	t.Cleanup(func() { _ = h.Close() })
	if w := bare.through(h, http.MethodGet, "/auth/callback?state=x"); w.Code != 400 || w.Header().Get("Content-Type") != html || !strings.Contains(w.Body.String(), "Please start again") {
		t.Errorf("callback without Config.Page: %d %v %s, want 400, %s with words", w.Code, w.Header(), w.Body, html)
	}
}

// TestLoginOfAnotherUser: the session of the user of before ends as by a logout, with its
// tokens, also if the new one does not start, but not if the login is refused. Those of the
// same user stay valid, because they may be of one grant with the new ones.
func TestLoginOfAnotherUser(t *testing.T) {
	const started, ended, incomplete = string(session.EventStarted), string(session.EventEnded), string(signin.EventLogoutIncomplete)
	const down, dropped = string(session.ReasonStoreUnavailable), string(signin.EventTokensDropped)
	for name, test := range map[string]struct {
		subject  string
		failing  string // method of the store; Get only when the session ends
		endpoint int    // status of the revocation endpoint, 0 if the browser goes away meanwhile
		status   int
		left     string // the user whose session the browser has then
		revoked  []string
		events   []string
	}{
		"the same user":     {"alice", "", 200, 303, "alice", nil, []string{started}},
		"own names":         {"alice", "", 200, 303, "ada", nil, []string{started}},
		"another user":      {"bob", "", 200, 303, "bob", []string{"refresh-1"}, []string{ended, started}},
		"refused":           {"bob", "Complete", 200, 403, "alice", []string{"refresh-2"}, []string{"app_refused"}},
		"without an answer": {"bob", "", 400, 303, "bob", []string{"refresh-1"}, []string{ended, incomplete, started}},
		"not ended":         {"bob", "Get", 200, 503, "alice", []string{"refresh-2"}, []string{down}},
		"ended meanwhile":   {"bob", "found no more", 200, 303, "bob", nil, []string{started}},
		"not started":       {"bob", "List", 200, 503, "", []string{"refresh-1", "refresh-2"}, []string{ended, down}},
		"nothing works":     {"bob", "List", 400, 503, "", []string{"refresh-1", "refresh-2"}, []string{ended, incomplete, down, dropped}},
		"browser gone":      {"bob", "", 0, 503, "", []string{"refresh-1", "refresh-2"}, []string{ended, down}},

		"another issuer":            {"alice", "", 200, 303, "alice", []string{"refresh-1"}, []string{ended, started}},
		"another issuer, not ended": {"alice", "Get", 200, 503, "alice", []string{"refresh-2"}, []string{down}},
	} {
		again, gets := false, 0
		s := newSite(t, func(c *signin.Config) {
			c.Complete = func(_ *http.Request, login *session.Login) error {
				switch {
				case name == "own names": // the application has its own subjects
					login.Principal.Subject = "ada"
				case !again && strings.HasPrefix(name, "another issuer"): // of the session before
					login.Principal.Issuer = "https://other.example"
				case again && test.failing == "Complete":
					return &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: "app_refused"}
				}
				return nil
			}
		})
		s.login("")
		before := must(s.principal())
		s.events.take()
		ctx, cancel := context.WithCancel(t.Context())
		s.revoking = test.endpoint
		if test.endpoint == 0 {
			s.revoking = 200
			s.Routes["/revoke"] = func(w http.ResponseWriter, r *http.Request) { cancel(); s.serveRevoke(w, r) }
		}
		s.Claims, s.Reply = func(c object) { c["sub"] = test.subject }, object{"refresh_token": "refresh-2"}
		again = true
		s.fault = func(method, _ string) error {
			if method == "Get" {
				gets++
			}
			switch ends := gets == 2 || gets == 3; {
			case method == "Get" && ends && test.failing == "found no more":
				return session.ErrNotFound
			case method == test.failing && (method != "Get" || ends):
				return errors.New("down")
			}
			return nil
		}
		w := s.do(http.MethodGet, "/auth/callback?"+s.Authorize(s.start("")).Encode(), from(ctx))
		s.fault = nil
		if got, events := s.revoked(), s.events.names(); w.Code != test.status || !slices.Equal(got, test.revoked) || !slices.Equal(events, test.events) {
			t.Errorf("%s: status %d, revoked %q, events %q; want %d, %q and %q", name, w.Code, got, events, test.status, test.revoked, test.events)
		}
		if p, _ := s.principal(); p.Subject != test.left || test.status != 303 && p.Subject != "" && p.Credential != before.Credential {
			t.Errorf("%s: session of %q, want %q, and no new one after an error", name, p.Subject, test.left)
		}
		left := must(s.Sessions.List(t.Context(), s.Config().Issuer, "alice"))
		if want := test.left == "alice" && (before.Issuer == s.Config().Issuer || test.status == 303); (len(left) == 1) != want {
			t.Errorf("%s: %d sessions of alice, want one: %t", name, len(left), want)
		}
		cancel()
	}
}
