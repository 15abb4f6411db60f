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

const sessionCookie = "__Host-Http-signin"

// front is the example app as people see it, in Chromium. The provider is
// another site, as it is for most people.
type front struct {
	*signin
	process  *server
	chromium *browser.Page
}

func newFront(t *testing.T) *front {
	t.Helper()
	chromium := browser.Start(t)
	options := provider.Options{Host: "localhost", Clients: []provider.Client{machine}, FirstLifetime: firstLifetime}
	f := &front{signin: newSignin(t, options, map[string]any{"driver": "memory"}), chromium: chromium}
	f.process = f.start(t, strings.TrimPrefix(f.origin, "http://"))
	return f
}

// login signs somebody in who is new to the provider. It begins at the page and
// ends there.
func (f *front) login(t *testing.T, page *browser.Page, name string) {
	t.Helper()
	f.show(t, page, "signed-out")
	if at := page.Submit(t, "#signin"); !strings.HasPrefix(at.URL, f.provider.Issuer) {
		t.Fatalf("the login leads to %+v", at)
	}
	if at := f.consent(t, page, name); at.URL != f.origin+"/" {
		t.Fatalf("the login ends at %+v: %s", at, page.Text(t, "body"))
	}
	shown(t, page, "signed-in")
}

// signedIn is a new browser with somebody signed in.
func (f *front) signedIn(t *testing.T, name string) *browser.Page {
	t.Helper()
	page := f.chromium.Person(t)
	f.login(t, page, name)
	return page
}

// enter fills in the first page of the provider, which leads to the second one.
func (f *front) enter(t *testing.T, page *browser.Page, name string) browser.Answer {
	t.Helper()
	page.Fill(t, "input[name=login]", name)
	page.Fill(t, "input[name=password]", "any")
	return page.Submit(t, "button[type=submit]")
}

// consent fills in the pages of the provider. It does not ask twice for the same.
func (f *front) consent(t *testing.T, page *browser.Page, name string) browser.Answer {
	t.Helper()
	if at := f.enter(t, page, name); strings.HasPrefix(at.URL, f.origin) {
		return at
	}
	return page.Submit(t, "button[type=submit]")
}

// callback goes through a login up to the callback, and returns its address
// without going there. The person is new to the provider, or is known if there
// is no name.
func (f *front) callback(t *testing.T, page *browser.Page, name string) *url.URL {
	t.Helper()
	page.Hold(t, f.origin+"/callback*")
	var held string
	if name == "" {
		held = page.VisitHeld(t, f.origin+"/login")
	} else {
		page.Visit(t, f.origin+"/login")
		f.enter(t, page, name)
		held = page.SubmitHeld(t, "button[type=submit]")
	}
	page.Hold(t, "")
	address := must(url.Parse(held))
	if q := address.Query(); q.Get("state") == "" || q.Get("code") == "" || q.Get("iss") != f.provider.Issuer {
		t.Fatalf("the provider sends the browser to %s", held)
	}
	return address
}

// with returns an address with other values of a parameter, or none.
func with(address *url.URL, name string, values ...string) string {
	q := address.Query()
	if q[name] = values; len(values) == 0 {
		q.Del(name)
	}
	changed := *address
	changed.RawQuery = q.Encode()
	return changed.String()
}

// show opens the page of the app, and shown waits until it says who is signed in.
func (f *front) show(t *testing.T, page *browser.Page, area string) {
	t.Helper()
	page.Visit(t, f.origin+"/")
	shown(t, page, area)
}

func shown(t *testing.T, page *browser.Page, area string) {
	t.Helper()
	page.Until(t, fmt.Sprintf("!document.getElementById(%q).hidden", area))
	other := map[string]string{"signed-in": "signed-out", "signed-out": "signed-in"}[area]
	if got := page.Run(t, fmt.Sprintf("document.getElementById(%q).hidden", other)); got != "true" {
		t.Errorf("both %s and %s are shown", area, other)
	}
}

// data is what the page has of a person, shown or not.
func data(t *testing.T, page *browser.Page) string {
	t.Helper()
	return page.Run(t, dataOf)
}

const (
	dataOf = `['who', 'note', 'saved', 'upstream-result', 'sessions'].map((id) => document.getElementById(id)).map((e) => e.value || e.textContent).join('')`
	noData = `""`
)

// reply is what a script gets from fetch.
type reply struct {
	Status     int
	Redirected bool
	Header     map[string]string
	Body       string
}

// fetch is a request of a script of the page, which is one of the app's own.
func fetch(t *testing.T, page *browser.Page, path, options string) (r reply) {
	t.Helper()
	script := fmt.Sprintf(`fetch(%q, %s).then(async (r) => ({
		status: r.status, redirected: r.redirected, header: Object.fromEntries(r.headers), body: await r.text(),
	}))`, path, options)
	if err := json.Unmarshal([]byte(page.Run(t, script)), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// person is what the API says of who is signed in: nothing for nobody.
func person(t *testing.T, page *browser.Page) (subject, session string) {
	t.Helper()
	r := fetch(t, page, "/api/me", "{}")
	var said struct{ Subject, Session string }
	if err := json.Unmarshal([]byte(r.Body), &said); err != nil || r.Status != 200 && r.Status != 401 {
		t.Fatalf("/api/me: %+v", r)
	}
	return said.Subject, said.Session
}

// cookies are those that the browser keeps of the app, by name.
func (f *front) cookies(t *testing.T, page *browser.Page) map[string]browser.Cookie {
	t.Helper()
	found := make(map[string]browser.Cookie)
	for _, c := range page.Cookies(t) {
		if c.Domain != "localhost" {
			found[c.Name] = c
		}
	}
	return found
}

// entry is a line of the app's log.
type entry struct {
	Msg, Reason, Method, Path string
}

func (f *front) log() []entry {
	var all []entry
	for line := range strings.Lines(f.process.log.String()) {
		var e entry
		if json.Unmarshal([]byte(line), &e) == nil {
			all = append(all, e)
		}
	}
	return all
}

// told does something and waits until the log of the app has the reasons of the
// refusals that come of it, in this order, and no others.
func (f *front) told(t *testing.T, do func(), want ...string) {
	t.Helper()
	before := len(f.log())
	do()
	var reasons []string
	enginetest.Eventually(t, 10*time.Second, fmt.Sprintf("the reasons %v in the log", want), func() bool {
		reasons = nil
		for _, e := range f.log()[before:] {
			// That nobody was signed in is no attack.
			if e.Reason != "" && e.Reason != "no_credentials" {
				reasons = append(reasons, e.Reason)
			}
		}
		return len(reasons) >= len(want)
	})
	if !slices.Equal(reasons, want) {
		t.Errorf("the log has the reasons %v, want %v", reasons, want)
	}
}
