// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/interop/browser"
	"github.com/gatehouse-go/gatehouse/oauth"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

// hostileCallbacks sends invalid callbacks to a browser that is signed in and to
// one that is not. Neither changes who is signed in.
func (a *app) hostileCallbacks(t *testing.T) {
	eve := a.chromium.Person(t)
	ofEve := a.callback(t, eve, "eve").Query() // valid in her browser only
	anonymous := a.chromium.Person(t)
	a.callback(t, anonymous, "ada")
	ada := a.signedIn(t, "ada")
	_, session := a.person(t, ada)
	cookie := a.cookies(t, ada)[a.cookie]
	base := must(url.Parse(a.origin + "/callback"))
	forged := url.Values{"code": {"x"}, "state": {strings.Repeat("A", 43)}, "iss": {a.provider.Issuer}}

	// replace is an own callback with other values of a parameter.
	replace := func(name string, values ...string) func(*url.URL) string {
		return func(own *url.URL) string { return with(own, name, values...) }
	}
	// fixed is a callback that does not depend on the own one.
	fixed := func(query string) func(*url.URL) string {
		return func(*url.URL) string { return base.String() + query }
	}
	for _, test := range []struct {
		name    string
		address func(own *url.URL) string
		status  int
		reason  string
	}{
		{"forged", fixed("?" + forged.Encode()), 400, "signin_transaction"},
		{"no parameters", fixed(""), 400, "signin_transaction"},
		{"of another browser", fixed("?" + ofEve.Encode()), 400, "signin_transaction"},
		{"state of another browser", replace("state", ofEve.Get("state")), 400, "signin_transaction"},
		{"state forged", replace("state", strings.Repeat("A", 43)), 400, "signin_transaction"},
		{"state twice", func(own *url.URL) string {
			return with(own, "state", own.Query().Get("state"), own.Query().Get("state"))
		}, 400, "signin_transaction"},
		{"no state", replace("state"), 400, "signin_transaction"},
		{"error with another state", fixed("?error=access_denied&state=x"), 400, "signin_transaction"},
		{"code of another browser", replace("code", ofEve.Get("code")), 400, "oauth_code"},
		{"code forged", replace("code", "x"), 400, "oauth_code"},
		{"no code", replace("code"), 400, "oauth_response"},
		{"iss of another server", replace("iss", "https://evil.example"), 400, "oauth_issuer"},
		{"iss with a slash", replace("iss", a.provider.Issuer+"/"), 400, "oauth_issuer"},
		{"iss twice", replace("iss", a.provider.Issuer, a.provider.Issuer), 400, "oauth_issuer"},
		{"no iss", replace("iss"), 400, "oauth_issuer"},
		{"error without iss", func(own *url.URL) string { return with(own, "iss") + "&error=access_denied" }, 400, "oauth_issuer"},
		{"refused", func(own *url.URL) string {
			return with(own, "code") + "&error=access_denied&error_description=" + url.QueryEscape("<script>evil.example</script>")
		}, 403, "oauth_denied"},
	} {
		before := a.transactions(t, anonymous)
		address := test.address(a.callback(t, anonymous, ""))
		a.wantReasons(t, func() {
			if at := anonymous.Visit(t, address); at.Status != test.status {
				t.Errorf("%s, signed out: %+v, want %d", test.name, at, test.status)
			}
			a.loginFailed(t, anonymous)
		}, test.reason)
		if subject, _ := a.person(t, anonymous); subject != "" || a.cookies(t, anonymous)[a.cookie].Value != "" {
			t.Errorf("%s: signed in as %q, want none", test.name, subject)
		}
		// A failed callback ends its own login and no other.
		left := len(a.transactions(t, anonymous)) - len(before)
		if test.reason == "signin_transaction" && left != 1 && len(before) < 5 || test.reason != "signin_transaction" && left > 0 {
			t.Errorf("%s: %d transactions more than before", test.name, left)
		}

		address = test.address(a.callback(t, ada, ""))
		a.wantReasons(t, func() {
			at := ada.Visit(t, address)
			if test.reason == "signin_transaction" { // as after the back button
				if at.Status != http.StatusOK || at.URL != a.origin+"/" {
					t.Errorf("%s, signed in: %+v, want the page", test.name, at)
				}
				return
			}
			if at.Status != test.status {
				t.Errorf("%s, signed in: %+v, want %d", test.name, at, test.status)
			}
			a.loginFailed(t, ada)
		}, test.reason)
		if subject, now := a.person(t, ada); subject != "ada" || now != session || a.cookies(t, ada)[a.cookie] != cookie {
			t.Errorf("%s: signed in as %q in the session %q, want ada in %q", test.name, subject, now, session)
		}
		hostile.Add(2)
	}
	a.show(t, anonymous, "signed-out")
	a.show(t, ada, "signed-in")
}

