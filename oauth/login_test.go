// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
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
)

func TestLogin(t *testing.T) {
	a := newApp(t)
	sent := a.start("/login?return_to=" + url.QueryEscape("/reports?year=2026#top"))
	q := must(url.Parse(sent)).Query()
	if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("nonce")) != 43 ||
		q.Get("scope") != "openid reports:read" || q.Get("redirect_uri") != redirect || q.Has("code_verifier") {
		t.Errorf("sent to %s", sent)
	}
	if len(a.jar) != 1 {
		t.Errorf("cookies %v", a.jar)
	}
	result, err := a.callback(a.authorize(sent))
	if err != nil {
		t.Fatal(err)
	}
	if result.Subject != "alice" || result.SessionID != "s1" || result.AuthTime.IsZero() || result.ReturnTo != "/reports?year=2026#top" ||
		string(result.Tokens.Access.Reveal()) != "access-1" || result.Tokens.Scopes != scopes("openid reports:read") {
		t.Errorf("result %+v", result)
	}
	if len(a.jar) != 0 {
		t.Errorf("the transaction is still there: %v", a.jar)
	}
	if e := a.told.all[0]; len(a.told.all) != 1 || e.Decision != gatehouse.Allowed || e.Principal.Subject != "alice" || e.Issuer != issuer {
		t.Errorf("events %+v", a.told.all)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, leak := range []string{"access-1", "refresh-1", string(result.Tokens.ID.Reveal())} {
			if strings.Contains(fmt.Sprintf(verb, result), leak) {
				t.Errorf("%s prints a token", verb)
			}
		}
	}
}

