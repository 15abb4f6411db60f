// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/interop/browser"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// app is an example app with a login page, in Chromium. The provider is on
// another site.
type app struct {
	*service
	process  *process
	chromium *browser.Page
	page     string   // origin of the page
	host     string   // of the cookies
	cookie   string   // name of the session cookie
	fields   []string // elements of the page that hold data of the person
	profile  func(text string) bool

	// loginFailed checks the page that the browser shows after a failed login.
	loginFailed func(t *testing.T, page *browser.Page)
}

// newSignin starts examples/signin: page and API have one origin.
func newSignin(t *testing.T, chromium *browser.Page) *app {
	t.Helper()
	a := &app{
		service:  newService(t, "signin", "127.0.0.1", provider.Options{Host: "localhost"}, map[string]any{"driver": "memory"}),
		chromium: chromium, host: "127.0.0.1", cookie: "__Host-Http-signin",
		fields: []string{"who", "note", "saved", "upstream-result", "sessions"},
		profile: func(text string) bool {
			var profile struct{ Sub, Email string }
			return json.Unmarshal([]byte(text), &profile) == nil && profile.Sub == "ada" && profile.Email == "ada@example.com"
		},
	}
	a.page = a.origin
	a.loginFailed = a.checkErrorPage
	a.process = a.start(t, a.addr)
	return a
}

// newSPA starts examples/spa: the page and the API have two origins of one site.
func newSPA(t *testing.T, chromium *browser.Page) *app {
	t.Helper()
	a := &app{
		service:  newService(t, "spa", "localhost", provider.Options{}, map[string]any{"driver": "memory"}),
		chromium: chromium, host: "localhost", cookie: "__Host-Http-spa",
		fields: []string{"who", "note", "saved", "upstream-result"},
		profile: func(text string) bool {
			return slices.Equal(strings.Fields(text), []string{"Email", "ada@example.com", "Account", "ada"})
		},
	}
	page := freeAddress(t)
	a.page = "http://" + strings.Replace(page, "127.0.0.1", a.host, 1)
	a.config["app_addr"], a.config["app_origin"] = page, a.page
	a.config["scopes"] = []string{"openid", "email", "offline_access"}
	a.loginFailed = func(t *testing.T, page *browser.Page) {
		t.Helper()
		shown(t, page, "signed-out")
		if got := page.Text(t, "#problem"); !strings.Contains(got, "could not be completed") && !strings.Contains(got, "was refused") {
			t.Errorf("the page says %q", got)
		}
		yields(t, page, "location.href", `"`+a.page+`/"`)
	}
	a.process = a.start(t, a.addr)
	return a
}

// show opens the page and waits until it says whether a person is signed in.
func (a *app) show(t *testing.T, page *browser.Page, area string) {
	t.Helper()
	page.Visit(t, a.page+"/")
	shown(t, page, area)
}

// lands checks where the browser is after an action: the status, if it is not 0, and the
// address, if it is not "". An address that ends with "…" is the beginning of one.
func lands(t *testing.T, what string, at browser.Answer, status int, address string) {
	t.Helper()
	prefix, more := strings.CutSuffix(address, "…")
	if status != 0 && at.Status != status || address != "" && !(at.URL == address || more && strings.HasPrefix(at.URL, prefix)) {
		t.Errorf("%s leads to %+v, want %d %s", what, at, status, address)
	}
}

// says checks that an element contains a text.
func says(t *testing.T, page *browser.Page, selector, want string) {
	t.Helper()
	if got := page.Text(t, selector); !strings.Contains(got, want) {
		t.Errorf("the text of %s is %q, want %q in it", selector, got, want)
	}
}

// yields checks the value of a JavaScript expression, as JSON.
func yields(t *testing.T, page *browser.Page, expression, want string) {
	t.Helper()
	if got := page.Run(t, expression); got != want {
		t.Errorf("%s = %s, want %s", expression, got, want)
	}
}

// shown waits until the page shows the area, signed-in or signed-out, and not the
// other one.
func shown(t *testing.T, page *browser.Page, area string) {
	t.Helper()
	page.Until(t, fmt.Sprintf("!document.getElementById(%q).hidden", area))
	other := map[string]string{"signed-in": "signed-out", "signed-out": "signed-in"}[area]
	yields(t, page, fmt.Sprintf("document.getElementById(%q).hidden", other), "true")
}

