// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/interop/browser"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// attacker serves pages that mean no good: a blank one, and one with a form.
func attacker(t *testing.T) *httptest.Server {
	t.Helper()
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		q := r.URL.Query()
		fmt.Fprintf(w, `<!DOCTYPE html><title>evil</title><form method="post" action="%s" enctype="text/plain"><input name="theirs" value="x"><button>Win</button></form>`,
			q.Get("action"))
	}))
	t.Cleanup(evil.Close)
	return evil
}

// attempts are what a script does to the server at TARGET. It returns what it has
// got of it.
const attempts = `(async () => {
	const target = TARGET;
	const got = (promise) => promise.then(async (r) => r.type + (await r.text()), () => 'nothing');
	const element = (name, attributes) => new Promise((done) => {
		const e = Object.assign(document.createElement(name), attributes);
		e.onload = () => done('loaded'); e.onerror = () => done('nothing');
		document.body.append(e);
	});
	const events = (path) => new Promise((done) => {
		const s = new EventSource(target + path, { withCredentials: true });
		s.onopen = () => done('open'); s.onerror = () => { s.close(); done('nothing'); };
	});
	const sandboxed = (path) => new Promise((done) => { // whose Origin is "null"
		addEventListener('message', ({ data }) => done(data), { once: true });
		document.body.append(Object.assign(document.createElement('iframe'), { sandbox: 'allow-scripts', srcdoc:
			'<script>fetch("' + target + path + '", { method: "POST", mode: "no-cors", credentials: "include", body: "theirs" })' +
			'.then((r) => r.type, () => "nothing").then((got) => parent.postMessage(got, "*"))<' + '/script>' }));
	});
	const all = { credentials: 'include' };
	const blind = { ...all, mode: 'no-cors' };
	const text = { method: 'POST', body: 'theirs', headers: { 'Content-Type': 'text/plain' } };
	const json = { method: 'POST', body: '{"note":"theirs"}', headers: { 'Content-Type': 'application/json' } };
	return Object.values({
		'fetch': await got(fetch(target + '/api/me', all)),
		'fetch, blind': await got(fetch(target + '/api/me', blind)),
		'fetch of the note': await got(fetch(target + '/api/note', all)),
		'fetch upstream, blind': await got(fetch(target + '/api/upstream', blind)),
		'POST': await got(fetch(target + '/api/note', { ...all, ...text })),
		'POST, blind': await got(fetch(target + '/api/note', { ...blind, ...text })),
		'POST of JSON': await got(fetch(target + '/api/note', { ...all, ...json })),
		'logout': await got(fetch(target + '/logout', { ...all, method: 'POST' })),
		'logout, blind': await got(fetch(target + '/logout', { ...blind, method: 'POST' })),
		'POST from a sandbox': await sandboxed('/api/note'),
		'PUT': await got(fetch(target + '/api/note', { ...all, method: 'PUT' })),
		'beacon': String(navigator.sendBeacon(target + '/api/note', 'theirs')) && 'nothing',
		'image': await element('img', { src: target + '/api/me' }),
		'image of the login': await element('img', { src: target + '/login' }),
		'script': await element('script', { src: target + '/api/me' }),
		'style': await element('link', { rel: 'stylesheet', href: target + '/api/me' }),
		'events': await events('/api/me'),
	}).filter((result) => result !== 'nothing');
})()`

// scripts has the scripts of a page try what they can. They get nothing, and the
// log says what has come, with or without the cookie.
func (f *front) scripts(t *testing.T, page *browser.Page, what string, sameSite bool) {
	t.Helper()
	// A session is asked for the page that has caused the request, and without one
	// there is nothing to ask.
	reason := "no_credentials"
	if sameSite {
		reason = "cross_site"
	}
	want := slices.Concat(
		slices.Repeat([]string{"GET /api/me " + reason}, 6), // fetch, blind, image, script, style, events
		slices.Repeat([]string{"POST /api/note " + reason}, 3),
		slices.Repeat([]string{"OPTIONS /api/note no_credentials"}, 2), // which never has a cookie
		[]string{"POST /api/note no_credentials"},                      // nor has a sandbox
		[]string{"GET /api/note " + reason, "GET /api/upstream " + reason, "GET /login login_background", "logout", "logout"},
	)
	before := len(f.log())
	if got := page.Run(t, strings.Replace(attempts, "TARGET", fmt.Sprintf("%q", f.origin), 1)); got != "[]" {
		t.Errorf("%s: its scripts get %s", what, got)
	}
	var come []string
	enginetest.Eventually(t, 10*time.Second, what+": what scripts try in the log", func() bool {
		come = nil
		for _, e := range f.log()[before:] {
			switch {
			case e.Reason != "":
				come = append(come, e.Method+" "+e.Path+" "+e.Reason)
			case e.Msg == "logout":
				come = append(come, e.Msg)
			}
		}
		return len(come) >= len(want)
	})
	slices.Sort(come)
	if slices.Sort(want); !slices.Equal(come, want) {
		t.Errorf("%s: the log has %q, want %q", what, come, want)
	}
	hostile.Add(int64(len(want)))
}