// swappedCallbacks mixes the parameters of two logins of one browser.
func (a *app) swappedCallbacks(t *testing.T) {
	page := a.chromium.Person(t)
	one := a.callback(t, page, "ada")
	two := a.callback(t, page, "")
	for name, address := range map[string]string{
		"code of the other":  with(one, "code", two.Query().Get("code")),
		"state of the other": with(one, "state", two.Query().Get("state")),
	} {
		a.wantReasons(t, func() {
			if at := page.Visit(t, address); at.Status != http.StatusBadRequest {
				t.Errorf("%s: %+v, want 400", name, at)
			}
			a.loginFailed(t, page)
		}, "oauth_code")
	}
	a.show(t, page, "signed-out")
	// Both logins have ended.
	for _, address := range []*url.URL{one, two} {
		a.wantReasons(t, func() {
			if at := page.Visit(t, address.String()); at.Status != http.StatusBadRequest {
				t.Errorf("the callback of an ended login: %+v, want 400", at)
			}
		}, "signin_transaction")
	}
	if names := a.transactions(t, page); len(names) != 0 {
		t.Errorf("the transactions %v remain, want none", names)
	}
}

// canceledLogin cancels a login at the provider and begins another one.
func (a *app) canceledLogin(t *testing.T) {
	page := a.chromium.Person(t)
	page.Visit(t, a.origin+"/login")
	a.wantReasons(t, func() {
		if at := page.Submit(t, "a[href$='/abort']"); at.Status != http.StatusForbidden || !strings.HasPrefix(at.URL, a.origin+"/callback?") {
			t.Errorf("cancel leads to %+v, want 403", at)
		}
		a.loginFailed(t, page)
	}, "oauth_denied")
	a.show(t, page, "signed-out")
	page.Back(t)
	page.Submit(t, "#signin")
	if at := a.consent(t, page, "ada"); at.URL != a.origin+"/" {
		t.Errorf("the next login ends at %+v, want %s/", at, a.origin)
	}
	shown(t, page, "signed-in")
}

// twoTabs begins two logins in two tabs. Both succeed, in either order.
func (a *app) twoTabs(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		first := a.chromium.Person(t)
		tabs := []*browser.Page{first, first.Tab(t)}
		for i, tab := range tabs {
			tab.Visit(t, fmt.Sprintf("%s/login?return_to=/api/me%%3Ftab=%d", a.origin, i))
		}
		if names := a.transactions(t, first); len(names) != 2 {
			t.Errorf("the transactions of two logins are %v, want two", names)
		}
		for _, i := range order {
			at := a.consent(t, tabs[i], "ada")
			if at.Status != http.StatusOK || at.URL != fmt.Sprintf("%s/api/me?tab=%d", a.origin, i) || !strings.Contains(tabs[i].Text(t, "body"), `"subject":"ada"`) {
				t.Errorf("order %v: the login of tab %d ends at %+v: %s", order, i, at, tabs[i].Text(t, "body"))
			}
		}
		if names := a.transactions(t, first); len(names) != 0 {
			t.Errorf("the transactions %v remain, want none", names)
		}
		_, one := a.person(t, tabs[0])
		if _, other := a.person(t, tabs[1]); one != other || one == "" {
			t.Errorf("the tabs have the sessions %q and %q, want one", one, other)
		}
	}
}

// manyTabs begins six logins: the sixth one evicts the oldest and no other.
func (a *app) manyTabs(t *testing.T) {
	page := a.chromium.Person(t)
	tabs := []*browser.Page{page}
	var oldest string
	for i := range 6 {
		if i > 0 {
			tabs = append(tabs, page.Tab(t))
		}
		tabs[i].Visit(t, a.origin+"/login")
		names := a.transactions(t, page)
		if i == 0 {
			oldest = names[0]
		}
		if len(names) != min(i+1, 5) || slices.Contains(names, oldest) == (i == 5) {
			t.Errorf("login %d: the transactions are %v, the oldest %s, want at most five", i+1, names, oldest)
		}
	}
	a.wantReasons(t, func() {
		if at := a.consent(t, tabs[0], "ada"); at.Status != http.StatusBadRequest {
			t.Errorf("the evicted login ends at %+v, want 400", at)
		}
		a.loginFailed(t, tabs[0])
	}, "signin_transaction")
	for _, i := range []int{5, 1} {
		if at := a.consent(t, tabs[i], "ada"); at.URL != a.origin+"/" || at.Status != http.StatusOK {
			t.Errorf("login %d ends at %+v, want %s/", i+1, at, a.origin)
		}
		shown(t, tabs[i], "signed-in")
	}
}