// login signs in a person whom the provider does not know. It begins and ends at
// the page.
func (a *app) login(t *testing.T, page *browser.Page, name string) {
	t.Helper()
	a.show(t, page, "signed-out")
	lands(t, "sign in", page.Submit(t, "#signin"), 0, a.provider.Issuer+"…")
	if at := a.consent(t, page, name); strings.TrimSuffix(at.URL, "/") != a.page || at.Status != 200 {
		t.Fatalf("the login ends at %+v, want %s: %s", at, a.page, page.Text(t, "body"))
	}
	shown(t, page, "signed-in")
}

// signedIn returns a new browser profile in which a person is signed in.
func (a *app) signedIn(t *testing.T, name string) *browser.Page {
	t.Helper()
	page := a.chromium.Person(t)
	a.login(t, page, name)
	return page
}

// logout signs out at the page and at the provider.
func (a *app) logout(t *testing.T, page *browser.Page) {
	t.Helper()
	a.signOut(t, page)
	lands(t, "sign out", page.Submit(t, "button[name=logout]"), 200, a.page+"/")
	shown(t, page, "signed-out")
	a.checkNoData(t, page)
}

// signOut clicks and waits until the browser is at the provider.
func (a *app) signOut(t *testing.T, page *browser.Page) {
	t.Helper()
	page.Submit(t, "#signout")
	reaches(t, page, a.provider.Issuer+"/")
}

// reaches waits until the page has an address that starts with prefix, and is complete.
func reaches(t *testing.T, page *browser.Page, prefix string) {
	t.Helper()
	page.Until(t, fmt.Sprintf("location.href.startsWith(%q) && document.readyState === 'complete'", prefix))
}

// enter fills in the provider's login page.
func enter(t *testing.T, page *browser.Page, name string) browser.Answer {
	t.Helper()
	page.Fill(t, "input[name=login]", name)
	page.Fill(t, "input[name=password]", "any")
	return page.Submit(t, "button[type=submit]")
}

// consent fills in the provider's login and consent pages. The provider asks for
// consent once.
func (a *app) consent(t *testing.T, page *browser.Page, name string) browser.Answer {
	t.Helper()
	if at := enter(t, page, name); !strings.HasPrefix(at.URL, a.provider.Issuer) {
		return at
	}
	return page.Submit(t, "button[type=submit]")
}

// save saves a note.
func save(t *testing.T, page *browser.Page, note string) {
	t.Helper()
	page.Fill(t, "#note", note)
	page.Click(t, "#save")
	page.Until(t, "document.getElementById('saved').textContent === 'Saved'")
}

// askProfile shows the profile, which the app gets from the provider with an
// access token.
func (a *app) askProfile(t *testing.T, page *browser.Page) {
	t.Helper()
	page.Click(t, "#upstream")
	page.Until(t, "!document.getElementById('upstream-result').hidden")
	if got := page.Text(t, "#upstream-result"); !a.profile(got) {
		t.Errorf("the profile is %q", got)
	}
}

// data is a JavaScript expression for the data of a person on the page, shown or
// hidden.
func (a *app) data() string {
	return fmt.Sprintf("['%s'].map((id) => document.getElementById(id)).map((e) => e.value || e.textContent).join('')", strings.Join(a.fields, "', '"))
}

// checkNoData checks that the page has no data of a person.
func (a *app) checkNoData(t *testing.T, page *browser.Page) {
	t.Helper()
	yields(t, page, a.data(), `""`)
}

// reply is the response to a script's fetch, zero if the script cannot read it.
type reply struct {
	Status     int
	Redirected bool
	Header     map[string]string
	Body       string
}

