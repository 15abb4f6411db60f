// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/gatehouse-go/gatehouse/interop/browser"
)

// logoutAtProvider: who signs out there is signed out here, which the open page
// finds out with its next call.
func (f *front) logoutAtProvider(t *testing.T) {
	before := len(f.provider.Issued(t))
	page, other := f.signedIn(t, "ada"), f.signedIn(t, "eve")
	page.Fill(t, "#note", "for nobody else")

	tab := page.Tab(t)
	tab.Visit(t, f.provider.Issuer+"/session/end")
	if at := tab.Submit(t, "button[name=logout]"); at.Status != http.StatusOK {
		t.Fatalf("the logout at the provider ends at %+v", at)
	}
	if subject, _ := person(t, other); subject != "eve" {
		t.Errorf("eve is %q", subject)
	}
	page.Click(t, "#save")
	shown(t, page, "signed-out")
	if got := data(t, page); got != noData {
		t.Errorf("the page has %s", got)
	}
	if subject, _ := person(t, page); subject != "" {
		t.Errorf("ada is still %q", subject)
	}
	// A login token is no logout token.
	for _, token := range f.provider.Issued(t)[before:] {
		r := fetch(t, other, "/backchannel-logout", fmt.Sprintf("{method: 'POST', body: new URLSearchParams({logout_token: %q})}", token))
		if r.Status != http.StatusBadRequest {
			t.Errorf("a token that is no logout token: %+v", r)
		}
	}
	if subject, _ := person(t, other); subject != "eve" {
		t.Errorf("eve is %q", subject)
	}
}

// listOfSessions: a person sees where they are signed in, and ends that.
func (f *front) listOfSessions(t *testing.T) {
	const entries = "document.querySelectorAll('#sessions li').length"
	desk, phone, other := f.signedIn(t, "grace"), f.signedIn(t, "grace"), f.signedIn(t, "eve")
	_, ofPhone := person(t, phone)
	_, ofOther := person(t, other)
	f.show(t, desk, "signed-in")
	desk.Until(t, entries+" === 2")
	if r := fetch(t, desk, "/api/sessions", "{}"); r.Status != http.StatusOK {
		t.Errorf("%+v", r)
	} else {
		var list struct {
			Sessions []struct {
				ID      string
				Label   string
				Current bool
			}
		}
		if err := json.Unmarshal([]byte(r.Body), &list); err != nil || len(list.Sessions) != 2 || list.Sessions[0].Current == list.Sessions[1].Current {
			t.Errorf("%v: %s", err, r.Body)
		}
		for _, s := range list.Sessions {
			if s.Label != "Chromium on Linux" && s.Label != "Chrome on Linux" {
				t.Errorf("a session is called %q", s.Label)
			}
		}
	}
	// Not those of others.
	if r := fetch(t, desk, "/api/sessions/"+ofOther+"/end", "{method: 'POST'}"); r.Status != http.StatusNotFound {
		t.Errorf("the end of the session of somebody else: %+v", r)
	}
	desk.Click(t, fmt.Sprintf("#sessions li[data-id='%s'] button", ofPhone))
	desk.Until(t, entries+" === 1")
	phone.Click(t, "#upstream")
	shown(t, phone, "signed-out")
	for page, want := range map[*browser.Page]string{desk: "grace", phone: "", other: "eve"} {
		if subject, _ := person(t, page); subject != want {
			t.Errorf("signed in is %q, want %q", subject, want)
		}
	}
}

// fixation: nobody can choose the session that somebody else signs in to.
func (f *front) fixation(t *testing.T) {
	eve := f.signedIn(t, "eve")
	ofEve := f.cookies(t, eve)[sessionCookie]
	made := ofEve
	made.Value = ofEve.Value[:len(ofEve.Value)-8] + "AAAAAAAA"
	for what, planted := range map[string]browser.Cookie{"a made-up one": made, "her own": ofEve} {
		ada := f.chromium.Person(t)
		ada.Plant(t, planted)
		f.show(t, ada, map[string]string{made.Value: "signed-out", ofEve.Value: "signed-in"}[planted.Value])
		if at := ada.Visit(t, f.origin+"/login"); f.consent(t, ada, "ada").URL != f.origin+"/" {
			t.Fatalf("%s: the login leads to %+v", what, at)
		}
		shown(t, ada, "signed-in")
		if subject, _ := person(t, ada); subject != "ada" {
			t.Errorf("%s: ada is %q", what, subject)
		}
		if after := f.cookies(t, ada); len(after) != 1 || after[sessionCookie].Value == planted.Value || after[sessionCookie].Value == "" {
			t.Errorf("%s: the browser keeps %v", what, after)
		}
		thief := f.chromium.Person(t)
		thief.Plant(t, planted)
		f.show(t, thief, "signed-out")
		if subject, _ := person(t, thief); subject != "" {
			t.Errorf("%s: it is good for %s afterwards", what, subject)
		}
	}

	// A script cannot plant one: not one that has got into the page, and not one
	// of another port.
	page := f.chromium.Person(t)
	for _, origin := range []string{f.origin, attacker(t).URL} {
		page.Visit(t, origin)
		page.Run(t, fmt.Sprintf(`['', '; domain=127.0.0.1'].forEach((more) => { document.cookie = '%s=%s; path=/; secure' + more; })`, sessionCookie, made.Value))
		if kept := f.cookies(t, page); len(kept) != 0 {
			t.Errorf("a script of %s has planted %v", origin, kept)
		}
	}
}
