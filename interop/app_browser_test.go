// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/browser"
)

// step is a part of a browser suite.
type step struct {
	name string
	run  func(*app, *testing.T)
}

// TestAppsInBrowser uses the example apps in Chromium as people do, and attacks
// them. It is slow. With -artifacts it keeps pictures of the pages.
//
// Covers RFC 8252 §5.
func TestAppsInBrowser(t *testing.T) {
	chromium := browser.Start(t)
	shared := []step{
		{"login to logout", (*app).loginToLogout},
		{"cookie attributes", (*app).cookieAttributes},
		{"no secrets for scripts", (*app).noSecretsForScripts},
		{"signed out", (*app).signedOut},
		{"callback is single use", (*app).callbackIsSingleUse},
		{"session ends in another tab", (*app).sessionEndsInAnotherTab},
		{"two people", (*app).twoPeople},
		{"typed text stays", (*app).typedTextStays},
		{"typed text survives a login", (*app).typedTextSurvivesLogin},
		{"back after logout", (*app).backAfterLogout},
		{"back from the cache", (*app).backFromCache},
		{"cross-site requests", (*app).crossSite},
		{"pictures", (*app).pictures},
	}
	for _, test := range []struct {
		name  string
		start func(*testing.T, *browser.Page) *app
		steps []step
	}{
		{"signin", newSignin, append(signinSteps(), shared...)},
		{"spa", newSPA, shared},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := test.start(t, chromium)
			for _, step := range test.steps {
				t.Run(step.name, func(t *testing.T) { step.run(a, t) })
			}
		})
	}
	t.Run("native", func(t *testing.T) { nativeInBrowser(t, chromium.Person(t)) })
	t.Run("keyserver", func(t *testing.T) { keyserverInBrowser(t, chromium.Person(t)) })
	t.Run("llmgateway", func(t *testing.T) { llmGatewayInBrowser(t, chromium.Person(t)) })
	t.Run("proxy", func(t *testing.T) { signinBehindProxy(t, chromium) })
	t.Run("forwardauth", func(t *testing.T) { forwardAuthInBrowser(t, chromium.Person(t)) })
}

// loginToLogout signs in, works longer than the access token is valid, and signs
// out.
func (a *app) loginToLogout(t *testing.T) {
	page := a.chromium.Person(t)
	a.show(t, page, "signed-out")
	a.checkNoData(t, page)
	before := len(a.provider.Issued(t))
	a.login(t, page, "ada")
	issued := a.provider.Issued(t)[before:]
	good, _ := a.provider.Refreshes(t)
	if got := page.Text(t, "#who"); got != "ada" && got != "ada@example.com" {
		t.Errorf("signed in as %q, want ada", got)
	}
	const note = "milk & <b>bread</b>"
	save(t, page, note)
	a.show(t, page, "signed-in")
	page.Until(t, fmt.Sprintf("document.getElementById('note').value === %q", note))

	a.askProfile(t, page)
	a.expire(t, issued)
	a.show(t, page, "signed-in")
	a.askProfile(t, page)
	if after, refused := a.provider.Refreshes(t); after != good+1 || refused != 0 {
		t.Errorf("%d refreshes and %d rejected, want %d and 0", after, refused, good+1)
	}
	tokens := a.provider.Issued(t)[before:]
	if got := active(t, a.provider, tokens); got != 2 { // an access token and a refresh token
		t.Fatalf("%d tokens are active before the logout, want 2", got)
	}

	old := a.cookies(t, page)[a.cookie]
	a.signOut(t, page)
	// Independently of what the person does at the provider.
	if got := active(t, a.provider, tokens); got != 0 {
		t.Errorf("%d tokens are active after the logout, want 0", got)
	}
	lands(t, "sign out", page.Submit(t, "button[name=logout]"), http.StatusOK, a.page+"/")
	shown(t, page, "signed-out")
	a.checkNoData(t, page)
	a.keeps(t, page, 0)
	// The address of the logout has an ID token, which the page never sees.
	a.searchScripts(t, page, tokens)
	// A copy of the cookie is worthless.
	page.Plant(t, old)
	a.show(t, page, "signed-out")
	// The provider requires a new login.
	lands(t, "sign in after the logout", page.Submit(t, "#signin"), 0, a.provider.Issuer+"/interaction/…")
}

