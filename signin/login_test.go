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
	if len(events) != 1 || events[0].Type != session.EventStarted || events[0].Principal.Subject != "alice" || events[0].Principal.Tenant != "acme" || events[0].Principal.Claims.String() != "{}" {
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
		route     http.HandlerFunc
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
		p := must(s.principal())
		ctx := gatehouse.NewContext(t.Context(), p)
		s.Reply = nil
		s.Routes["/token"] = test.route
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
	}{
		"state missing": {func(_ *site, p url.Values) { p.Del("state") }, tx, 400},
		"state empty":   {func(_ *site, p url.Values) { p.Set("state", "") }, tx, 400},
		"state forged":  {func(_ *site, p url.Values) { p.Set("state", strings.Repeat("A", 43)) }, tx, 400}, // Covers RFC 6749 §10.12.
		"state twice":   {func(_ *site, p url.Values) { p.Add("state", p.Get("state")) }, tx, 400},
		// Covers RFC 6749 §10.12; RFC 9700 §2.1 (CSRF); ASVS 5.0 §10.2.1.
		"another browser":               {func(s *site, _ url.Values) { clear(s.jar) }, tx, 400},
		"error to another browser":      {func(s *site, p url.Values) { clear(s.jar); p.Set("error", "access_denied") }, tx, 400},
		"cookie changed":                {edit(func(v string) string { return v[:40] + flip(v[40:41]) + v[41:] }), tx, 400}, // Covers RFC 9700 §4.7.1.
		"cookie cut":                    {edit(func(v string) string { return v[:len(v)-4] }), tx, 400},
		"cookie of another transaction": {swap, tx, 400}, // Covers RFC 9700 §4.7.1.
		"error":                         {func(_ *site, p url.Values) { p.Set("error", "access_denied") }, oauth.ReasonDenied, 403},
		"another issuer":                {func(_ *site, p url.Values) { p.Set("iss", "https://evil.example") }, oauth.ReasonIssuer, 400},
		"code forged":                   {func(_ *site, p url.Values) { p.Set("code", "x") }, oauth.ReasonCode, 400},
		"nonce of another login": {func(s *site, _ url.Values) {
			s.Claims = func(claims object) { claims["nonce"] = "x" }
		}, oauth.ReasonIDToken, 400},
		"provider down": {func(s *site, _ url.Values) { s.Routes["/token"] = raw(503, "") }, oauth.ReasonUnavailable, 503},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			response := s.Authorize(s.start(""))
			test.change(s, response)
			w := s.callback(response)
			s.expect("callback", w, test.status, test.reason)
			if _, ok := s.jar[sessionCookie]; ok {
				t.Error("a session started")
			}
			if test.reason == tx {
				if s.Count("/token") != 0 {
					t.Error("a code was sent")
				}
				return
			}
			s.expect("the same callback again", s.callback(response), 400, tx)
		})
	}
}

func flip(s string) string {
	if s == "A" {
		return "B"
	}
	return "A"
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

func TestTransactionExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for wait, status := range map[time.Duration]int{10*time.Minute - time.Second: 303, 10 * time.Minute: 400} {
			s := newSite(t)
			response := s.Authorize(s.start(""))
			time.Sleep(wait)
			if w := s.callback(response); w.Code != status {
				t.Errorf("callback after %v: status %d, want %d", wait, w.Code, status)
			}
			_ = s.Close()
		}
	})
}

