// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/interop/browser"
)

// TestSigninInBrowser: people sign in at the example app in Chromium, and others
// try to make use of that. All of it is one test since they share a service.
func TestSigninInBrowser(t *testing.T) {
	f := newFront(t)
	t.Run("in and out", f.inAndOut)
	t.Run("cookies", f.flagsOfCookies)
	t.Run("nothing for scripts", f.nothingForScripts)
	t.Run("two tabs", f.twoTabs)
	t.Run("many tabs", f.manyTabs)
	t.Run("no login in the background", f.noBackgroundLogin)
	t.Run("back after the login", f.backAfterLogin)
	t.Run("back after the logout", f.backAfterLogout)
	t.Run("back from the cache", f.backFromCache)
	t.Run("hostile callbacks", f.hostileCallbacks)
	t.Run("replayed", f.replayed)
	t.Run("swapped", f.swapped)
	t.Run("refused", f.refused)
	t.Run("cross-site", f.crossSite)
	t.Run("signed out", f.signedOut)
	t.Run("ways back", f.waysBack)
	t.Run("logout at the provider", f.logoutAtProvider)
	t.Run("list of sessions", f.listOfSessions)
	t.Run("fixation", f.fixation)
	t.Run("pictures", f.pictures)
}

// active says which tokens of the provider are good.
func (f *front) active(t *testing.T, tokens []string) (good int) {
	t.Helper()
	asker := newClient(t, oauthConfig(f.provider, machine))
	for _, token := range tokens {
		if strings.HasPrefix(token, "eyJ") { // an ID token
			continue
		}
		said, err := asker.Introspect(t.Context(), gatehouse.NewSecret([]byte(token)), "")
		if err != nil {
			t.Fatal(err)
		}
		if said.Active {
			good++
		}
	}
	return good
}

// inAndOut is the way of a person who signs in, works for longer than the access
// token is good for, and signs out.
func (f *front) inAndOut(t *testing.T) {
	page := f.chromium.Person(t)
	f.show(t, page, "signed-out")
	if got := data(t, page); got != noData {
		t.Errorf("signed out, the page has %s", got)
	}
	f.login(t, page, "ada")
	if got := page.Text(t, "#who"); got != "ada" && got != "ada@example.com" {
		t.Errorf("signed in as %q", got)
	}

	const note = "milk & <b>bread</b>"
	page.Fill(t, "#note", note)
	page.Click(t, "#save")
	page.Until(t, "document.getElementById('saved').textContent === 'Saved'")
	f.show(t, page, "signed-in")
	page.Until(t, fmt.Sprintf("document.getElementById('note').value === %q", note))

	ask := func() {
		t.Helper()
		f.show(t, page, "signed-in")
		page.Click(t, "#upstream")
		page.Until(t, "!document.getElementById('upstream-result').hidden")
		var profile struct{ Sub, Email string }
		if err := json.Unmarshal([]byte(page.Text(t, "#upstream-result")), &profile); err != nil || profile.Sub != "ada" || profile.Email != "ada@example.com" {
			t.Errorf("the profile is %q", page.Text(t, "#upstream-result"))
		}
	}
	ask()
	f.expire(t)
	before, _ := f.provider.Refreshes(t)
	ask()
	if after, refused := f.provider.Refreshes(t); after != before+1 || refused != 0 {
		t.Errorf("%d refreshes and %d refused, want %d and 0", after, refused, before+1)
	}
	tokens := f.provider.Issued(t)
	if got := f.active(t, tokens); got != 2 { // an access token and a refresh token
		t.Fatalf("before the logout %d tokens are good", got)
	}

	old := f.cookies(t, page)[sessionCookie]
	at := page.Submit(t, "#signout")
	if at.Status != 200 || !strings.HasPrefix(at.URL, f.provider.Issuer+"/") {
		t.Fatalf("signing out leads to %+v", at)
	}
	// Whatever the person says to the provider now.
	if got := f.active(t, tokens); got != 0 {
		t.Errorf("after the logout %d tokens are good", got)
	}
	if at := page.Submit(t, "button[name=logout]"); at.URL != f.origin+"/" || at.Status != 200 {
		t.Fatalf("signing out ends at %+v", at)
	}
	shown(t, page, "signed-out")
	if got := data(t, page); got != noData {
		t.Errorf("signed out, the page has %s", got)
	}
	if kept := f.cookies(t, page); len(kept) != 0 {
		t.Errorf("the browser keeps %v", kept)
	}
	// Somebody who has copied the cookie has nothing.
	page.Plant(t, old)
	if subject, _ := person(t, page); subject != "" {
		t.Errorf("the old cookie is good for %s", subject)
	}
	// The provider asks again who it is.
	if at := page.Visit(t, f.origin+"/login"); !strings.HasPrefix(at.URL, f.provider.Issuer+"/interaction/") {
		t.Errorf("after the logout a login leads to %+v", at)
	}
}

