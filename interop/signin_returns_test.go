// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/interop/browser"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// signedOut: a script is told so, and a person can sign in.
func (f *front) signedOut(t *testing.T) {
	page := f.chromium.Person(t)
	f.show(t, page, "signed-out")
	for _, path := range []string{"/api/me", "/api/note", "/api/upstream", "/api/sessions"} {
		r := fetch(t, page, path, "{}")
		if r.Status != http.StatusUnauthorized || r.Redirected || r.Header["content-type"] != "application/json" || !strings.Contains(r.Body, `"missing_credentials"`) {
			t.Errorf("fetch of %s: %+v", path, r)
		}
	}
	if r := fetch(t, page, "/api/note", "{method: 'POST', body: 'x', headers: {'Content-Type': 'text/plain'}}"); r.Status != http.StatusUnauthorized || r.Redirected {
		t.Errorf("POST: %+v", r)
	}
	if at := page.Visit(t, f.origin+"/api/me?a=b%26c"); !strings.HasPrefix(at.URL, f.provider.Issuer+"/interaction/") {
		t.Fatalf("a navigation leads to %+v", at)
	}
	if at := f.consent(t, page, "ada"); at.URL != f.origin+"/api/me?a=b%26c" || at.Status != http.StatusOK || !strings.Contains(page.Text(t, "body"), `"subject":"ada"`) {
		t.Errorf("the login ends at %+v", at)
	}
}

// Somewhere else, in the spellings that browsers, proxies and libraries are known
// to disagree on. The first ones are tried in Chromium too.
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

// waysBack: after the login nobody is led elsewhere, and each attempt is in the
// log.
func (f *front) waysBack(t *testing.T) {
	page := f.signedIn(t, "ada")
	for _, asked := range hostileReturns()[:5] {
		f.told(t, func() {
			if at := page.Visit(t, f.origin+"/login?return_to="+url.QueryEscape(asked)); at.URL != f.origin+"/" || at.Status != http.StatusOK {
				t.Errorf("%q leads to %+v", asked, at)
			}
		}, "return_to")
		shown(t, page, "signed-in")
	}
	// A way back of ours is one, and nothing to tell of.
	f.told(t, func() {
		if at := page.Visit(t, f.origin+"/login?return_to="+url.QueryEscape("/api/note?a=//b#c")); at.URL != f.origin+"/api/note?a=//b#c" {
			t.Errorf("a way back of ours leads to %+v", at)
		}
	})

	// The rest of them, without a browser.
	someone := newVisitor(t, "ada")
	back := func(query string) {
		t.Helper()
		f.told(t, func() {
			response, body := someone.get(t, f.origin+"/login"+query, asNavigation)
			if response.StatusCode != http.StatusSeeOther {
				t.Fatalf("%s: %d %s", query, response.StatusCode, body)
			}
			someone.keep(response)
			callback := someone.person.Visit(t, response.Header.Get("Location"), f.origin+"/callback")
			response, _ = someone.get(t, callback.String(), asNavigation)
			someone.keep(response)
			if to := response.Header.Get("Location"); response.StatusCode != http.StatusSeeOther || to != "/" {
				t.Errorf("%s leads to %q with %d", query, to, response.StatusCode)
			}
		}, "return_to")
	}
	for _, asked := range hostileReturns()[5:] {
		back("?return_to=" + url.QueryEscape(asked))
	}
	back("?return_to=/a&return_to=//evil.example")
	back("?return_to=%zz")
	back("?return_to=/;//evil.example")
	f.asBrowsersRead(t, page)
	t.Logf("%d spellings of another place end at /", len(hostileReturns())+3)
}

// asBrowsersRead: what is taken for a way back, out of many thousand texts, Chromium
// takes for an address of the app too, also where somebody has unescaped it.
func (f *front) asBrowsersRead(t *testing.T, page *browser.Page) {
	t.Helper()
	refused := false
	login := must(oauth.NewLogin(oauth.LoginConfig{
		Client: newClient(t, oauth.Config{
			Issuer: f.origin, ClientID: "a", Secret: gatehouse.NewSecret([]byte(clientSecret)),
			Provider: oauth.Provider{Issuer: f.origin, TokenEndpoint: f.origin, AuthorizationEndpoint: f.origin},
		}),
		Keys:    must(cookie.NewKeyring(gatehouse.NewSecret([]byte(strings.Repeat("k", 32))))),
		Request: oauth.AuthorizationRequest{RedirectURI: f.origin + "/callback"},
		Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			refused = refused || e.Reason == gatehouse.ReasonReturnTo
			return nil
		}),
	}))
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
					refused = false
					r := httptest.NewRequest(http.MethodGet, "/login?return_to="+url.QueryEscape(text), http.NoBody)
					asNavigation(r)
					login.Start(httptest.NewRecorder(), r)
					if count++; !refused {
						accepted = append(accepted, text)
					}
				}
			}
		}
	}
	list := must(json.Marshal(accepted))
	wrong := page.Run(t, string(list)+`.filter((text) => {
		const all = [text];
		try { all.push(decodeURIComponent(text.split(/[?#]/)[0])); } catch {} // which nobody can unescape
		return !all.every((t) => { const u = new URL(t, location.origin); return u.origin === location.origin && !u.pathname.startsWith('//'); });
	})`)
	if wrong != "[]" {
		t.Errorf("these ways back are elsewhere: %s", wrong)
	}
	if len(accepted) < count/100 || len(accepted) > count/2 {
		t.Errorf("%d of %d texts are ways back", len(accepted), count)
	}
	t.Logf("%d of %d texts are ways back, and Chromium agrees", len(accepted), count)
}
