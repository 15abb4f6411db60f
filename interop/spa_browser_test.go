// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/interop/browser"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

const spaCookie = "__Host-Http-spa"

// spa is the example of a page whose back end is on another origin of the same
// site: two ports of localhost. The provider is at 127.0.0.1, another site.
type spa struct {
	*front        // its origin is that of the back end
	page   string // the origin of the page
}

func newSPA(t *testing.T) *spa {
	t.Helper()
	chromium := browser.Start(t)
	backend, page := freeAddress(t), freeAddress(t)
	s := &spa{page: atLocalhost("http://" + page), front: &front{chromium: chromium, signin: &signin{
		binary: buildExample(t, "spa"), origin: atLocalhost("http://" + backend),
	}}}
	s.client = provider.Client{
		ID: "spa", Secret: clientSecret, RedirectURIs: []string{s.origin + "/callback"},
		Metadata: map[string]any{"post_logout_redirect_uris": []string{s.origin + "/"}},
	}
	s.provider = provider.Start(t, provider.Options{
		Clients: []provider.Client{s.client, machine}, Scopes: []string{"email"}, FirstLifetime: firstLifetime,
	})
	s.config = map[string]any{
		"public_origin": s.origin, "app_addr": page, "app_origin": s.page,
		"issuer": s.provider.Issuer, "client_id": s.client.ID, "client_secret": "env:CLIENT_SECRET",
		"scopes": []string{"openid", "email", "offline_access"}, "cookie_keys": []string{"env:COOKIE_KEY"},
		"session_store": map[string]any{"driver": "memory"}, "idle": "15m", "absolute": "12h",
	}
	s.process = s.start(t, backend)
	return s
}

// atLocalhost is the same address by the name of the host.
func atLocalhost(address string) string { return strings.Replace(address, "127.0.0.1", "localhost", 1) }

// TestSPAInBrowser: people sign in at a single-page app in Chromium, and the pages
// of others try to make use of that.
func TestSPAInBrowser(t *testing.T) {
	s := newSPA(t)
	t.Run("in and out", s.inAndOut)
	t.Run("cookies", s.flagsOfCookies)
	t.Run("nothing for scripts", s.nothingForScripts)
	t.Run("signed out", s.signedOut)
	t.Run("other origins", s.otherOrigins)
	t.Run("back", s.back)
	t.Run("back from the cache", s.backFromCache)
	t.Run("looks", s.looks)
}

// open opens the page and waits until it says who is signed in.
func (s *spa) open(t *testing.T, page *browser.Page, area string) {
	t.Helper()
	page.Visit(t, s.page+"/")
	shown(t, page, area)
}

// enters signs ada in, in a new browser that the provider does not know.
func (s *spa) enters(t *testing.T) *browser.Page {
	t.Helper()
	page := s.chromium.Person(t)
	s.open(t, page, "signed-out")
	s.login(t, page)
	return page
}

func (s *spa) login(t *testing.T, page *browser.Page) {
	t.Helper()
	if at := page.Submit(t, "#signin"); !strings.HasPrefix(at.URL, s.provider.Issuer) {
		t.Fatalf("the login leads to %+v", at)
	}
	s.enter(t, page, "ada")
	if at := page.Submit(t, "button[type=submit]"); at.Status != http.StatusOK || strings.TrimSuffix(at.URL, "/") != s.page {
		t.Fatalf("the login ends at %+v: %s", at, page.Text(t, "body"))
	}
	shown(t, page, "signed-in")
}

// leave signs out at the page and at the provider.
func (s *spa) leave(t *testing.T, page *browser.Page) {
	t.Helper()
	if at := page.Submit(t, "#signout"); at.Status != http.StatusOK || !strings.HasPrefix(at.URL, s.provider.Issuer+"/") {
		t.Fatalf("signing out leads to %+v", at)
	}
	if at := page.Submit(t, "button[name=logout]"); at.Status != http.StatusOK || at.URL != s.page+"/" {
		t.Fatalf("signing out ends at %+v", at)
	}
	shown(t, page, "signed-out")
}

