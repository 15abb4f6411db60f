// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/browser"
)

// transactions are the names of the cookies of logins under way.
func (f *front) transactions(t *testing.T, page *browser.Page) (names []string) {
	t.Helper()
	for name := range f.cookies(t, page) {
		if strings.HasPrefix(name, "__Host-Http-tx-") {
			names = append(names, name)
		}
	}
	return names
}

// twoTabs: two logins that begin in two tabs both end well, whichever ends first.
func (f *front) twoTabs(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}} {
		first := f.chromium.Person(t)
		tabs := []*browser.Page{first, first.Tab(t)}
		for i, tab := range tabs {
			tab.Visit(t, fmt.Sprintf("%s/login?return_to=/api/me%%3Ftab=%d", f.origin, i))
		}
		if names := f.transactions(t, first); len(names) != 2 {
			t.Errorf("two logins, and the transactions %v", names)
		}
		for _, i := range order {
			at := f.consent(t, tabs[i], "ada")
			if at.Status != http.StatusOK || at.URL != fmt.Sprintf("%s/api/me?tab=%d", f.origin, i) || !strings.Contains(tabs[i].Text(t, "body"), `"subject":"ada"`) {
				t.Errorf("order %v: the login of tab %d ends at %+v: %s", order, i, at, tabs[i].Text(t, "body"))
			}
		}
		if names := f.transactions(t, first); len(names) != 0 {
			t.Errorf("the transactions %v stay", names)
		}
		_, one := person(t, tabs[0])
		if _, other := person(t, tabs[1]); one != other || one == "" {
			t.Errorf("one tab is of the session %q, the other of %q", one, other)
		}
	}
}

// manyTabs: a sixth login drops the oldest one, and nothing else.
func (f *front) manyTabs(t *testing.T) {
	page := f.chromium.Person(t)
	tabs := []*browser.Page{page}
	var oldest string
	for i := range 6 {
		if i > 0 {
			tabs = append(tabs, page.Tab(t))
		}
		tabs[i].Visit(t, f.origin+"/login")
		names := f.transactions(t, page)
		if len(names) != min(i+1, 5) {
			t.Errorf("with login %d there are the transactions %v", i+1, names)
		}
		if i == 0 {
			oldest = names[0]
		}
		if slices.Contains(names, oldest) == (i == 5) {
			t.Errorf("with login %d the oldest is %s of %v", i+1, oldest, names)
		}
	}
	f.told(t, func() {
		if at := f.consent(t, tabs[0], "ada"); at.Status != http.StatusBadRequest {
			t.Errorf("the dropped login ends at %+v", at)
		}
		f.failed(t, tabs[0])
	}, "login_transaction")
	for _, i := range []int{5, 1} {
		if at := f.consent(t, tabs[i], "ada"); at.URL != f.origin+"/" || at.Status != http.StatusOK {
			t.Errorf("login %d ends at %+v", i+1, at)
		}
		shown(t, tabs[i], "signed-in")
	}
}

// noBackgroundLogin: what nobody sees begins no login.
func (f *front) noBackgroundLogin(t *testing.T) {
	page := f.chromium.Person(t)
	f.show(t, page, "signed-out")
	f.told(t, func() {
		if r := fetch(t, page, "/login", "{}"); r.Status != http.StatusUnauthorized || r.Redirected || r.Header["content-type"] != "application/json" {
			t.Errorf("by fetch: %+v", r)
		}
		if r := fetch(t, page, "/login", "{headers: {Accept: 'text/html'}}"); r.Status != http.StatusUnauthorized || r.Redirected {
			t.Errorf("by fetch that asks for a page: %+v", r)
		}
		page.Run(t, "new Promise((done) => { const x = new XMLHttpRequest(); x.onloadend = done; x.open('GET', '/login'); x.send(); })")
	}, "login_background", "login_background", "login_background")
	if kept := f.cookies(t, page); len(kept) != 0 {
		t.Errorf("the browser keeps %v", kept)
	}
	for _, e := range page.Exchanges(t) {
		if strings.HasPrefix(e.URL, f.provider.Issuer) {
			t.Errorf("the browser was at %s", e.URL)
		}
	}
}