// crossSite: what pages of another site do comes without the cookie, and is
// refused all the same. What those of another origin of the same site do comes
// with it, and is refused.
func (f *front) crossSite(t *testing.T) {
	ada := f.signedIn(t, "ada")
	ada.Fill(t, "#note", "mine")
	ada.Click(t, "#save")
	ada.Until(t, "document.getElementById('saved').textContent === 'Saved'")
	_, session := person(t, ada)
	cookie := f.cookies(t, ada)[sessionCookie]

	evil := attacker(t)
	sites := map[string]string{
		"another site":                   strings.Replace(evil.URL, "127.0.0.1", "localhost", 1),
		"another origin of the same one": evil.URL,
	}
	for what, origin := range sites {
		sameSite := origin == evil.URL
		page := ada.Tab(t)
		before := len(ada.Exchanges(t))

		page.Visit(t, origin)
		f.scripts(t, page, what, sameSite)
		f.sockets(t, page, sameSite)
		f.frames(t, page, origin)
		// Forms in the window itself, where a person has been led to press a button.
		for path, status := range map[string][2]int{"/logout": {403, 403}, "/api/note": {401, 403}} {
			page.Visit(t, origin+"/?action="+url.QueryEscape(f.origin+path))
			want := status[0]
			if sameSite {
				want = status[1]
			}
			if at := page.Submit(t, "button"); at.Status != want {
				t.Errorf("%s: a form to %s leads to %+v, want %d", what, path, at, want)
			}
			if path == "/logout" && page.Text(t, "h2") != "You are still signed in" {
				t.Errorf("%s: a form to /logout leads to %s", what, page.Text(t, "body"))
			}
		}
		f.attacked(t, what, page.Exchanges(t)[before:], sameSite)

		f.show(t, ada, "signed-in")
		ada.Until(t, "document.getElementById('note').value !== ''")
		if note := ada.Run(t, "document.getElementById('note').value"); note != `"mine"` {
			t.Errorf("%s: the note is %s", what, note)
		}
		if subject, now := person(t, ada); subject != "ada" || now != session || f.cookies(t, ada)[sessionCookie] != cookie {
			t.Errorf("%s: ada is %q, in the session %q instead of %q", what, subject, now, session)
		}
		if names := f.transactions(t, ada); len(names) != 0 {
			t.Errorf("%s has begun the logins %v", what, names)
		}
	}
}

// frames puts pages of the app into frames.
func (f *front) frames(t *testing.T, page *browser.Page, origin string) {
	t.Helper()
	page.Visit(t, origin)
	page.Run(t, strings.Replace(`Promise.all(['/', '/api/me', '/api/note', '/login'].map((path) => new Promise((done) => {
		const frame = document.createElement('iframe');
		frame.onload = done;
		frame.src = TARGET + path;
		document.body.append(frame);
	}))).then(() => {})`, "TARGET", fmt.Sprintf("%q", f.origin), 1))
	frames := page.Frames(t)
	if len(frames) != 4 {
		t.Errorf("there are %d frames", len(frames))
	}
	for _, frame := range frames {
		if strings.HasPrefix(frame.URL, f.origin) || strings.Contains(frame.Text, "ada") || strings.Contains(frame.Text, "mine") || strings.Contains(frame.Text, "Notes") {
			t.Errorf("a frame shows %+v", frame)
		}
	}
}

// attacked looks at what the app has answered to forms and frames, and with which
// cookie they have come.
func (f *front) attacked(t *testing.T, what string, exchanges []browser.Exchange, sameSite bool) {
	t.Helper()
	refused := 0
	for _, e := range exchanges {
		path := strings.TrimPrefix(e.URL, f.origin)
		if path == e.URL || path == "/style.css" { // which is of the page that says no
			continue
		}
		if sent := strings.Contains(e.Sent["cookie"], sessionCookie); sent != sameSite {
			t.Errorf("%s: %s %s with the cookie: %v", what, e.Method, path, sent)
		}
		switch {
		case e.Status == http.StatusForbidden, e.Status == http.StatusUnauthorized:
		// What is answered is not shown.
		case e.Sent["sec-fetch-dest"] == "iframe" && strings.Contains(e.Header["content-security-policy"], "frame-ancestors 'none'"):
		default:
			t.Errorf("%s: %s %s is answered with %d", what, e.Method, path, e.Status)
		}
		if e.Header["access-control-allow-origin"] != "" || e.Header["location"] != "" || e.Header["set-cookie"] != "" {
			t.Errorf("%s: %s %s is answered with %v", what, e.Method, path, e.Header)
		}
		refused++
	}
	if refused != 6 {
		t.Errorf("%s: %d forms and frames have reached the app", what, refused)
	}
	hostile.Add(int64(refused))
}

// sockets opens WebSockets. The browser tells nobody what has become of them, so
// the log has to.
func (f *front) sockets(t *testing.T, page *browser.Page, sameSite bool) {
	t.Helper()
	reason := "no_credentials"
	if sameSite {
		reason = "cross_site"
	}
	before := len(f.log())
	if got := page.Run(t, strings.Replace(`Promise.all(['/api/me', '/api/note'].map((path) => new Promise((done) => {
		const s = new WebSocket(TARGET.replace('http', 'ws') + path);
		s.onopen = () => done('open'); s.onmessage = ({ data }) => done(data); s.onerror = () => done('nothing');
	})))`, "TARGET", fmt.Sprintf("%q", f.origin), 1)); got != `["nothing","nothing"]` {
		t.Errorf("WebSockets get %s", got)
	}
	var paths []string
	enginetest.Eventually(t, 10*time.Second, "two WebSockets refused for "+reason, func() bool {
		paths = nil
		for _, e := range f.log()[before:] {
			if e.Reason == reason {
				paths = append(paths, e.Path)
			}
		}
		return len(paths) >= 2
	})
	if slices.Sort(paths); !slices.Equal(paths, []string{"/api/me", "/api/note"}) {
		t.Errorf("WebSockets to %v are refused", paths)
	}
}