// save writes a note, which takes a preflight: it goes to another origin as JSON.
func (s *spa) save(t *testing.T, page *browser.Page, note string) {
	t.Helper()
	page.Fill(t, "#note", note)
	page.Click(t, "#save")
	page.Until(t, "document.getElementById('saved').textContent === 'Saved'")
}

// ask asks for the profile, which the back end gets from the provider.
func (s *spa) ask(t *testing.T, page *browser.Page) {
	t.Helper()
	s.open(t, page, "signed-in")
	page.Click(t, "#upstream")
	page.Until(t, "!document.getElementById('upstream-result').hidden")
	if got := strings.Fields(page.Text(t, "#upstream-result")); !slices.Equal(got, []string{"Email", "ada@example.com", "Account", "ada"}) {
		t.Errorf("the profile is %q", got)
	}
}

// jar are the cookies that the browser keeps of the site, whichever origin has
// set them.
func (s *spa) jar(t *testing.T, page *browser.Page) map[string]browser.Cookie {
	t.Helper()
	found := make(map[string]browser.Cookie)
	for _, c := range page.Cookies(t) {
		if strings.HasSuffix(c.Domain, "localhost") {
			found[c.Name] = c
		}
	}
	return found
}

const spaData = `['who', 'note', 'saved', 'upstream-result'].map((id) => document.getElementById(id)).map((e) => e.value || e.textContent).join('')`

// empty says that the page has nothing of anybody, not even hidden.
func (s *spa) empty(t *testing.T, page *browser.Page) {
	t.Helper()
	if got := page.Run(t, spaData); got != `""` {
		t.Errorf("signed out, the page has %s", got)
	}
}

// inAndOut is the way of a person who signs in, works for longer than the access
// token is good for, and signs out.
func (s *spa) inAndOut(t *testing.T) {
	page := s.chromium.Person(t)
	s.open(t, page, "signed-out")
	s.empty(t, page)
	before := len(s.provider.Issued(t))
	s.login(t, page)
	if got := page.Text(t, "#who"); got != "ada" && got != "ada@example.com" {
		t.Errorf("signed in as %q", got)
	}
	const note = "milk & <b>bread</b>"
	s.save(t, page, note)
	s.open(t, page, "signed-in")
	page.Until(t, fmt.Sprintf("document.getElementById('note').value === %q", note))

	s.ask(t, page)
	s.expire(t)
	good, _ := s.provider.Refreshes(t)
	s.ask(t, page)
	if after, refused := s.provider.Refreshes(t); after != good+1 || refused != 0 {
		t.Errorf("%d refreshes and %d refused, want %d and 0", after, refused, good+1)
	}
	tokens := s.provider.Issued(t)[before:]
	if got := s.active(t, tokens); got != 2 { // an access token and a refresh token
		t.Fatalf("before the logout %d tokens are good", got)
	}

	old := s.jar(t, page)[spaCookie]
	s.leave(t, page)
	s.empty(t, page)
	if kept := s.jar(t, page); len(kept) != 0 {
		t.Errorf("the browser keeps %v", kept)
	}
	if got := s.active(t, tokens); got != 0 {
		t.Errorf("after the logout %d tokens are good", got)
	}
	// The address of the logout had an ID token in it, which came by the page
	// neither on the way out nor on the way back.
	s.searched(t, page, tokens)
	// Somebody who has copied the cookie has nothing.
	page.Plant(t, old)
	s.open(t, page, "signed-out")
	// The provider asks again who it is.
	if at := page.Submit(t, "#signin"); !strings.HasPrefix(at.URL, s.provider.Issuer+"/interaction/") {
		t.Errorf("after the logout a login leads to %+v", at)
	}
}