// TestTransactionCookie: a cookie that is sealed with the right key but does not
// hold the transaction of the response is rejected.
//
// Covers RFC 9700 §2.1.1 (transaction); ASVS 5.0 §10.1.2.
func TestTransactionCookie(t *testing.T) {
	for name, test := range map[string]struct {
		value  func(kept object) any
		status int
	}{
		"unchanged":          {func(kept object) any { return kept }, 303},
		"null":               {func(object) any { return nil }, 400},
		"a text":             {func(object) any { return "x" }, 400},
		"no transaction":     {func(kept object) any { delete(kept, "oauth"); return kept }, 400},
		"of another state":   {func(kept object) any { kept["oauth"].(object)["state"] = "x"; return kept }, 400},
		"without a verifier": {func(kept object) any { delete(kept["oauth"].(object), "verifier"); return kept }, 400},
	} {
		s := newSite(t)
		response := s.Authorize(s.start(""))
		full := s.transactions()[0]
		sealed := must(cookie.NewSealed(cookie.SealedConfig{
			Cookie: cookie.Config{Name: strings.TrimPrefix(full, "__Host-Http-")}, Purpose: "signin transaction", Lifetime: time.Minute,
			Keys: must(cookie.NewKeyring(secret("0123456789abcdef0123456789abcdef"))),
		}))
		var kept object
		if err := json.Unmarshal(must(sealed.Open(s.request(http.MethodGet, "/"))), &kept); err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := sealed.Set(w, s.request(http.MethodGet, "/"), must(json.Marshal(test.value(kept)))); err != nil {
			t.Fatal(err)
		}
		s.jar[full] = w.Result().Cookies()[0].Value
		if w := s.callback(response); w.Code != test.status || s.Count("/token") != map[int]int{303: 1}[test.status] {
			t.Errorf("%s: callback status %d with %d token requests, want %d", name, w.Code, s.Count("/token"), test.status)
		}
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

// TestPendingLogins: logins in several tabs do not interfere. The sixth evicts the
// oldest, and cookies of others are left alone.
func TestPendingLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		var all []url.Values
		for range 6 {
			all = append(all, s.Authorize(s.start("")))
			time.Sleep(time.Second)
		}
		if got := len(s.transactions()); got != 5 {
			t.Errorf("%d pending logins, want 5", got)
		}
		for n := len(all) - 1; n >= 0; n-- {
			delete(s.jar, sessionCookie)
			want := http.StatusSeeOther
			if n == 0 {
				want = http.StatusBadRequest
			}
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
		if got := len(s.transactions()); got != 5 {
			t.Errorf("%d pending logins, want 5", got)
		}
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
		}
		_ = s.Close()
	})
}

// TestTransactionsStaySmall: another site can send a browser to the login with
// long values of return_to. Many servers reject requests with 8 KB of cookies.
func TestTransactionsStaySmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for back := range strings.FieldsSeq(strings.Repeat("a", 1200) + " " + strings.Repeat("a", 1900) + " " + strings.Repeat("&", 1900) + " " + strings.Repeat("<", 1900)) {
			s := newSite(t)
			back = "/?" + back
			var last url.Values
			for range 6 {
				last = s.Authorize(s.start("?return_to=" + url.QueryEscape(back)))
				time.Sleep(time.Second)
				if size := len(s.request(http.MethodGet, "/").Header.Get("Cookie")); size > 6300 {
					t.Fatalf("%.4q: %d bytes of cookies, want at most 6300", back, size)
				}
			}
			if w := s.callback(last); w.Header().Get("Location") != back {
				t.Errorf("%.4q: the last callback is %d to %.20q, want the return_to", back, w.Code, w.Header().Get("Location"))
			}
			_ = s.Close()
		}
	})
}

// TestEvictsNoMoreThanNeeded: the limit in bytes leaves capacity for three of these logins.
func TestEvictsNoMoreThanNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		for n := range 6 {
			s.start("?return_to=" + url.QueryEscape("/?"+strings.Repeat("a", 900)))
			if got, want := len(s.transactions()), min(n+1, 3); got != want {
				t.Errorf("%d pending logins after %d, want %d", got, n+1, want)
			}
			time.Sleep(time.Second)
		}
		_ = s.Close()
	})
}

// TestLargeCookieHidesNoTransaction: a cookie that is too large to be read does not keep
// those behind it from being counted.
func TestLargeCookieHidesNoTransaction(t *testing.T) {
	s := newSite(t)
	for range 5 {
		s.start("")
	}
	large := "__Host-Http-tx-00000000=" + strings.Repeat("a", 16<<10) + "; "
	s.do(http.MethodGet, "/auth/login", func(r *http.Request) { r.Header.Set("Cookie", large+r.Header.Get("Cookie")) })
	if n := len(s.transactions()); n != 5 {
		t.Errorf("%d pending logins, want 5", n)
	}
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
			r.Header.Set("Sec-Fetch-Mode", "no-cors")
			r.Header.Set("Sec-Fetch-Dest", "image")
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

func TestCompleteRejects(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status int
	}{
		"denied":      {&gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: "app_disabled"}, 403},
		"unavailable": {errors.New("database down"), 503},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		s := newSite(t, func(c *signin.Config) {
			c.Complete = func(*http.Request, *session.Login) error { cancel(); return test.err } // the browser goes away
		})
		revoked := ""
		s.Routes["/revoke"] = func(_ http.ResponseWriter, r *http.Request) { revoked = r.PostFormValue("token") }
		w := s.do(http.MethodGet, "/auth/callback?"+s.Authorize(s.start("")).Encode(), func(r *http.Request) { *r = *r.WithContext(ctx) })
		if revoked != "refresh-1" {
			t.Errorf("%s: revoked %q, want the refresh token that no session keeps", name, revoked)
		}
		if _, ok := s.jar[sessionCookie]; w.Code != test.status || ok || strings.Contains(w.Body.String(), "database") {
			t.Errorf("%s: status %d, session %t, body %s; want %d and no session", name, w.Code, ok, w.Body, test.status)
		}
		if events := s.events.take(); len(events) != 1 || events[0].Decision == gatehouse.Allowed || events[0].Issuer != s.Config().Issuer {
			t.Errorf("%s: events = %+v, want one rejection", name, events)
		}
	}
}

