// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/interop/browser"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// logoutAtProvider signs out at the provider, which notifies the app over the back
// channel. The open page notices at its next call.
func (a *app) logoutAtProvider(t *testing.T) {
	before := len(a.provider.Issued(t))
	page, other := a.signedIn(t, "ada"), a.signedIn(t, "eve")
	page.Fill(t, "#note", "a secret of the person")
	page.Click(t, "#save")
	page.Until(t, "document.getElementById('saved').textContent === 'Saved'")

	tab := page.Tab(t)
	tab.Visit(t, a.provider.Issuer+"/session/end")
	lands(t, "the logout at the provider", tab.Submit(t, "button[name=logout]"), http.StatusOK, "")
	page.Click(t, "#upstream")
	shown(t, page, "signed-out")
	a.checkNoData(t, page)
	// No other token is accepted as a logout token.
	for _, token := range a.provider.Issued(t)[before:] {
		r := a.fetch(t, other, "/backchannel-logout", fmt.Sprintf("{method: 'POST', body: new URLSearchParams({logout_token: %q})}", token))
		if r.Status != http.StatusBadRequest {
			t.Errorf("a token of another kind as logout token: %+v, want 400", r)
		}
	}
	a.checkPersons(t, map[*browser.Page]string{page: "", other: "eve"})
}

func (a *app) checkPersons(t *testing.T, want map[*browser.Page]string) {
	t.Helper()
	for page, name := range want {
		if subject, _ := a.person(t, page); subject != name {
			t.Errorf("signed in as %q, want %q", subject, name)
		}
	}
}

// listOfSessions shows a person's sessions and ends one of them.
func (a *app) listOfSessions(t *testing.T) {
	const entries = "document.querySelectorAll('#sessions li').length"
	desk, phone, other := a.signedIn(t, "grace"), a.signedIn(t, "grace"), a.signedIn(t, "eve")
	_, ofPhone := a.person(t, phone)
	_, ofOther := a.person(t, other)
	a.show(t, desk, "signed-in")
	desk.Until(t, entries+" === 2")
	var list struct {
		Sessions []struct {
			ID, Label string
			Current   bool
		}
	}
	r := a.fetch(t, desk, "/api/sessions", "{}")
	if err := json.Unmarshal([]byte(r.Body), &list); err != nil || len(list.Sessions) != 2 || list.Sessions[0].Current == list.Sessions[1].Current {
		t.Errorf("/api/sessions: %v: %+v, want two sessions, one of them current", err, r)
	}
	for _, s := range list.Sessions {
		if s.Label != "Chromium on Linux" && s.Label != "Chrome on Linux" {
			t.Errorf("the label of a session is %q, want Chromium on Linux", s.Label)
		}
	}
	if r := a.fetch(t, desk, "/api/sessions/"+ofOther+"/end", "{method: 'POST'}"); r.Status != http.StatusNotFound {
		t.Errorf("end of another person's session: %+v, want 404", r)
	}
	desk.Click(t, fmt.Sprintf("#sessions li[data-id='%s'] button", ofPhone))
	desk.Until(t, entries+" === 1")
	phone.Click(t, "#upstream")
	shown(t, phone, "signed-out")
	a.checkPersons(t, map[*browser.Page]string{desk: "grace", phone: "", other: "eve"})
}

// sessionFixation plants a session cookie before a person signs in.
func (a *app) sessionFixation(t *testing.T) {
	eve := a.signedIn(t, "eve")
	ofEve := a.cookies(t, eve)[a.cookie]
	forged := ofEve
	forged.Value = ofEve.Value[:len(ofEve.Value)-8] + "AAAAAAAA"
	for _, test := range []struct {
		name    string
		planted browser.Cookie
		area    string
	}{{"forged", forged, "signed-out"}, {"of the attacker", ofEve, "signed-in"}} {
		ada := a.chromium.Person(t)
		ada.Plant(t, test.planted)
		a.show(t, ada, test.area)
		ada.Visit(t, a.origin+"/login")
		lands(t, test.name+": the login", a.consent(t, ada, "ada"), 0, a.origin+"/")
		shown(t, ada, "signed-in")
		if after := a.cookies(t, ada); len(after) != 1 || after[a.cookie].Value == test.planted.Value || after[a.cookie].Value == "" {
			t.Errorf("%s: the browser keeps %v, want a new session", test.name, after)
		}
		thief := a.chromium.Person(t)
		thief.Plant(t, test.planted)
		a.show(t, thief, "signed-out")
		a.checkPersons(t, map[*browser.Page]string{ada: "ada", thief: ""})
	}

	// Scripts on the page and on another port cannot plant the cookie.
	page := a.chromium.Person(t)
	for _, origin := range []string{a.origin, attacker(t).URL} {
		page.Visit(t, origin)
		page.Run(t, fmt.Sprintf(`['', '; domain=127.0.0.1'].forEach((more) => { document.cookie = '%s=%s; path=/; secure' + more; })`, a.cookie, forged.Value))
		a.keeps(t, page, 0)
	}
}