// cookieAttributes checks the cookies as the browser reports them.
func (a *app) cookieAttributes(t *testing.T) {
	check := func(c browser.Cookie) {
		t.Helper()
		if !strings.HasPrefix(c.Name, "__Host-Http-") || !c.HTTPOnly || !c.Secure || c.SameSite != "Lax" || c.Path != "/" || c.Domain != a.host {
			t.Errorf("cookie %+v, want __Host-Http-, HttpOnly, Secure, SameSite=Lax and Path=/", c)
		}
	}
	page := a.chromium.Person(t)
	a.show(t, page, "signed-out")
	a.keeps(t, page, 0)
	page.Submit(t, "#signin")
	during := a.cookies(t, page)
	for _, c := range during {
		check(c)
	}
	if names := a.transactions(t, page); len(names) != 1 || len(during) != 1 || during[names[0]].Expires < 0 {
		t.Errorf("during the login the browser keeps %v, want a transaction that expires", during)
	}
	a.consent(t, page, "ada")
	shown(t, page, "signed-in")
	after := a.cookies(t, page)
	if c := after[a.cookie]; len(after) != 1 || c.Value == "" || c.Expires != -1 {
		t.Errorf("after the login the browser keeps %v, want a session cookie", after)
	}
	check(after[a.cookie])
}

// readable is a JavaScript expression for all text that a script can read: the
// page, its address, its history, requests, storage and global variables.
const readable = `(async () => {
	const own = [];
	for (const name of Object.getOwnPropertyNames(window)) {
		try { own.push(name, JSON.stringify(window[name])); } catch { own.push(name, String(window[name])); }
	}
	const stores = await indexedDB.databases();
	return {
		cookie: document.cookie,
		kept: [localStorage, sessionStorage].map((s) => s.length).concat(stores.length, (await caches.keys()).length,
			(await navigator.serviceWorker.getRegistrations()).length).join(),
		text: [document.documentElement.outerHTML, location.href, document.referrer, JSON.stringify(history.state), window.name,
			...[...document.querySelectorAll('input, textarea')].map((e) => e.value),
			...performance.getEntries().map((e) => JSON.stringify(e)), ...own].join('\n'),
	};
})()`

// searchScripts checks that a script on the page can read none of the secrets,
// including all strings in its memory.
func (a *app) searchScripts(t *testing.T, page *browser.Page, secrets []string) {
	t.Helper()
	var found struct{ Cookie, Kept, Text string }
	if err := json.Unmarshal([]byte(page.Run(t, readable)), &found); err != nil {
		t.Fatal(err)
	}
	if found.Cookie != "" || found.Kept != "0,0,0,0,0" {
		t.Errorf("scripts read the cookies %q and %s stores, want none", found.Cookie, found.Kept)
	}
	page.Run(t, "(() => { const kept = ['a', 'needle'].join(' '); document.addEventListener('x', () => kept); })()")
	memory := strings.Join(page.Memory(t), "\n")
	if !strings.Contains(found.Text, a.origin) || !strings.Contains(memory, "a needle") {
		t.Error("the search misses text that is on the page or in a closure")
	}
	checkAbsent(t, "the page", found.Text, secrets)
	checkAbsent(t, "the memory of the scripts", memory, secrets)
}

// checkAbsent checks that no secret is in a text: of a long secret the end, which
// is the signature of a JWT.
func checkAbsent(t *testing.T, what, text string, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		if len(secret) < 32 {
			t.Fatalf("a secret of %d characters, want at least 32", len(secret))
		}
		if strings.Contains(text, secret[max(0, len(secret)-40):]) {
			t.Errorf("%s contains a secret", what)
		}
	}
}