// flagsOfCookies: what the browser itself says of them.
func (f *front) flagsOfCookies(t *testing.T) {
	check := func(c browser.Cookie) {
		t.Helper()
		if !strings.HasPrefix(c.Name, "__Host-Http-") || !c.HTTPOnly || !c.Secure || c.SameSite != "Lax" || c.Path != "/" || c.Domain != "127.0.0.1" {
			t.Errorf("the browser keeps %+v", c)
		}
	}
	page := f.chromium.Person(t)
	page.Visit(t, f.origin+"/login")
	during := f.cookies(t, page)
	if len(during) != 1 {
		t.Errorf("during the login the browser keeps %v", during)
	}
	for _, c := range during {
		check(c)
		if !strings.HasPrefix(c.Name, "__Host-Http-tx-") || c.Expires < 0 {
			t.Errorf("during the login the browser keeps %+v", c)
		}
	}
	if at := f.consent(t, page, "ada"); at.URL != f.origin+"/" {
		t.Fatalf("the login ends at %+v", at)
	}
	after := f.cookies(t, page)
	if len(after) != 1 || after[sessionCookie].Value == "" || after[sessionCookie].Expires != -1 {
		t.Errorf("after the login the browser keeps %v", after)
	}
	for _, c := range after {
		check(c)
	}
}

// everywhere is where a script can find something: all that is not the browser's
// own, as text.
const everywhere = `(async () => {
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

// nothingForScripts: whatever a script can read that has got into the page, there
// is no token in it, and nothing that names the session to the server.
func (f *front) nothingForScripts(t *testing.T) {
	before := len(f.provider.Issued(t))
	page := f.signedIn(t, "ada")
	page.Fill(t, "#note", "a secret of the person")
	page.Click(t, "#save")
	page.Click(t, "#upstream")
	page.Until(t, "document.getElementById('saved').textContent && !document.getElementById('upstream-result').hidden")

	secrets := f.provider.Issued(t)[before:]
	if len(secrets) < 3 {
		t.Fatalf("only %d tokens were given", len(secrets))
	}
	secrets = append(secrets, f.cookies(t, page)[sessionCookie].Value)
	// Of long ones the ends are sought, where their signatures are.
	for i, secret := range secrets {
		secrets[i] = secret[max(0, len(secret)-40):]
		if len(secret) < 32 {
			t.Fatalf("a secret of %d characters", len(secret))
		}
	}
	none := func(what, text string) {
		t.Helper()
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in %s", what)
			}
		}
	}

	var found struct{ Cookie, Kept, Text string }
	if err := json.Unmarshal([]byte(page.Run(t, everywhere)), &found); err != nil {
		t.Fatal(err)
	}
	if found.Cookie != "" || found.Kept != "0,0,0,0,0" {
		t.Errorf("scripts see the cookies %q, and %s stores", found.Cookie, found.Kept)
	}
	none("the page", found.Text)
	page.Run(t, "(() => { const kept = ['a', 'needle'].join(' '); document.addEventListener('x', () => kept); })()")
	memory := page.Memory(t)
	none("the memory of the scripts", strings.Join(memory, "\n"))
	// The search finds what is there, in the page or in a closure.
	if !strings.Contains(found.Text, "a secret of the person") || !slices.Contains(memory, "a needle") {
		t.Error("the search does not find what is in the page")
	}
	responses, bodies := 0, 0
	for _, e := range page.Exchanges(t) {
		if !strings.HasPrefix(e.URL, f.origin) {
			continue
		}
		responses++
		if e.Body != "" {
			bodies++
		}
		none("the response to "+e.URL, e.Body)
		none("the address "+e.URL, e.URL)
		for name, value := range e.Header {
			if name != "set-cookie" {
				none(name+" of "+e.URL, value)
			}
		}
		if e.Sent["authorization"] != "" {
			t.Errorf("the browser sends an Authorization to %s", e.URL)
		}
	}
	if responses < 10 || bodies < 8 {
		t.Errorf("only %d responses, %d of them with a body", responses, bodies)
	}
}