// flagsOfCookies: what the browser itself says of them.
func (s *spa) flagsOfCookies(t *testing.T) {
	check := func(c browser.Cookie) {
		t.Helper()
		if !c.HTTPOnly || !c.Secure || c.SameSite != "Lax" || c.Path != "/" || c.Domain != "localhost" {
			t.Errorf("the browser keeps %+v", c)
		}
	}
	page := s.chromium.Person(t)
	s.open(t, page, "signed-out")
	if kept := s.jar(t, page); len(kept) != 0 {
		t.Errorf("signed out, the browser keeps %v", kept)
	}
	page.Submit(t, "#signin")
	during := s.jar(t, page)
	if len(during) != 1 {
		t.Errorf("during the login the browser keeps %v", during)
	}
	for name, c := range during {
		if check(c); !strings.HasPrefix(name, "__Host-Http-tx-") || c.Expires < 0 {
			t.Errorf("during the login the browser keeps %+v", c)
		}
	}
	s.enter(t, page, "ada")
	page.Submit(t, "button[type=submit]")
	shown(t, page, "signed-in")
	after := s.jar(t, page)
	if c := after[spaCookie]; len(after) != 1 || c.Value == "" || c.Expires != -1 {
		t.Errorf("after the login the browser keeps %v", after)
	}
	check(after[spaCookie])
}

// searched says that none of the secrets is in what a script can read now: the
// page, its stores, what it knows of the requests, its globals and all other
// strings in memory.
func (s *spa) searched(t *testing.T, page *browser.Page, secrets []string) {
	t.Helper()
	var found struct{ Cookie, Kept, Text string }
	if err := json.Unmarshal([]byte(page.Run(t, everywhere)), &found); err != nil {
		t.Fatal(err)
	}
	if found.Cookie != "" || found.Kept != "0,0,0,0,0" {
		t.Errorf("scripts see the cookies %q, and %s stores", found.Cookie, found.Kept)
	}
	page.Run(t, "(() => { const kept = ['a', 'needle'].join(' '); document.addEventListener('x', () => kept); })()")
	memory := strings.Join(page.Memory(t), "\n")
	// The search finds what is there, on the page or in a closure.
	if !strings.Contains(found.Text, s.origin) || !strings.Contains(memory, "a needle") {
		t.Error("the search does not find what is there")
	}
	absent(t, "the page", found.Text, secrets)
	absent(t, "the memory of the scripts", memory, secrets)
}

// absent says that none of the secrets is in a text: of long ones the end, where
// their signatures are.
func absent(t *testing.T, what, text string, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		if len(secret) < 32 {
			t.Fatalf("a secret of %d characters", len(secret))
		}
		if strings.Contains(text, secret[max(0, len(secret)-40):]) {
			t.Errorf("a secret is in %s", what)
		}
	}
}

// nothingForScripts: no token comes to the page, and nothing that names the
// session to the back end.
func (s *spa) nothingForScripts(t *testing.T) {
	before := len(s.provider.Issued(t))
	page := s.enters(t)
	s.save(t, page, "a secret of the person")
	page.Click(t, "#upstream")
	page.Until(t, "!document.getElementById('upstream-result').hidden")
	secrets := append(s.provider.Issued(t)[before:], s.jar(t, page)[spaCookie].Value)
	if len(secrets) < 4 {
		t.Fatalf("there are only %d secrets", len(secrets))
	}
	s.searched(t, page, secrets)

	backend, bodies := 0, 0
	for _, e := range page.Exchanges(t) {
		ours := strings.HasPrefix(e.URL, s.origin)
		if !ours && !strings.HasPrefix(e.URL, s.page) {
			continue
		}
		if ours {
			backend++
		}
		if e.Body != "" {
			bodies++
		}
		absent(t, "the response to "+e.URL, e.Body, secrets)
		absent(t, "the address "+e.URL, e.URL, secrets)
		for name, value := range e.Header {
			if name != "set-cookie" {
				absent(t, name+" of "+e.URL, value, secrets)
			} else if !ours {
				t.Errorf("the page sets a cookie: %s", e.URL)
			}
		}
		if e.Sent["authorization"] != "" {
			t.Errorf("the browser sends an Authorization to %s", e.URL)
		}
	}
	// Four of the API, of which one is refused, two of the login, one of the upstream.
	if backend < 7 || bodies < 8 {
		t.Errorf("only %d responses of the back end, and %d bodies", backend, bodies)
	}
}