// noSecretsForScripts checks that neither tokens nor the session cookie are on the
// page, in its memory or in a response.
func (a *app) noSecretsForScripts(t *testing.T) {
	before := len(a.provider.Issued(t))
	page := a.signedIn(t, "ada")
	save(t, page, "a secret of the person")
	a.askProfile(t, page)
	secrets := append(a.provider.Issued(t)[before:], a.cookies(t, page)[a.cookie].Value)
	if len(secrets) < 4 {
		t.Fatalf("%d secrets, want at least 4", len(secrets))
	}
	a.searchScripts(t, page, secrets)

	responses, bodies := 0, 0
	for _, e := range page.Exchanges(t) {
		api := strings.HasPrefix(e.URL, a.origin)
		if !api && !strings.HasPrefix(e.URL, a.page) {
			continue
		}
		if api {
			responses++
		}
		if e.Body != "" {
			bodies++
		}
		checkAbsent(t, "the response to "+e.URL, e.Body, secrets)
		checkAbsent(t, "the address "+e.URL, e.URL, secrets)
		for name, value := range e.Header {
			if name != "set-cookie" {
				checkAbsent(t, name+" of "+e.URL, value, secrets)
			} else if !api {
				t.Errorf("%s sets a cookie", e.URL)
			}
		}
		if e.Sent["authorization"] != "" {
			t.Errorf("the browser sends Authorization to %s", e.URL)
		}
	}
	// Four of the API, two of the login, one of the upstream call.
	if responses < 7 || bodies < 8 {
		t.Errorf("%d responses of the API and %d bodies, want at least 7 and 8", responses, bodies)
	}
}

// signedOut checks that scripts get 401 as JSON and no redirect, and begin no login.
func (a *app) signedOut(t *testing.T) {
	page := a.chromium.Person(t)
	a.show(t, page, "signed-out")
	for path, options := range map[string]string{
		"/api/me": "{}", "/api/upstream": "{}", "/login": "{}",
		"/api/note": "{method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'}}",
	} {
		r := a.fetch(t, page, path, options)
		if r.Status != http.StatusUnauthorized || r.Redirected || r.Header["content-type"] != "application/json" || !strings.HasPrefix(r.Body, `{"error":"`) {
			t.Errorf("fetch of %s: %+v, want 401 as JSON", path, r)
		}
	}
	for _, e := range page.Exchanges(t) {
		if strings.HasPrefix(e.URL, a.provider.Issuer) {
			t.Errorf("the browser has requested %s", e.URL)
		}
	}
	a.keeps(t, page, 0)
}

// callbackIsSingleUse requests the callback of a finished login again: signed in,
// in another browser, and after the logout.
func (a *app) callbackIsSingleUse(t *testing.T) {
	page := a.chromium.Person(t)
	address := a.callback(t, page, "ada").String()
	lands(t, "the callback", page.Visit(t, address), 0, a.page+"/")
	shown(t, page, "signed-in")
	a.wantReasons(t, func() {
		lands(t, "signed in, the callback", page.Visit(t, address), 0, a.page+"/")
		shown(t, page, "signed-in")
	}, "signin_transaction")
	thief := a.chromium.Person(t)
	a.wantReasons(t, func() {
		thief.Visit(t, address)
		a.loginFailed(t, thief)
	}, "signin_transaction")
	a.keeps(t, thief, 0)
	if r := a.fetch(t, page, "/logout", "{method: 'POST'}"); r.Status != http.StatusOK {
		t.Fatalf("logout: %+v", r)
	}
	a.wantReasons(t, func() {
		page.Visit(t, address)
		a.loginFailed(t, page)
	}, "signin_transaction")
	a.show(t, page, "signed-out")
}

// elsewhere is the address of a page on another site.
func (a *app) elsewhere() string { return a.provider.Issuer + "/.well-known/openid-configuration" }

// sessionEndsInAnotherTab checks that a page whose session has ended says so at
// its next call and drops its data.
func (a *app) sessionEndsInAnotherTab(t *testing.T) {
	tab := a.signedIn(t, "ada")
	other := tab.Tab(t)
	a.show(t, other, "signed-in")
	save(t, other, "a secret of the person")
	a.logout(t, tab)
	other.Click(t, "#upstream")
	shown(t, other, "signed-out")
	if a.name == "spa" {
		other.Until(t, "!document.getElementById('problem').hidden")
		says(t, other, "#problem", "sign in again")
	}
	a.checkNoData(t, other)
}