// elsewhere is a page of another site, for a tab to go to and come back from.
func (f *front) elsewhere() string { return f.provider.Issuer + "/.well-known/openid-configuration" }

// backAfterLogin: the back button leads to where somebody was, and changes nothing.
func (f *front) backAfterLogin(t *testing.T) {
	page := f.signedIn(t, "ada")
	_, session := person(t, page)
	still := func(what string) {
		t.Helper()
		if _, now := person(t, page); now != session {
			t.Errorf("%s: the session is %q, and was %q", what, now, session)
		}
	}
	at := page.Back(t)
	if !strings.HasPrefix(at.URL, f.provider.Issuer+"/interaction/") {
		t.Errorf("back at %+v", at)
	}
	// There is nothing to agree to any more.
	if at := page.Forward(t); at.URL != f.origin+"/" {
		t.Errorf("forward at %+v", at)
	}
	shown(t, page, "signed-in")
	still("back and forward")

	var callback string
	for _, e := range page.Exchanges(t) {
		if strings.HasPrefix(e.URL, f.origin+"/callback?") {
			callback = e.URL
		}
	}
	f.told(t, func() {
		if at := page.Visit(t, callback); at.URL != f.origin+"/" || at.Status != http.StatusOK {
			t.Errorf("the callback leads to %+v", at)
		}
		shown(t, page, "signed-in")
	}, "login_transaction")
	still("the callback once more")
}

// backAfterLogout: whatever the browser has kept of a page, it does not show it
// to who comes next.
func (f *front) backAfterLogout(t *testing.T) {
	page := f.signedIn(t, "ada")
	page.Fill(t, "#note", "for nobody else")
	page.Click(t, "#save")
	page.Click(t, "#upstream")
	page.Until(t, "document.getElementById('saved').textContent && !document.getElementById('upstream-result').hidden")
	// Another tab has gone on, with the page in the back/forward cache.
	other := page.Tab(t)
	f.show(t, other, "signed-in")
	other.Until(t, "document.getElementById('note').value === 'for nobody else'")
	other.Visit(t, f.elsewhere())

	page.Submit(t, "#signout")
	page.Submit(t, "button[name=logout]")
	shown(t, page, "signed-out")
	for range 2 {
		page.Back(t)
	}
	for what, tab := range map[string]*browser.Page{"the same tab": page, "another tab": other} {
		if tab == other {
			tab.Back(t)
		}
		if at := tab.Run(t, "location.href"); at != `"`+f.origin+`/"` {
			t.Errorf("%s: back at %s", what, at)
		}
		shown(t, tab, "signed-out")
		if got := data(t, tab); got != noData {
			t.Errorf("%s: the page has %s", what, got)
		}
	}
}

// backFromCache: a page that comes out of the cache as it was, scripts and all,
// shows nothing before the server has said who is signed in. Chromium caches none
// that says no-store, or that has got such answers, and other browsers do.
func (f *front) backFromCache(t *testing.T) {
	page, phone := f.signedIn(t, "ada"), f.signedIn(t, "ada")
	page.Strip(t, f.origin+"/*", "Cache-Control")
	f.show(t, page, "signed-in")
	page.Fill(t, "#note", "for nobody else")
	page.Click(t, "#save")
	page.Until(t, "document.getElementById('saved').textContent === 'Saved'")
	page.Run(t, `addEventListener('pageshow', ({ persisted }) => { window.back = { persisted, data: `+dataOf+`,
		shown: [...document.body.children].filter((e) => !e.hidden && e.id).map((e) => e.id).join() }; })`)
	_, session := person(t, page)
	page.Visit(t, f.elsewhere())
	// The session ends where this browser does not notice.
	if r := fetch(t, phone, "/api/sessions/"+session+"/end", "{method: 'POST'}"); r.Status != http.StatusOK {
		t.Fatalf("the end of the session: %+v", r)
	}
	page.Back(t)
	page.Until(t, "window.back !== undefined")
	if got := page.Run(t, "window.back"); got != `{"persisted":true,"data":"","shown":""}` {
		t.Errorf("back from the cache: %s", got)
	}
	shown(t, page, "signed-out")
	if got := data(t, page); got != noData {
		t.Errorf("the page has %s", got)
	}
}