// attempt is what a script can do: it asks the back end with the cookies of the
// person, and says what it gets to read.
func attempt(t *testing.T, page *browser.Page, address, options string) string {
	t.Helper()
	var got string
	script := fmt.Sprintf(`fetch(%q, {credentials: 'include', ...%s}).then(
		async (r) => r.status + ' ' + await r.text(), (e) => 'nothing')`, address, options)
	if err := json.Unmarshal([]byte(page.Run(t, script)), &got); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(got)
}

// signedOut: the page can read refusals, of another origin though they are, and
// says what they mean.
func (s *spa) signedOut(t *testing.T) {
	page := s.chromium.Person(t)
	s.open(t, page, "signed-out")
	for path, options := range map[string]string{
		"/api/me": "{}", "/api/upstream": "{}", "/api/note": "{method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'}}",
		"/login": "{}",
	} {
		if got := attempt(t, page, s.origin+path, options); !strings.HasPrefix(got, `401 {"error":"`) {
			t.Errorf("%s: the page reads %q", path, got)
		}
	}
	if kept := s.jar(t, page); len(kept) != 0 {
		t.Errorf("the browser keeps %v", kept)
	}
	// Somebody whose session ends in another tab is told so, and keeps nothing.
	tab := s.enters(t)
	other := tab.Tab(t)
	s.open(t, other, "signed-in")
	s.save(t, other, "for nobody else")
	s.leave(t, tab)
	other.Click(t, "#upstream")
	shown(t, other, "signed-out")
	other.Until(t, "!document.getElementById('problem').hidden")
	if got := other.Text(t, "#problem"); !strings.Contains(got, "sign in again") {
		t.Errorf("the page says %q", got)
	}
	s.empty(t, other)
}

// refuses does something and waits until the log has the reason of the refusal
// that comes of it, and no other.
func (s *spa) refuses(t *testing.T, do func(), want string) {
	t.Helper()
	before := len(s.log())
	do()
	var reasons []string
	enginetest.Eventually(t, 10*time.Second, "a refusal in the log: "+want, func() bool {
		reasons = nil
		for _, e := range s.log()[before:] {
			if e.Reason != "" {
				reasons = append(reasons, e.Reason)
			}
		}
		return len(reasons) > 0
	})
	if len(reasons) != 1 || reasons[0] != want {
		t.Errorf("the log has the reasons %v, want %s", reasons, want)
	}
}