// TestCallbackRefuses: each hostile callback is refused for its own reason, and
// no code goes anywhere unless everything before it was good.
func TestCallbackRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(a *app, params url.Values)
		reason  gatehouse.Reason
		status  int
		redeems int
	}{
		"state missing":            {func(_ *app, p url.Values) { p.Del("state") }, gatehouse.ReasonLoginTransaction, 400, 0},
		"state empty":              {func(_ *app, p url.Values) { p.Set("state", "") }, gatehouse.ReasonLoginTransaction, 400, 0},
		"state forged":             {func(_ *app, p url.Values) { p.Set("state", strings.Repeat("A", 43)) }, gatehouse.ReasonLoginTransaction, 400, 0},
		"state twice":              {func(_ *app, p url.Values) { p.Add("state", p.Get("state")) }, gatehouse.ReasonLoginTransaction, 400, 0},
		"from another browser":     {func(a *app, _ url.Values) { clear(a.jar) }, gatehouse.ReasonLoginTransaction, 400, 0},
		"error from elsewhere":     {func(a *app, p url.Values) { clear(a.jar); p.Set("error", "access_denied") }, gatehouse.ReasonLoginTransaction, 400, 0},
		"cookie tampered":          {func(a *app, _ url.Values) { a.each(func(v string) string { return v[:40] + flip(v[40:41]) + v[41:] }) }, gatehouse.ReasonLoginTransaction, 400, 0},
		"cookie cut":               {func(a *app, _ url.Values) { a.each(func(v string) string { return v[:len(v)-4] }) }, gatehouse.ReasonLoginTransaction, 400, 0},
		"cookie of another name":   {func(a *app, p url.Values) { a.rename(p.Get("state")) }, gatehouse.ReasonLoginTransaction, 400, 0},
		"iss missing":              {func(_ *app, p url.Values) { p.Del("iss") }, gatehouse.ReasonLoginIssuer, 400, 0},
		"iss of another":           {func(_ *app, p url.Values) { p.Set("iss", "https://evil.example") }, gatehouse.ReasonLoginIssuer, 400, 0},
		"iss with a slash":         {func(_ *app, p url.Values) { p.Set("iss", issuer+"/") }, gatehouse.ReasonLoginIssuer, 400, 0},
		"iss empty":                {func(_ *app, p url.Values) { p.Set("iss", "") }, gatehouse.ReasonLoginIssuer, 400, 0},
		"iss twice":                {func(_ *app, p url.Values) { p.Add("iss", issuer) }, gatehouse.ReasonLoginIssuer, 400, 0},
		"iss wrong and an error":   {func(_ *app, p url.Values) { p.Set("iss", "x"); p.Set("error", "access_denied") }, gatehouse.ReasonLoginIssuer, 400, 0},
		"denied":                   {func(_ *app, p url.Values) { p.Set("error", "access_denied") }, gatehouse.ReasonLoginRefused, 403, 0},
		"error":                    {func(_ *app, p url.Values) { p.Set("error", "invalid_scope") }, gatehouse.ReasonLoginRefused, 400, 0},
		"error of no known code":   {func(_ *app, p url.Values) { p.Set("error", "<script>") }, gatehouse.ReasonLoginRefused, 400, 0},
		"error twice":              {func(_ *app, p url.Values) { p["error"] = []string{"access_denied", "x"} }, gatehouse.ReasonLoginResponse, 400, 0},
		"error of the server":      {func(_ *app, p url.Values) { p.Set("error", "server_error") }, gatehouse.ReasonServerUnavailable, 503, 0},
		"code missing":             {func(_ *app, p url.Values) { p.Del("code") }, gatehouse.ReasonLoginResponse, 400, 0},
		"code empty":               {func(_ *app, p url.Values) { p.Set("code", "") }, gatehouse.ReasonLoginResponse, 400, 0},
		"code twice":               {func(_ *app, p url.Values) { p.Add("code", p.Get("code")) }, gatehouse.ReasonLoginResponse, 400, 0},
		"code forged":              {func(_ *app, p url.Values) { p.Set("code", "x") }, gatehouse.ReasonLoginCode, 400, 1},
		"code of another login":    {func(a *app, p url.Values) { p.Set("code", a.authorize(a.start("/login")).Get("code")) }, gatehouse.ReasonLoginCode, 400, 1},
		"server down":              {func(a *app, _ url.Values) { a.break503("/token") }, gatehouse.ReasonServerUnavailable, 503, 1},
		"keys cannot be had":       {func(a *app, _ url.Values) { a.break503("/jwks") }, gatehouse.ReasonServerUnavailable, 503, 1},
		"no ID token":              {func(a *app, _ url.Values) { a.reply = object{"id_token": nil} }, gatehouse.ReasonLoginToken, 400, 1},
		"ID token forged":          {func(a *app, _ url.Values) { a.reply = object{"id_token": forged()} }, gatehouse.ReasonLoginToken, 400, 1},
		"nonce of another login":   {claim("nonce", "x"), gatehouse.ReasonLoginToken, 400, 1},
		"nonce missing":            {claim("nonce", nil), gatehouse.ReasonLoginToken, 400, 1},
		"ID token for another":     {claim("aud", "other"), gatehouse.ReasonLoginToken, 400, 1},
		"ID token of another":      {claim("iss", "https://evil.example"), gatehouse.ReasonLoginToken, 400, 1},
		"ID token expired":         {claim("exp", time.Now().Add(-2*time.Minute).Unix()), gatehouse.ReasonLoginToken, 400, 1},
		"two audiences, no azp":    {claim("aud", []string{clientID, "other"}), gatehouse.ReasonLoginToken, 400, 1},
		"azp of another":           {claim("azp", "other"), gatehouse.ReasonLoginToken, 400, 1},
		"no sub":                   {claim("sub", nil), gatehouse.ReasonLoginToken, 400, 1},
		"events":                   {claim("events", object{}), gatehouse.ReasonLoginToken, 400, 1},
		"logout token":             {func(a *app, _ url.Values) { a.typ = "logout+jwt" }, gatehouse.ReasonLoginToken, 400, 1},
		"access token of type PoP": {func(a *app, _ url.Values) { a.reply = object{"token_type": "DPoP"} }, gatehouse.ReasonServerUnavailable, 503, 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := newApp(t)
			params := a.authorize(a.start("/login"))
			test.change(a, params)
			result, err := a.callback(params)
			e, _ := errors.AsType[*gatehouse.Error](err)
			if e == nil || e.Reason != test.reason || e.Status() != test.status {
				t.Fatalf("%+v, %v, want %s", result, err, test.reason)
			}
			if got := a.count("/token"); got != test.redeems {
				t.Errorf("%d codes were sent, want %d", got, test.redeems)
			}
			if got := a.told.reasons(); !slices.Equal(got, []gatehouse.Reason{test.reason}) {
				t.Errorf("the observer is told %v", got)
			}
			if test.reason != gatehouse.ReasonLoginTransaction {
				// Over for good: the same callback does not get further now.
				if _, err := a.callback(params); reasonOf(err) != gatehouse.ReasonLoginTransaction {
					t.Errorf("the second time: %v", err)
				}
			}
		})
	}
}