// fetch sends a request of a script on the page to the API.
func (a *app) fetch(t *testing.T, page *browser.Page, path, options string) (r reply) {
	t.Helper()
	script := fmt.Sprintf(`fetch(%q, { credentials: 'include', ...%s }).then(async (r) => ({
		status: r.status, redirected: r.redirected, header: Object.fromEntries(r.headers), body: await r.text(),
	}), () => ({}))`, a.origin+path, options)
	if err := json.Unmarshal([]byte(page.Run(t, script)), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// person returns who is signed in according to the API, "" for none.
func (a *app) person(t *testing.T, page *browser.Page) (subject, session string) {
	t.Helper()
	r := a.fetch(t, page, "/api/me", "{}")
	var got struct{ Subject, Session string }
	if err := json.Unmarshal([]byte(r.Body), &got); err != nil || r.Status != 200 && r.Status != 401 {
		t.Fatalf("/api/me: %+v", r)
	}
	return got.Subject, got.Session
}

// cookies returns the browser's cookies for the app's host, by name.
func (a *app) cookies(t *testing.T, page *browser.Page) map[string]browser.Cookie {
	t.Helper()
	found := make(map[string]browser.Cookie)
	for _, c := range page.Cookies(t) {
		if strings.HasSuffix(c.Domain, a.host) {
			found[c.Name] = c
		}
	}
	return found
}

// keeps checks how many cookies of the app the browser has.
func (a *app) keeps(t *testing.T, page *browser.Page, want int) {
	t.Helper()
	if kept := a.cookies(t, page); len(kept) != want {
		t.Errorf("the browser keeps the cookies %v, want %d", kept, want)
	}
}

// transactions returns the names of the cookies of pending logins.
func (a *app) transactions(t *testing.T, page *browser.Page) (names []string) {
	t.Helper()
	for name := range a.cookies(t, page) {
		if strings.HasPrefix(name, "__Host-Http-tx-") {
			names = append(names, name)
		}
	}
	return names
}

// callback goes through a login and returns the address of the callback without
// requesting it. The name is "" if the provider knows the browser.
func (a *app) callback(t *testing.T, page *browser.Page, name string) *url.URL {
	t.Helper()
	page.Hold(t, a.origin+"/callback*")
	var held string
	if name == "" {
		held = page.VisitHeld(t, a.origin+"/login")
	} else {
		page.Visit(t, a.origin+"/login")
		enter(t, page, name)
		held = page.SubmitHeld(t, "button[type=submit]")
	}
	page.Hold(t, "")
	address := must(url.Parse(held))
	if q := address.Query(); q.Get("state") == "" || q.Get("code") == "" || q.Get("iss") != a.provider.Issuer {
		t.Fatalf("the provider redirects to %s, want state, code and iss", held)
	}
	return address
}

// checkErrorPage checks the page of examples/signin for failed logins: it offers
// another attempt and shows no details.
func (a *app) checkErrorPage(t *testing.T, page *browser.Page) {
	t.Helper()
	text := page.Text(t, "body")
	if !strings.Contains(text, "This sign-in could not be completed") && !strings.Contains(text, "The sign-in was refused") {
		t.Errorf("the page says %q", text)
	}
	yields(t, page, "document.getElementById('signin').getAttribute('href')", `"/login"`)
	source := strings.ToLower(page.Run(t, "document.documentElement.outerHTML"))
	for _, detail := range []string{"oauth", "state", "iss", "invalid_", "access_denied", "login_", "cookie", "localhost", "evil.example", "script>"} {
		if strings.Contains(source, detail) {
			t.Errorf("the page contains %q: %s", detail, source)
		}
	}
}

// entry is a line of the app's log.
type entry struct {
	Msg, Reason, Method, Path string
}

func (a *app) log() []entry {
	var all []entry
	for line := range strings.Lines(a.process.Errors.String()) {
		var e entry
		if json.Unmarshal([]byte(line), &e) == nil {
			all = append(all, e)
		}
	}
	return all
}

// wantReasons does something and waits until the app's log has the reasons of the
// rejections that it causes, in this order and no others but no_credentials.
func (a *app) wantReasons(t *testing.T, do func(), want ...string) {
	t.Helper()
	before := len(a.log())
	do()
	var reasons []string
	enginetest.Eventually(t, time.Minute, fmt.Sprintf("the reasons %v in the log", want), func() bool {
		reasons = nil
		for _, e := range a.log()[before:] {
			switch {
			case e.Msg == "gatehouse: signin_return_to_rejected": // an event without a reason
				reasons = append(reasons, "signin_return_to_rejected")
			case e.Reason != "" && e.Reason != "no_credentials":
				reasons = append(reasons, e.Reason)
			}
		}
		return len(reasons) >= len(want)
	})
	if !slices.Equal(reasons, want) {
		t.Errorf("the log has the reasons %v, want %v", reasons, want)
	}
}