// otherOrigins: a page of another origin of the same site, with which the browser
// sends the cookies, gets no more than one of another site.
func (s *spa) otherOrigins(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!DOCTYPE html><title>Win a prize</title><body>")
	}))
	t.Cleanup(server.Close)
	ada := s.enters(t)
	s.save(t, ada, "of ada")
	before := s.jar(t, ada)[spaCookie]

	for _, test := range []struct {
		name, address string
		reason        string // in the log: with cookies or without
		status        int
		opaque        string // what a request gets that asks for nothing to read
	}{
		{"same site", atLocalhost(server.URL), "cross_site", http.StatusForbidden, "0"},
		{"another site", server.URL, "no_credentials", http.StatusUnauthorized, "nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			evil := ada.Tab(t)
			evil.Visit(t, test.address)
			refused := func(do func()) {
				t.Helper()
				hostile.Add(1)
				s.refuses(t, do, test.reason)
			}
			for _, request := range []struct{ path, options string }{
				{"/api/me", "{}"},
				{"/api/note", "{}"},
				{"/api/note", "{method: 'POST', body: 'theirs'}"},
				{"/api/note", "{method: 'POST', body: 'note=theirs', headers: {'Content-Type': 'application/x-www-form-urlencoded'}}"},
				{"/api/me", "{mode: 'no-cors'}"},
				{"/api/note", "{mode: 'no-cors', method: 'POST', body: 'theirs'}"},
			} {
				want := "nothing"
				if strings.Contains(request.options, "no-cors") {
					want = test.opaque
				}
				refused(func() {
					if got := attempt(t, evil, s.origin+request.path, request.options); got != want {
						t.Errorf("%s %s: it reads %q", request.path, request.options, got)
					}
				})
			}
			// This one takes a preflight, with which no cookie comes.
			s.refuses(t, func() {
				const json = `{method: 'POST', body: '{"note":"theirs"}', headers: {'Content-Type': 'application/json'}}`
				if got := attempt(t, evil, s.origin+"/api/note", json); got != "nothing" {
					t.Errorf("JSON: it reads %q", got)
				}
			}, "no_credentials")
			for _, element := range []string{"img", "script"} {
				refused(func() {
					got := evil.Run(t, fmt.Sprintf(`new Promise((done) => {
						document.body.append(Object.assign(document.createElement(%q), { src: %q, onload: () => done('loads'), onerror: () => done('fails') }));
					})`, element, s.origin+"/api/me"))
					if got != `"fails"` {
						t.Errorf("%s: it %s", element, got)
					}
				})
			}
			refused(func() {
				got := evil.Run(t, fmt.Sprintf(`new Promise((done) => {
					Object.assign(new WebSocket(%q), { onopen: () => done('opens'), onclose: () => done('fails') });
				})`, strings.Replace(s.origin, "http", "ws", 1)+"/api/me"))
				if got != `"fails"` {
					t.Errorf("a WebSocket %s", got)
				}
			})
			for _, framed := range []string{s.origin + "/api/me", s.page + "/"} {
				got := evil.Run(t, fmt.Sprintf(`new Promise((done) => {
					const frame = Object.assign(document.createElement('iframe'), { src: %q, onload: () => done(String(frame.contentDocument)) });
					document.body.append(frame);
				})`, framed))
				if got != `"null"` {
					t.Errorf("the document in a frame with %s is %s", framed, got)
				}
			}
			frames := evil.Frames(t)
			for _, frame := range frames {
				if strings.Contains(frame.Text, "ada") || strings.Contains(frame.Text, "Notes") || strings.HasPrefix(frame.URL, "http") {
					t.Errorf("a frame shows %+v", frame)
				}
			}
			if len(frames) != 2 {
				t.Errorf("there are %d frames", len(frames))
			}
			form := func(path string) browser.Answer {
				evil.Visit(t, test.address)
				evil.Run(t, fmt.Sprintf(`document.body.innerHTML = '<form method=post action=%q><input name=note value=theirs><button>Win</button></form>'`, s.origin+path))
				return evil.Submit(t, "button")
			}
			refused(func() {
				if at := form("/api/note"); at.Status != test.status || at.URL != s.origin+"/api/note" {
					t.Errorf("a form leads to %+v", at)
				}
			})
			// A logout is refused whether or not there is anybody to sign out.
			if at := form("/logout"); at.Status != http.StatusForbidden || at.URL != s.origin+"/logout" {
				t.Errorf("a form that signs out leads to %+v", at)
			}
			// All of it has changed nothing, and the page itself may do the same.
			s.open(t, ada, "signed-in")
			if got := attempt(t, ada, s.origin+"/api/note", "{}"); got != `200 {"note":"of ada"}` {
				t.Errorf("the note is %s", got)
			}
			if got := s.jar(t, ada)[spaCookie]; got != before {
				t.Errorf("the cookie was %v, and is %v", before, got)
			}
			if got := attempt(t, ada, s.origin+"/api/me", "{}"); !strings.HasPrefix(got, "200 ") || !strings.Contains(got, `"subject":"ada"`) {
				t.Errorf("the page reads %s", got)
			}
		})
	}
	if got := attempt(t, ada, s.origin+"/api/note", "{method: 'POST', body: 'of ada, too'}"); !strings.HasPrefix(got, "200 ") {
		t.Errorf("the page reads %s", got)
	}
}