// TestTransactionForged: a transaction that is sealed by a key of ours and is
// not that of the callback, or not whole, is none.
func TestTransactionForged(t *testing.T) {
	for name, test := range map[string]struct {
		change object
		reason gatehouse.Reason
	}{
		"unchanged":     {object{}, ""},
		"another state": {object{"state": strings.Repeat("A", 43)}, gatehouse.ReasonLoginTransaction},
		"no state":      {object{"state": ""}, gatehouse.ReasonLoginTransaction},
		"no verifier":   {object{"verifier": ""}, gatehouse.ReasonLoginTransaction},
		"no object":     {nil, gatehouse.ReasonLoginTransaction},
		"no nonce":      {object{"nonce": ""}, gatehouse.ReasonLoginToken},
		"scope":         {object{"scope": "a  b"}, gatehouse.ReasonLoginTransaction},
	} {
		a := newApp(t)
		a.idt = func(claims object) {
			if name == "no nonce" {
				claims["nonce"] = ""
			}
		}
		params := a.authorize(a.start("/login"))
		full := slices.Collect(maps.Keys(a.jar))[0]
		sealed := must(cookie.NewSealed(cookie.SealedConfig{
			Cookie: cookie.Config{Name: strings.TrimPrefix(full, "__Host-Http-")}, Keys: cookieKeys(), Purpose: "oauth login transaction", Lifetime: time.Minute,
		}))
		var kept object
		if err := json.Unmarshal(must(sealed.Open(a.request("/"))), &kept); err != nil {
			t.Fatal(err)
		}
		maps.Copy(kept, test.change)
		if test.change == nil {
			kept = nil
		}
		w := httptest.NewRecorder()
		if err := sealed.Set(w, a.request("/"), must(json.Marshal(kept))); err != nil {
			t.Fatal(err)
		}
		a.keep(w)
		if _, err := a.callback(params); reasonOf(err) != test.reason || (err == nil) != (test.reason == "") {
			t.Errorf("%s: %v, want %s", name, err, test.reason)
		}
	}
}

// TestNoIDToken: the operator learns what is missing.
func TestNoIDToken(t *testing.T) {
	a := newApp(t)
	a.reply = object{"id_token": nil}
	if _, err := a.callback(a.authorize(a.start("/login"))); !strings.Contains(fmt.Sprint(errors.Unwrap(err)), "no ID token") {
		t.Errorf("%v", errors.Unwrap(err))
	}
}

func claim(name string, value any) func(*app, url.Values) {
	return func(a *app, _ url.Values) { a.idt = func(claims object) { claims[name] = value } }
}

func (a *app) break503(path string) {
	a.routes[path] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
}

func (a *app) each(change func(string) string) {
	for name, value := range a.jar {
		a.jar[name] = change(value)
	}
}

// rename moves the transaction of another login to the name of this one.
func (a *app) rename(string) {
	mine := slices.Collect(maps.Keys(a.jar))[0]
	value := a.jar[mine]
	delete(a.jar, mine)
	a.start("/login")
	for name, other := range a.jar {
		if other != value {
			delete(a.jar, name)
			a.jar[mine] = other
		}
	}
}

func flip(s string) string {
	if s == "A" {
		return "B"
	}
	return "A"
}

// forged is an ID token with a signature of another one.
func forged() string {
	now := time.Now().Unix()
	sign := func(sub string) string {
		return string(must(ring().SignJWT("JWT", object{"iss": issuer, "aud": clientID, "sub": sub, "iat": now, "exp": now + 60})).Reveal())
	}
	one, two := sign("alice"), sign("eve")
	return one[:strings.LastIndexByte(one, '.')] + two[strings.LastIndexByte(two, '.'):]
}