// backgroundLogin checks that a script cannot begin a login.
func (a *app) backgroundLogin(t *testing.T) {
	page := a.chromium.Person(t)
	a.show(t, page, "signed-out")
	a.wantReasons(t, func() {
		for _, options := range []string{"{}", "{headers: {Accept: 'text/html'}}"} {
			if r := a.fetch(t, page, "/login", options); r.Status != http.StatusUnauthorized || r.Redirected || r.Header["content-type"] != "application/json" {
				t.Errorf("fetch with %s: %+v, want 401 as JSON", options, r)
			}
		}
		page.Run(t, "new Promise((done) => { const x = new XMLHttpRequest(); x.onloadend = done; x.open('GET', '/login'); x.send(); })")
	}, "signin_navigation", "signin_navigation", "signin_navigation")
	if kept := a.cookies(t, page); len(kept) != 0 {
		t.Errorf("the browser keeps %v, want no cookies", kept)
	}
	for _, e := range page.Exchanges(t) {
		if strings.HasPrefix(e.URL, a.provider.Issuer) {
			t.Errorf("the browser has requested %s", e.URL)
		}
	}
}

// backAfterLogin goes back to the provider and forward again.
func (a *app) backAfterLogin(t *testing.T) {
	page := a.signedIn(t, "ada")
	_, session := a.person(t, page)
	if at := page.Back(t); !strings.HasPrefix(at.URL, a.provider.Issuer+"/interaction/") {
		t.Errorf("back leads to %+v, want the provider", at)
	}
	if at := page.Forward(t); at.URL != a.origin+"/" {
		t.Errorf("forward leads to %+v, want %s/", at, a.origin)
	}
	shown(t, page, "signed-in")
	if _, now := a.person(t, page); now != session {
		t.Errorf("the session is %q, want %q", now, session)
	}
}

// loginByNavigation opens an address of the API signed out. The login leads back
// to it.
func (a *app) loginByNavigation(t *testing.T) {
	page := a.chromium.Person(t)
	if at := page.Visit(t, a.origin+"/api/me?a=b%26c"); !strings.HasPrefix(at.URL, a.provider.Issuer+"/interaction/") {
		t.Fatalf("a navigation leads to %+v, want the provider", at)
	}
	if at := a.consent(t, page, "ada"); at.URL != a.origin+"/api/me?a=b%26c" || at.Status != http.StatusOK || !strings.Contains(page.Text(t, "body"), `"subject":"ada"`) {
		t.Errorf("the login ends at %+v, want /api/me?a=b%%26c", at)
	}
}

// hostileReturns are addresses of other origins, in spellings that browsers,
// proxies and libraries read differently. Chromium tries the first five.
func hostileReturns() []string {
	return []string{
		"//evil.example", `/\evil.example`, "/\t/evil.example", "https://evil.example/", "javascript:alert(1)",

		"///evil.example", "////evil.example/a", `\\evil.example`, `\/evil.example`, `/\/evil.example`, "https:evil.example", "https:/evil.example",
		"hTTps://evil.example", "http:evil.example", "data:text/html,x", "evil.example", "@evil.example", ".evil.example", "?//evil.example", "",
		"/\n/evil.example", "/\r\n/evil.example", " //evil.example", "\t//evil.example", "/ /evil.example", "/\x00/evil.example", "/..//evil.example",
		"/.//evil.example", "/a/..//evil.example", "/%2e%2e//evil.example", "/%2fevil.example", "/%2F%2Fevil.example", "/%5cevil.example",
		"/%09/evil.example", "/%0d%0aLocation:%20//evil.example", "/\u2215evil.example", "/\uff0f\uff0fevil.example", "/\u3002/evil.example",
		"//evil%E3%80%82example", "//127.0.0.1@evil.example", "http://127.0.0.1@evil.example", "//[::1]/", "/\u200b/evil.example", "/" + strings.Repeat("a", 3000),
	}
}