// back: the back button shows what is true now, and the way back from the provider
// is good once.
func (s *spa) back(t *testing.T) {
	page := s.enters(t)
	var callback string
	for _, e := range page.Exchanges(t) {
		if strings.HasPrefix(e.URL, s.origin+"/callback?") {
			callback = e.URL
		}
	}
	if q := must(url.Parse(callback)).Query(); q.Get("code") == "" || q.Get("state") == "" {
		t.Fatalf("the callback is %q", callback)
	}
	s.told(t, func() {
		if at := page.Visit(t, callback); at.URL != s.page+"/" {
			t.Errorf("once more, the callback leads to %+v", at)
		}
		shown(t, page, "signed-in")
	}, "login_transaction")
	thief := s.chromium.Person(t)
	s.told(t, func() {
		if at := thief.Visit(t, callback); !strings.HasPrefix(at.URL, s.page+"/") {
			t.Errorf("in another browser, the callback leads to %+v", at)
		}
		shown(t, thief, "signed-out")
		if got := thief.Text(t, "#problem"); !strings.Contains(got, "could not be completed") {
			t.Errorf("the page says %q", got)
		}
	}, "login_transaction")
	if got := thief.Run(t, "location.href"); got != `"`+s.page+`/"` {
		t.Errorf("the page stays at %s", got)
	}
	if kept := s.jar(t, thief); len(kept) != 0 {
		t.Errorf("the browser keeps %v", kept)
	}

	s.save(t, page, "for nobody else")
	s.leave(t, page)
	for range 2 {
		page.Back(t)
	}
	if at := page.Run(t, "location.href"); at != `"`+s.page+`/"` {
		t.Errorf("back at %s", at)
	}
	shown(t, page, "signed-out")
	s.empty(t, page)
}

// backFromCache: a page that comes out of the cache as it was shows nothing before
// the back end has said who is signed in. Chromium caches none with no-store, and
// other browsers do.
func (s *spa) backFromCache(t *testing.T) {
	page := s.enters(t)
	other := page.Tab(t)
	page.Strip(t, "http://localhost:*", "Cache-Control")
	s.open(t, page, "signed-in")
	s.save(t, page, "for nobody else")
	page.Run(t, `addEventListener('pageshow', ({ persisted }) => { window.back = { persisted, data: `+spaData+`,
		shown: [...document.body.children].filter((e) => !e.hidden && e.id).map((e) => e.id).join() }; })`)
	page.Visit(t, s.provider.Issuer+"/.well-known/openid-configuration")
	s.open(t, other, "signed-in")
	s.leave(t, other)
	page.Back(t)
	page.Until(t, "window.back !== undefined")
	if got := page.Run(t, "window.back"); got != `{"persisted":true,"data":"","shown":""}` {
		t.Errorf("back from the cache: %s", got)
	}
	shown(t, page, "signed-out")
	s.empty(t, page)
}

// looks takes pictures of the page, for a person to judge.
func (s *spa) looks(t *testing.T) {
	page := s.chromium.Person(t)
	s.open(t, page, "signed-out")
	picture := func(name string) {
		t.Helper()
		page.Screenshot(t, filepath.Join(t.ArtifactDir(), "spa-"+name+".png"))
		if got := page.Run(t, "document.documentElement.scrollWidth <= innerWidth"); got != "true" {
			t.Errorf("%s: is wider than the window", name)
		}
	}
	picture("signed-out")
	s.login(t, page)
	s.save(t, page, "Milk, bread and the good olives.\nCall the plumber on Monday.")
	page.Click(t, "#upstream")
	page.Until(t, "!document.getElementById('upstream-result').hidden")
	page.Run(t, "document.activeElement.blur()")
	picture("signed-in")
	page.Dark(t, true)
	picture("dark")
	page.Size(t, 375, 700)
	picture("phone")
	page.Dark(t, false)
	page.Visit(t, s.page+"/?problem=refused")
	page.Until(t, "!document.getElementById('problem').hidden")
	picture("problem")
}