// TestSessionDoesNotStart: the store is down, or the session cannot be stored.
func TestSessionDoesNotStart(t *testing.T) {
	s := newSite(t, func(c *signin.Config) {
		c.Complete = func(_ *http.Request, login *session.Login) error { login.Label = strings.Repeat("x", 1000); return nil }
	})
	if w := s.login(""); w.Code != http.StatusServiceUnavailable || s.jar[sessionCookie] != "" {
		t.Errorf("callback: status %d, want 503 and no session", w.Code)
	}
}

// TestErrorResponses: navigations get a page, which may be that of the application, other requests JSON. Nothing of the error is in there.
//
// Covers RFC 6749 §10.14.
func TestErrorResponses(t *testing.T) {
	own := http.Header{
		"X-Own": {"1"}, "Retry-After": {"x"}, "cache-control": {"public"}, "Set-Cookie": {"a=b"}, "Www-Authenticate": {"X"}, "Content-Length": {"1"},
	}
	page := func(c *signin.Config) {
		c.Page = func(_ *http.Request, p signin.Page) gatehouse.Body {
			if p.Status == 403 {
				return gatehouse.Body{ContentType: "text/plain", Header: http.Header{"Location": {"https://spa.example.com/"}}}
			}
			return gatehouse.Body{ContentType: "text/html", Content: fmt.Appendf(nil, "page %d", p.Status), Header: own}
		}
	}
	for name, test := range map[string]struct {
		query  string
		change func(*http.Request)
		status int
		text   string
		page   bool
	}{
		"400":           {"?state=x", nil, 400, "Please start again", false},
		"400 to script": {"?state=x", script, 400, `{"error":"invalid_request"`, false},
		"403":           {"error=access_denied", nil, 403, "refused", false},
		"403 to script": {"error=access_denied", script, 403, `{"error":"access_denied"`, false},
		"503":           {"error=server_error", nil, 503, "later", false},
		"503 to script": {"error=server_error", script, 503, `{"error":"temporarily_unavailable"`, false},
		"page":          {"error=server_error", nil, 503, "page 503", true},
		"redirect":      {"error=access_denied", nil, 303, "", true},
		"page, script":  {"?state=x", script, 400, `{"error":"invalid_request"`, true},
	} {
		t.Run(name, func(t *testing.T) {
			changes := []func(*signin.Config){func(*signin.Config) {}, page}
			s := newSite(t, changes[map[bool]int{true: 1}[test.page]])
			target := "/auth/callback" + test.query
			if code, ok := strings.CutPrefix(test.query, "error="); ok {
				response := s.Authorize(s.start(""))
				response.Set("error", code)
				target = "/auth/callback?" + response.Encode()
			}
			change := test.change
			if change == nil {
				change = func(*http.Request) {}
			}
			w := s.do(http.MethodGet, target, change)
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.text) || w.Header().Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("callback: %d %v %s, want %d with %q", w.Code, w.Header(), w.Body, test.status, test.text)
			}
			header := w.Header()
			if header["cache-control"] != nil || header.Get("Set-Cookie") == "a=b" || header["Www-Authenticate"] != nil || header["Content-Length"] != nil ||
				header.Get("Retry-After") == "x" {
				t.Errorf("header %v, want none of the page that is not its own", header)
			}
			if x := header["X-Own"]; x != nil {
				x[0] = "changed"
			}
			if (w.Code == 503) != (w.Header().Get("Retry-After") != "") {
				t.Errorf("Retry-After = %q with status %d", w.Header().Get("Retry-After"), w.Code)
			}
		})
	}
	if own.Get("X-Own") != "1" {
		t.Error("the response shares the header of the page")
	}
}

// A login that Admit refuses does not end the session of another user in the browser.
func TestRefusedLoginOfAnotherUser(t *testing.T) {
	s := newSite(t, func(c *signin.Config) { c.Admit.Groups = []string{"staff"} })
	s.Routes["/revoke"] = func(http.ResponseWriter, *http.Request) {}
	s.Claims = func(c object) { c["groups"] = []string{"staff"} }
	s.login("")
	s.Claims = func(c object) { c["sub"], c["groups"] = "mallory", []string{"guests"} }
	if w := s.login(""); w.Code != http.StatusForbidden {
		t.Errorf("callback: status %d, want 403", w.Code)
	}
	if p, err := s.principal(); err != nil || p.Subject != "alice" {
		t.Errorf("session of %q, %v, want that of alice", p.Subject, err)
	}
}