// signinSteps are the steps of examples/signin alone.
func signinSteps() []step {
	return []step{
		{"two tabs", (*app).twoTabs},
		{"login by navigation", (*app).loginByNavigation},
		{"back after login", (*app).backAfterLogin},
		{"hostile callbacks", (*app).hostileCallbacks},
		{"canceled login", (*app).canceledLogin},
		{"return_to", (*app).returnTo},
		{"logout at the provider", (*app).logoutAtProvider},
		{"list of sessions", (*app).listOfSessions},
		{"session fixation", (*app).sessionFixation},
	}
}

// sharedStores start the engines that several processes can share.
var sharedStores = map[string]func(t *testing.T) map[string]any{
	"postgres": func(t *testing.T) map[string]any {
		return map[string]any{"driver": "postgres", "dsn": enginetest.StartPostgres(t).Database(t)}
	},
	"redis": func(t *testing.T) map[string]any {
		return map[string]any{"driver": "redis", "dsn": enginetest.StartRedis(t).URL()}
	},
}

// TestSigninRefreshesOnce sends fifty requests with an expired access token to two
// processes. The provider ends the login at reuse of a refresh token.
func TestSigninRefreshesOnce(t *testing.T) {
	enginetest.Slow(t)
	for name, store := range sharedStores {
		t.Run(name, func(t *testing.T) {
			s := newService(t, "signin", "127.0.0.1", provider.Options{RefreshDelay: 200 * time.Millisecond}, store(t))
			processes := []*process{s.start(t, s.addr), s.start(t, "127.0.0.1:0")}
			ada := newVisitor(t, "ada")
			ada.login(t, s, processes[0])
			s.expire(t, s.provider.Issued(t))
			var all sync.WaitGroup
			for n := range 50 {
				all.Go(func() {
					// A visitor is not safe for concurrent use.
					tab := &visitor{ada.person, map[string]string{"__Host-Http-signin": ada.cookies["__Host-Http-signin"]}}
					if response, body := tab.get(t, processes[n%2].address+"/api/upstream"); response.StatusCode != http.StatusOK || !strings.Contains(body, `"ada"`) {
						t.Errorf("request %d: %d %s, want ada", n, response.StatusCode, body)
					}
				})
			}
			all.Wait()
			if good, refused := s.provider.Refreshes(t); good != 1 || refused != 0 {
				t.Errorf("%d refreshes and %d rejected, want 1 and 0", good, refused)
			}
			for _, p := range processes {
				if got := ada.subject(t, p, "/api/me"); got != "ada" {
					t.Errorf("signed in as %q, want ada", got)
				}
			}
		})
	}
}

// TestSigninProcessDiesDuringRefresh kills the process that refreshes the tokens
// of a session after the provider has rotated the refresh token. That person has
// to sign in again; other sessions are not affected.
func TestSigninProcessDiesDuringRefresh(t *testing.T) {
	enginetest.Slow(t)
	s := newService(t, "signin", "127.0.0.1", provider.Options{RefreshDelay: 5 * time.Second}, sharedStores["postgres"](t))
	victim, survivor := s.start(t, "127.0.0.1:0"), s.start(t, s.addr)
	ada, grace := newVisitor(t, "ada"), newVisitor(t, "grace")
	ada.login(t, s, survivor)
	grace.login(t, s, survivor)
	s.expire(t, s.provider.Issued(t))

	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r, err := http.NewRequest(http.MethodGet, victim.address+"/api/upstream", http.NoBody)
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		r.AddCookie(&http.Cookie{Name: "__Host-Http-signin", Value: ada.cookies["__Host-Http-signin"]})
		if response, err := http.DefaultClient.Do(r); err == nil {
			response.Body.Close()
			t.Errorf("the killed process responds with %d", response.StatusCode)
		}
	}()
	enginetest.Eventually(t, time.Minute, "a refresh", func() bool {
		good, _ := s.provider.Refreshes(t)
		return good == 1
	})
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended

	for _, test := range []struct {
		visitor    *visitor
		name, path string
		want       string
	}{
		{grace, "grace", "/api/upstream", "grace"},
		{ada, "ada", "/api/me", "ada"},
		{ada, "ada", "/api/upstream", ""}, // the provider has ended the login
		{ada, "ada", "/api/me", ""},
	} {
		if got := test.visitor.subject(t, survivor, test.path); got != test.want {
			t.Errorf("%s at %s: subject %q, want %q", test.name, test.path, got, test.want)
		}
	}
	ada.login(t, s, survivor)
	if got := ada.subject(t, s.start(t, "127.0.0.1:0"), "/api/upstream"); got != "ada" {
		t.Errorf("after another login: subject %q, want ada", got)
	}
}