// backAfterLogout goes back to the page in the tab of the logout and in one that
// has left the page before.
func (a *app) backAfterLogout(t *testing.T) {
	page := a.signedIn(t, "ada")
	save(t, page, "a secret of the person")
	a.askProfile(t, page)
	other := page.Tab(t)
	a.show(t, other, "signed-in")
	other.Until(t, "document.getElementById('note').value === 'a secret of the person'")
	other.Visit(t, a.elsewhere())

	a.logout(t, page)
	page.Back(t)
	for _, tab := range []*browser.Page{page, other} {
		tab.Back(t)
		yields(t, tab, "location.href", `"`+a.page+`/"`)
		shown(t, tab, "signed-out")
		a.checkNoData(t, tab)
	}
}

// backFromCache goes back to a page in the back/forward cache after its session
// has ended. The page shows nothing until the server has said who is signed in.
// Chromium does not cache pages and responses with no-store, other browsers do.
func (a *app) backFromCache(t *testing.T) {
	page, other := a.signedIn(t, "ada"), a.signedIn(t, "ada")
	_, session := a.person(t, page)
	page.Strip(t, "http://"+a.host+":*", "Cache-Control")
	a.show(t, page, "signed-in")
	save(t, page, "a secret of the person")
	page.Run(t, `addEventListener('pageshow', ({ persisted }) => { window.back = { persisted, data: `+a.data()+`,
		shown: [...document.body.children].filter((e) => !e.hidden && e.id).map((e) => e.id).join() }; })`)
	page.Visit(t, a.elsewhere())
	if session != "" { // another browser ends the session, and the cookie remains
		if r := a.fetch(t, other, "/api/sessions/"+session+"/end", "{method: 'POST'}"); r.Status != http.StatusOK {
			t.Fatalf("end of the session: %+v, want 200", r)
		}
	} else {
		tab := page.Tab(t)
		a.show(t, tab, "signed-in")
		a.logout(t, tab)
	}
	page.Back(t)
	page.Until(t, "window.back !== undefined")
	yields(t, page, "window.back", `{"persisted":true,"data":"","shown":""}`)
	shown(t, page, "signed-out")
	a.checkNoData(t, page)
}

// pictures keeps pictures of a page in windows of several widths, light and dark, in files
// whose names begin with file. The page must fit, and the conditions must be true.
func pictures(t *testing.T, page *browser.Page, file string, conditions ...string) {
	t.Helper()
	for _, width := range []int{320, 390, 1280} {
		page.Size(t, width, 700)
		for scheme, dark := range map[string]bool{"light": false, "dark": true} {
			page.Dark(t, dark)
			page.Screenshot(t, fmt.Sprintf("%s-%d-%s.png", file, width, scheme))
			for _, condition := range append(conditions, "document.documentElement.scrollWidth <= innerWidth") {
				if got := page.Run(t, condition); got != "true" {
					t.Errorf("%s, %d px, %s: %s is %s, want true", file, width, scheme, condition, got)
				}
			}
		}
	}
}

// pictures keeps pictures of the pages. With GATEHOUSE_PICTURES=1 it writes those of the
// README of the app, too.
func (a *app) pictures(t *testing.T) {
	page := a.chromium.Person(t)
	take := func(name string) {
		t.Helper()
		// WCAG 2.2 §2.5.8: 24 by 24 CSS pixels.
		pictures(t, page, filepath.Join(t.ArtifactDir(), a.name+"-"+name), "[...document.querySelectorAll('button, a.button, input[type=checkbox] + *')].filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 24).length === 0")
	}
	page.Visit(t, a.origin+"/callback?state=x")
	a.loginFailed(t, page)
	take("failed")
	a.show(t, page, "signed-out")
	take("signed-out")
	a.login(t, page, "ada")
	save(t, page, "Milk, bread and the small book about gates.")
	a.askProfile(t, page)
	page.Run(t, "document.activeElement.blur()")
	take("signed-in")
	if os.Getenv("GATEHOUSE_PICTURES") == "1" {
		pictures(t, page, filepath.Join("..", "examples", a.name, "signed-in"))
	}
}