// TestCallbackTwice: a callback is good once.
func TestCallbackTwice(t *testing.T) {
	a := newApp(t)
	params := a.authorize(a.start("/login"))
	if _, err := a.callback(params); err != nil {
		t.Fatal(err)
	}
	if _, err := a.callback(params); reasonOf(err) != gatehouse.ReasonLoginTransaction || a.count("/token") != 1 {
		t.Errorf("replayed: %v", err)
	}
}

func TestCallbackForm(t *testing.T) {
	a := newApp(t)
	params := a.authorize(a.start("/login"))
	r := a.request("/callback?" + params.Encode())
	r.Method = http.MethodPost
	if _, err := a.login.Callback(httptest.NewRecorder(), r); reasonOf(err) != gatehouse.ReasonLoginResponse {
		t.Errorf("POST: %v", err)
	}
	if _, err := a.login.Callback(httptest.NewRecorder(), a.request("/callback?"+params.Encode()+";x=1")); reasonOf(err) != gatehouse.ReasonLoginResponse {
		t.Errorf("semicolon: %v", err)
	}
}

// TestCallbackLate: a login may take ten minutes.
func TestCallbackLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for wait, want := range map[time.Duration]gatehouse.Reason{
			10*time.Minute - time.Second: "", 10 * time.Minute: gatehouse.ReasonLoginTransaction,
		} {
			a := newApp(t)
			params := a.authorize(a.start("/login"))
			time.Sleep(wait)
			if _, err := a.callback(params); reasonOf(err) != want || (err == nil) != (want == "") {
				t.Errorf("after %v: %v", wait, err)
			}
		}
	})
}

// TestMixUp: a login begun at one server does not end at another, though both
// logins share their keys.
func TestMixUp(t *testing.T) {
	honest := newApp(t)
	params := honest.authorize(honest.start("/login"))
	for name, change := range map[string]func(*oauth.Config, *oauth.LoginConfig){
		"server": func(c *oauth.Config, _ *oauth.LoginConfig) {
			c.Issuer = "https://other.example"
			c.Provider = oauth.Provider{Issuer: c.Issuer, TokenEndpoint: issuer + "/token", AuthorizationEndpoint: issuer + "/auth", JWKSURI: issuer + "/jwks"}
		},
		"client": func(c *oauth.Config, _ *oauth.LoginConfig) { c.ClientID = "other" },
	} {
		other := newApp(t, change)
		maps.Copy(other.jar, honest.jar)
		sent := maps.Clone(params)
		if name == "server" { // one that does not send iss
			sent.Del("iss")
		}
		if _, err := other.callback(sent); reasonOf(err) != gatehouse.ReasonLoginIssuer || other.count("/token") != 0 {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

// TestTabs: logins in several tabs do not disturb each other; the sixth drops
// the oldest.
func TestTabs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t)
		var all []url.Values
		for range 6 {
			all = append(all, a.authorize(a.start("/login")))
			time.Sleep(time.Second)
		}
		if len(a.jar) != 5 {
			t.Errorf("%d transactions are kept", len(a.jar))
		}
		for n, params := range slices.Backward(all) {
			_, err := a.callback(params)
			if want := n > 0; (err == nil) != want {
				t.Errorf("tab %d: %v", n, err)
			}
		}
		// What cannot be read goes first.
		a.start("/login")
		for n := range 5 {
			a.jar[fmt.Sprintf("__Host-Http-tx-0000000%d", n)] = "x"
		}
		last := a.authorize(a.start("/login"))
		if len(a.jar) != 5 {
			t.Errorf("%d transactions are kept", len(a.jar))
		}
		if _, err := a.callback(last); err != nil {
			t.Error(err)
		}
		others := []string{"__Host-Http-tx-abc", "__Host-Http-tx-0000000g", "__Host-Http-tx-000000000", "tx-00000000"}
		for _, name := range others {
			a.jar[name] = "kept"
		}
		for range 7 {
			a.start("/login")
		}
		for _, name := range others {
			if a.jar[name] != "kept" {
				t.Errorf("%s of others is gone", name)
			}
		}
	})
}

