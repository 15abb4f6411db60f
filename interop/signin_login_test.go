// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
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
		{"of another browser", fixed("?" + ofEve.Encode()), 400, "signin_transaction"},
		{"state of another browser", replace("state", ofEve.Get("state")), 400, "signin_transaction"},
		{"state twice", func(own *url.URL) string {
			return with(own, "state", own.Query().Get("state"), own.Query().Get("state"))
		}, 400, "signin_transaction"},
		{"error with another state", fixed("?error=access_denied&state=x"), 400, "signin_transaction"},
		{"code of another browser", replace("code", ofEve.Get("code")), 400, "oauth_code"},
		{"iss of another server", replace("iss", "https://evil.example"), 400, "oauth_issuer"},
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
			lands(t, test.name+", signed out", anonymous.Visit(t, address), test.status, "")
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

// canceledLogin cancels a login at the provider and begins another one.
func (a *app) canceledLogin(t *testing.T) {
	page := a.chromium.Person(t)
	page.Visit(t, a.origin+"/login")
	a.wantReasons(t, func() {
		lands(t, "cancel", page.Submit(t, "a[href$='/abort']"), http.StatusForbidden, a.origin+"/callback?…")
		a.loginFailed(t, page)
	}, "oauth_denied")
	a.show(t, page, "signed-out")
	page.Back(t)
	page.Submit(t, "#signin")
	lands(t, "the next login", a.consent(t, page, "ada"), 0, a.origin+"/")
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
		a.keeps(t, first, 2)
		for _, i := range order {
			at := a.consent(t, tabs[i], "ada")
			if at.Status != http.StatusOK || at.URL != fmt.Sprintf("%s/api/me?tab=%d", a.origin, i) || !strings.Contains(tabs[i].Text(t, "body"), `"subject":"ada"`) {
				t.Errorf("order %v: the login of tab %d ends at %+v: %s", order, i, at, tabs[i].Text(t, "body"))
			}
		}
		a.keeps(t, first, 1)
		_, one := a.person(t, tabs[0])
		if _, other := a.person(t, tabs[1]); one != other || one == "" {
			t.Errorf("the tabs have the sessions %q and %q, want one", one, other)
		}
	}
}

// backAfterLogin goes back to the provider and forward again.
func (a *app) backAfterLogin(t *testing.T) {
	page := a.signedIn(t, "ada")
	_, session := a.person(t, page)
	lands(t, "back", page.Back(t), 0, a.provider.Issuer+"/interaction/…")
	lands(t, "forward", page.Forward(t), 0, a.origin+"/")
	shown(t, page, "signed-in")
	if _, now := a.person(t, page); now != session {
		t.Errorf("the session is %q, want %q", now, session)
	}
}

// loginByNavigation opens an address of the API signed out. The login leads back
// to it.
func (a *app) loginByNavigation(t *testing.T) {
	page := a.chromium.Person(t)
	lands(t, "a navigation", page.Visit(t, a.origin+"/api/me?a=b%26c"), 0, a.provider.Issuer+"/interaction/…")
	lands(t, "the login", a.consent(t, page, "ada"), http.StatusOK, a.origin+"/api/me?a=b%26c")
	says(t, page, "body", `"subject":"ada"`)
}

// returnTo checks that a login never leads to another origin (open redirect), and
// that each attempt is in the log. Package signin tests more spellings.
func (a *app) returnTo(t *testing.T) {
	page := a.signedIn(t, "ada")
	for _, target := range []string{"//evil.example", `/\evil.example`, "/\t/evil.example", "https://evil.example/", "javascript:alert(1)"} {
		a.wantReasons(t, func() {
			lands(t, fmt.Sprintf("return_to %q", target), page.Visit(t, a.origin+"/login?return_to="+url.QueryEscape(target)), http.StatusOK, a.origin+"/")
		}, "signin_return_to_rejected")
		shown(t, page, "signed-in")
	}
	a.wantReasons(t, func() {
		lands(t, "a valid return_to", page.Visit(t, a.origin+"/login?return_to="+url.QueryEscape("/api/note?a=//b#c")), 0, a.origin+"/api/note?a=//b#c")
	})

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
		RedirectURI: a.origin + "/callback", CookieSecrets: cookieSecrets, Session: session.Config{Store: session.NewMemory(0)},
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