// TestLoginOfAnotherUser: the session of the user of before ends as by a logout, with its
// tokens, also if the new one does not start. Those of the same user stay valid, because
// they may be of one grant with the new ones.
func TestLoginOfAnotherUser(t *testing.T) {
	const started, ended, incomplete = string(session.EventStarted), string(session.EventEnded), string(signin.EventLogoutIncomplete)
	const down, dropped = string(session.ReasonStoreUnavailable), string(signin.EventTokensDropped)
	for name, test := range map[string]struct {
		subject  string
		failing  string // method of the store; Get only when the session ends
		endpoint int    // status of the revocation endpoint, 0 if the browser goes away meanwhile
		status   int
		revoked  []string
		events   []string
	}{
		"the same user":     {"alice", "", 200, 303, nil, []string{started}},
		"another user":      {"bob", "", 200, 303, []string{"refresh-1"}, []string{ended, started}},
		"without an answer": {"bob", "", 400, 303, []string{"refresh-1"}, []string{ended, incomplete, started}},
		"not ended":         {"bob", "Get", 200, 503, []string{"refresh-2"}, []string{down}},
		"ended meanwhile":   {"bob", "found no more", 200, 303, nil, []string{started}},
		"not started":       {"bob", "List", 200, 503, []string{"refresh-1", "refresh-2"}, []string{ended, down}},
		"nothing works":     {"bob", "List", 400, 503, []string{"refresh-1", "refresh-2"}, []string{ended, incomplete, down, dropped}},
		"browser gone":      {"bob", "", 0, 503, []string{"refresh-1", "refresh-2"}, []string{ended, down}},

		"another issuer":            {"alice", "", 200, 303, []string{"refresh-1"}, []string{ended, started}},
		"another issuer, not ended": {"alice", "Get", 200, 503, []string{"refresh-2"}, []string{down}},
	} {
		failing, gets := false, 0
		foreign := strings.HasPrefix(name, "another issuer") // of the session before
		s := newSite(t, func(c *signin.Config) {
			c.Complete = func(_ *http.Request, login *session.Login) error {
				if foreign && !failing {
					login.Principal.Issuer = "https://other.example"
				}
				return nil
			}
		}, withFaults(func(method, _ string) error {
			if failing && method == "Get" {
				gets++
			}
			switch ends := gets == 2 || gets == 3; {
			case !failing || method == "Get" && !ends:
			case method == "Get" && test.failing == "found no more":
				return session.ErrNotFound
			case method == test.failing:
				return errors.New("down")
			}
			return nil
		}))
		s.login("")
		before := s.jar[sessionCookie]
		s.events.take()
		ctx, cancel := context.WithCancel(t.Context())
		var revoked []string
		s.Routes["/revoke"] = func(w http.ResponseWriter, r *http.Request) {
			revoked = append(revoked, r.PostFormValue("token"))
			if test.endpoint == 0 {
				cancel()
				return
			}
			w.WriteHeader(test.endpoint)
		}
		s.Claims, s.Reply = func(c object) { c["sub"] = test.subject }, object{"refresh_token": "refresh-2"}
		failing = true
		response := s.Authorize(s.start(""))
		w := s.do(http.MethodGet, "/auth/callback?"+response.Encode(), func(r *http.Request) { *r = *r.WithContext(ctx) })
		failing = false
		if got := s.events.names(); w.Code != test.status || !slices.Equal(revoked, test.revoked) || !slices.Equal(got, test.events) {
			t.Errorf("%s: status %d, revoked %q, events %q; want %d, %q and %q", name, w.Code, revoked, got, test.status, test.revoked, test.events)
		}
		if test.status != 303 && s.jar[sessionCookie] != before {
			t.Errorf("%s: a session started", name)
			continue
		}
		left := must(s.Sessions.List(t.Context(), s.Config().Issuer, "alice"))
		if want := test.subject == "alice" && (!foreign || test.status == 303) || !foreign && test.failing == "Get"; (len(left) == 1) != want {
			t.Errorf("%s: %d sessions of alice, want one: %t", name, len(left), want)
		}
		if p, err := s.principal(); test.status == 303 && (err != nil || p.Subject != test.subject) {
			t.Errorf("%s: session of %s, %v", name, p.Subject, err)
		}
		cancel()
	}
}