// TestStartBackground: what is no navigation of a person begins no login.
func TestStartBackground(t *testing.T) {
	a := newApp(t)
	for name, change := range map[string]func(*http.Request){
		"fetch": func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "cors") },
		"image": func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Mode", "no-cors")
			r.Header.Set("Sec-Fetch-Dest", "image")
		},
		"iframe": func(r *http.Request) { r.Header.Set("Sec-Fetch-Dest", "iframe") },
		"POST":   func(r *http.Request) { r.Method = http.MethodPost },
		"HEAD":   func(r *http.Request) { r.Method = http.MethodHead },
		"curl":   func(r *http.Request) { r.Header = http.Header{"Accept": {"*/*"}} },
	} {
		w, r := httptest.NewRecorder(), a.request("/login")
		change(r)
		a.login.Start(w, r)
		if w.Code != http.StatusUnauthorized || w.Header().Get("WWW-Authenticate") == "" || w.Header().Get("Set-Cookie") != "" ||
			w.Header().Get("Content-Type") != "application/json" || !strings.Contains(w.Body.String(), "missing_credentials") {
			t.Errorf("%s: %d %v %s", name, w.Code, w.Header(), w.Body)
		}
		if got := a.told.reasons(); !slices.Equal(got, []gatehouse.Reason{gatehouse.ReasonLoginBackground}) {
			t.Errorf("%s: told %v", name, got)
		}
	}
	w, r := httptest.NewRecorder(), a.request("/login")
	r.Header = http.Header{"Accept": {"text/html,application/xhtml+xml"}}
	if a.login.Start(w, r); w.Code != http.StatusSeeOther {
		t.Errorf("an old browser: %d", w.Code)
	}
}

func TestStartUnavailable(t *testing.T) {
	a := newApp(t)
	a.routes["/.well-known/openid-configuration"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	w := httptest.NewRecorder()
	a.login.Start(w, a.request("/login"))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "5" || strings.Contains(w.Body.String(), "502") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if got := a.told.all; len(got) != 1 || got[0].Decision != gatehouse.Unavailable || got[0].Reason != gatehouse.ReasonServerUnavailable {
		t.Errorf("told %+v", got)
	}
}

// TestObserver: what cannot be recorded does not happen.
func TestObserver(t *testing.T) {
	a := newApp(t)
	params := a.authorize(a.start("/login"))
	a.told.err = errors.New("the disk is full")
	if _, err := a.callback(params); reasonOf(err) != gatehouse.ReasonObserverFailed {
		t.Errorf("login: %v", err)
	}
	if _, err := a.callback(params); reasonOf(err) != gatehouse.ReasonObserverFailed {
		t.Errorf("refusal: %v", err)
	}
	w := httptest.NewRecorder()
	a.login.Start(w, a.request("/login?return_to=//evil.example"))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Location") != "" {
		t.Errorf("start: %d", w.Code)
	}
}

func TestRefuse(t *testing.T) {
	a := newApp(t)
	for _, test := range []struct {
		err    error
		status int
		text   string
	}{
		{&gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Cause: errors.New("hidden")}, 400, "start again"},
		{&gatehouse.Error{Code: gatehouse.CodeAccessDenied}, 403, "refused"},
		{&gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, RetryAfter: 1500 * time.Millisecond}, 503, "later"},
		{errors.New("hidden"), 503, "later"},
	} {
		w := httptest.NewRecorder()
		a.login.Refuse(w, a.request("/callback"), test.err)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.text) || strings.Contains(w.Body.String(), "hidden") ||
			!strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%v: %d %v %s", test.err, w.Code, w.Header(), w.Body)
		}
		if (test.status == 503) != (w.Header().Get("Retry-After") != "") {
			t.Errorf("%v: Retry-After %q", test.err, w.Header().Get("Retry-After"))
		}
	}
}