// returnTo checks that a login never leads to another origin (open redirect), and
// that each attempt is in the log.
func (a *app) returnTo(t *testing.T) {
	page := a.signedIn(t, "ada")
	for _, target := range hostileReturns()[:5] {
		a.wantReasons(t, func() {
			if at := page.Visit(t, a.origin+"/login?return_to="+url.QueryEscape(target)); at.URL != a.origin+"/" || at.Status != http.StatusOK {
				t.Errorf("return_to %q leads to %+v, want %s/", target, at, a.origin)
			}
		}, "signin_return_to_rejected")
		shown(t, page, "signed-in")
	}
	a.wantReasons(t, func() {
		if at := page.Visit(t, a.origin+"/login?return_to="+url.QueryEscape("/api/note?a=//b#c")); at.URL != a.origin+"/api/note?a=//b#c" {
			t.Errorf("a valid return_to leads to %+v", at)
		}
	})

	visitor := newVisitor(t, "ada")
	queries := []string{"?return_to=/a&return_to=//evil.example", "?return_to=%zz", "?return_to=/;//evil.example"}
	for _, target := range hostileReturns()[5:] {
		queries = append(queries, "?return_to="+url.QueryEscape(target))
	}
	for _, query := range queries {
		a.wantReasons(t, func() {
			callback := visitor.person.Visit(t, visitor.authorize(t, a.origin, query), a.origin+"/callback")
			response, _ := visitor.get(t, callback.String(), asNavigation)
			if to := response.Header.Get("Location"); response.StatusCode != http.StatusSeeOther || to != "/" {
				t.Errorf("%s: %d to %q, want 303 to /", query, response.StatusCode, to)
			}
		}, "signin_return_to_rejected")
	}
	a.returnToAsBrowsersRead(t, page)
}

// returnToAsBrowsersRead checks that Chromium reads each text that is accepted as
// return_to, out of many thousand, as an address of the app, also unescaped.
func (a *app) returnToAsBrowsersRead(t *testing.T, page *browser.Page) {
	t.Helper()
	rejected := false
	handler := must(signin.New(signin.Config{
		Client: oauth.Config{
			Issuer: a.origin, ClientID: "a", Secret: gatehouse.NewSecret([]byte(clientSecret)),
			Provider: oauth.Provider{Issuer: a.origin, TokenEndpoint: a.origin, AuthorizationEndpoint: a.origin, JWKSURI: a.origin},
		},
		RedirectURI:   a.origin + "/callback",
		CookieSecrets: cookieSecrets,
		Session:       session.Config{Store: session.NewMemory(0)},
		Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			rejected = rejected || e.Type == signin.EventReturnToRejected
			return nil
		}),
	}))
	defer func() { _ = handler.Close() }()
	parts := []string{
		"/", "//", `\`, ".", "..", "a", "evil.example", "@", ":", "http:", "?", "#", "[", "%", " ", "\t", "\n", "\x00",
		"%2f", "%5c", "%2e", "%09", "%25", "%252f", "\u2215", "\uff0f", "\u200b",
	}
	var accepted []string
	count := 0
	for _, one := range parts {
		for _, two := range parts {
			for _, three := range parts {
				for _, text := range []string{one + two + three + "evil.example", "/" + one + two + three} {
					rejected = false
					r := httptest.NewRequest(http.MethodGet, "/login?return_to="+url.QueryEscape(text), http.NoBody)
					asNavigation(r.Header)
					handler.ServeHTTP(httptest.NewRecorder(), r)
					if count++; !rejected {
						accepted = append(accepted, text)
					}
				}
			}
		}
	}
	list := must(json.Marshal(accepted))
	wrong := page.Run(t, string(list)+`.filter((text) => {
		const all = [text];
		try { all.push(decodeURIComponent(text.split(/[?#]/)[0])); } catch {} // malformed escapes
		return !all.every((t) => { const u = new URL(t, location.origin); return u.origin === location.origin && !u.pathname.startsWith('//'); });
	})`)
	if wrong != "[]" {
		t.Errorf("Chromium reads these as other origins: %s", wrong)
	}
	if len(accepted) < count/100 || len(accepted) > count/2 {
		t.Errorf("%d of %d texts are accepted, want 1 to 50 %%", len(accepted), count)
	}
	t.Logf("%d of %d texts are accepted, and Chromium reads all of them as addresses of the app", len(accepted), count)
}