// TestMaxAge: the server has to say that the person was there lately.
func TestMaxAge(t *testing.T) {
	ago := func(d time.Duration) any { return time.Now().Add(-d).Unix() }
	for name, test := range map[string]struct {
		authTime any
		good     bool
	}{
		"lately": {ago(time.Minute), true}, "long ago": {ago(time.Hour), false}, "not said": {nil, false}, "fraction": {1.5, false},
	} {
		a := newApp(t, func(_ *oauth.Config, l *oauth.LoginConfig) { l.Request.MaxAge = 5 * time.Minute })
		a.idt = func(claims object) { claims["auth_time"] = test.authTime }
		sent := a.start("/login")
		if got := must(url.Parse(sent)).Query().Get("max_age"); got != "300" {
			t.Errorf("max_age = %q", got)
		}
		if _, err := a.callback(a.authorize(sent)); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLoginWithoutOpenID: without an ID token there is nobody, only tokens.
func TestLoginWithoutOpenID(t *testing.T) {
	a := newApp(t, func(_ *oauth.Config, l *oauth.LoginConfig) {
		l.Request.Scopes, l.Request.Resources = scopes("reports:read"), []string{"https://api.example.com"}
		l.Request.Params = url.Values{"prompt": {"login"}}
	})
	sent := a.start("/login")
	if q := must(url.Parse(sent)).Query(); q.Has("nonce") || q.Get("prompt") != "login" || q.Get("resource") != "https://api.example.com" {
		t.Errorf("sent to %s", sent)
	}
	result, err := a.callback(a.authorize(sent))
	if err != nil || result.Subject != "" || result.ReturnTo != "/" {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestNative: a program on the machine of the user keeps the transaction itself.
func TestNative(t *testing.T) {
	s := newServer(t)
	client := newClient(t, s.config())
	begin := func() *oauth.Transaction {
		return must(client.Authorize(t.Context(), oauth.AuthorizationRequest{RedirectURI: "http://127.0.0.1:4711/", Scopes: scopes("openid")}))
	}
	one, two := begin(), begin()
	params := s.authorize(one.URL)
	if strings.Contains(fmt.Sprintf("%v %+v %#v", one, one, one), "verifier") {
		t.Error("the transaction prints its verifier")
	}
	if _, err := client.Redeem(t.Context(), two, params); reasonOf(err) != gatehouse.ReasonLoginTransaction {
		t.Errorf("another state: %v", err)
	}
	if result, err := client.Redeem(t.Context(), one, params); err != nil || result.Subject != "alice" {
		t.Errorf("%+v, %v", result, err)
	}
	if _, err := client.Redeem(t.Context(), one, params); reasonOf(err) != gatehouse.ReasonLoginTransaction || s.count("/token") != 1 {
		t.Errorf("used twice: %v", err)
	}
	if _, err := client.Authorize(t.Context(), oauth.AuthorizationRequest{}); err == nil {
		t.Error("no redirect URI is accepted")
	}
}

// TestTransactionsStaySmall: a page elsewhere can send a browser to the login as
// often as it likes, with ways back as long as they may be. What is kept of that
// goes along with every request for ten minutes, and servers refuse requests
// whose cookies are too large: many from 8 KB on.
func TestTransactionsStaySmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, filler := range []string{"a", "&", "<", `"`} {
			a := newApp(t)
			back := "/?" + strings.Repeat(filler, 1900)
			var last url.Values
			for range 6 {
				last = a.authorize(a.start("/login?return_to=" + url.QueryEscape(back)))
				time.Sleep(time.Second)
				if size := len(a.request("/").Header.Get("Cookie")); size > 8000 {
					t.Fatalf("%q: the cookies have %d octets", filler, size)
				}
			}
			if result, err := a.callback(last); err != nil || result.ReturnTo != back {
				t.Errorf("%q: the last login: %v", filler, err)
			}
		}
	})
}

// TestForeignTransactions: whoever sends thousands of cookies that are called like
// transactions does not have each of them opened and removed.
func TestForeignTransactions(t *testing.T) {
	a := newApp(t)
	var cookies strings.Builder
	for n := range 2000 {
		fmt.Fprintf(&cookies, "__Host-Http-tx-%08x=x; ", n)
	}
	r := a.request("/login")
	r.Header.Set("Cookie", cookies.String())
	w := httptest.NewRecorder()
	a.login.Start(w, r)
	if set := len(w.Header()["Set-Cookie"]); w.Code != http.StatusSeeOther || set < 2 || set > 30 {
		t.Errorf("%d, with %d cookies", w.Code, set)
	}
}
