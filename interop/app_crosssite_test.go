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

// attacker serves a page with a form to the address in the query.
func attacker(t *testing.T) *httptest.Server {
	t.Helper()
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!DOCTYPE html><title>evil</title><form method="post" action="%s" enctype="text/plain"><input name="theirs" value="x"><button>Win</button></form>`,
			r.URL.Query().Get("action"))
	}))
	t.Cleanup(evil.Close)
	return evil
}

// attempts is a JavaScript expression that attacks the server at TARGET in each
// way that a script has. It yields what the script could read, by attempt.
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
	const sandboxed = (path) => new Promise((done) => { // its Origin is "null"
		addEventListener('message', ({ data }) => done(data), { once: true });
		document.body.append(Object.assign(document.createElement('iframe'), { sandbox: 'allow-scripts', srcdoc:
			'<script>fetch("' + target + path + '", { method: "POST", mode: "no-cors", credentials: "include", body: "theirs" })' +
			'.then((r) => r.type, () => "nothing").then((got) => parent.postMessage(got, "*"))<' + '/script>' }));
	});
	const socket = (path) => new Promise((done) => {
		const s = new WebSocket(target.replace('http', 'ws') + path);
		s.onopen = () => done('open'); s.onmessage = ({ data }) => done(data); s.onerror = () => done('nothing');
	});
	const all = { credentials: 'include' };
	const opaque = { ...all, mode: 'no-cors' };
	const text = { method: 'POST', body: 'theirs', headers: { 'Content-Type': 'text/plain' } };
	const json = { method: 'POST', body: '{"note":"theirs"}', headers: { 'Content-Type': 'application/json' } };
	const results = {
		'fetch': await got(fetch(target + '/api/me', all)),
		'fetch, opaque': await got(fetch(target + '/api/me', opaque)),
		'fetch of the note': await got(fetch(target + '/api/note', all)),
		'fetch upstream, opaque': await got(fetch(target + '/api/upstream', opaque)),
		'POST': await got(fetch(target + '/api/note', { ...all, ...text })),
		'POST, opaque': await got(fetch(target + '/api/note', { ...opaque, ...text })),
		'POST of JSON': await got(fetch(target + '/api/note', { ...all, ...json })),
		'logout': await got(fetch(target + '/logout', { ...all, method: 'POST' })),
		'logout, opaque': await got(fetch(target + '/logout', { ...opaque, method: 'POST' })),
		'POST from a sandbox': await sandboxed('/api/note'),
		'PUT': await got(fetch(target + '/api/note', { ...all, method: 'PUT' })),
		'beacon': String(navigator.sendBeacon(target + '/api/note', 'theirs')) && 'nothing',
		'image': await element('img', { src: target + '/api/me' }),
		'image of the login': await element('img', { src: target + '/login' }),
		'script': await element('script', { src: target + '/api/me' }),
		'style': await element('link', { rel: 'stylesheet', href: target + '/api/me' }),
		'events': await events('/api/me'),
		'WebSocket': await socket('/api/me'),
	};
	return Object.entries(results).filter(([, result]) => result !== 'nothing').map((entry) => entry.join(': '));
})()`

// crossSite attacks the app from a page of another site, with whose requests the
// browser sends no cookies, and from one of another origin of the same site, with
// which it does. Neither reads or changes anything.
func (a *app) crossSite(t *testing.T) {
	ada := a.signedIn(t, "ada")
	save(t, ada, "mine")
	_, session := a.person(t, ada)
	cookie := a.cookies(t, ada)[a.cookie]
	evil := attacker(t)
	for _, host := range []string{"localhost", "127.0.0.1"} {
		t.Run("from "+host, func(t *testing.T) {
			sameSite, origin := host == a.host, strings.Replace(evil.URL, "127.0.0.1", host, 1)
			page := ada.Tab(t)
			before := len(ada.Exchanges(t))
			page.Visit(t, origin)
			a.attackByScript(t, page, sameSite)
			a.attackByFrame(t, page, origin)
			// A form that the person submits.
			for path, want := range map[string]int{"/logout": 403, "/api/note": 401} {
				if path == "/api/note" && sameSite {
					want = 403
				}
				page.Visit(t, origin+"/?action="+url.QueryEscape(a.origin+path))
				lands(t, "a form to "+path, page.Submit(t, "button"), want, a.origin+path)
			}
			a.checkAttack(t, page.Exchanges(t)[before:], sameSite)

			a.show(t, ada, "signed-in")
			ada.Until(t, "document.getElementById('note').value !== ''")
			if note := ada.Run(t, "document.getElementById('note').value"); note != `"mine"` {
				t.Errorf("the note is %s, want mine", note)
			}
			if subject, now := a.person(t, ada); subject != "ada" || now != session || a.cookies(t, ada)[a.cookie] != cookie {
				t.Errorf("signed in as %q in the session %q, want ada in %q", subject, now, session)
			}
			a.keeps(t, ada, 1)
		})
	}
}

// attackByScript runs all attempts. The scripts read nothing, and the log has the
// reason of each rejection.
func (a *app) attackByScript(t *testing.T, page *browser.Page, sameSite bool) {
	t.Helper()
	reason := "no_credentials"
	if sameSite {
		reason = "cookie_cross_site"
	}
	want := slices.Concat(
		slices.Repeat([]string{"GET /api/me " + reason}, 7), // fetch twice, image, script, style, events, WebSocket
		slices.Repeat([]string{"POST /api/note " + reason}, 3),
		slices.Repeat([]string{"OPTIONS /api/note no_credentials"}, 2), // a preflight has no cookies
		[]string{"POST /api/note no_credentials"},                      // neither has a sandbox
		[]string{"GET /api/note " + reason, "GET /api/upstream " + reason, "GET /login signin_navigation", "POST /logout cookie_cross_site", "POST /logout cookie_cross_site"},
	)
	before := len(a.log())
	readable := "[]"
	if a.page != a.origin {
		// The API is for another origin of the site, and gives the site opaque
		// responses: a script reads neither status nor body.
		readable = `["POST from a sandbox: opaque"]`
		if sameSite {
			readable = `["fetch, opaque: opaque","fetch upstream, opaque: opaque","POST, opaque: opaque","logout, opaque: opaque","POST from a sandbox: opaque"]`
		}
	}
	yields(t, page, strings.Replace(attempts, "TARGET", fmt.Sprintf("%q", a.origin), 1), readable)
	var logged []string
	enginetest.Eventually(t, time.Minute, "the attempts in the log", func() bool {
		logged = nil
		for _, e := range a.log()[before:] {
			if e.Reason != "" {
				logged = append(logged, e.Method+" "+e.Path+" "+e.Reason)
			}
		}
		return len(logged) >= len(want)
	})
	slices.Sort(logged)
	if slices.Sort(want); !slices.Equal(logged, want) {
		t.Errorf("the log has %q, want %q", logged, want)
	}
	hostile.Add(int64(len(want)))
}

// attackByFrame puts pages of the app into frames, which show none of them.
func (a *app) attackByFrame(t *testing.T, page *browser.Page, origin string) {
	t.Helper()
	page.Visit(t, origin)
	addresses := []string{a.page + "/", a.origin + "/api/me", a.origin + "/api/note", a.origin + "/login"}
	page.Run(t, fmt.Sprintf(`Promise.all(['%s'].map((address) => new Promise((done) => {
		const frame = document.createElement('iframe');
		frame.onload = done;
		frame.src = address;
		document.body.append(frame);
	}))).then(() => {})`, strings.Join(addresses, "', '")))
	page.Exchanges(t) // waits for the headers, which are lost when the page leaves
	frames := page.Frames(t)
	if len(frames) != len(addresses) {
		t.Errorf("%d frames, want %d", len(frames), len(addresses))
	}
	for _, frame := range frames {
		if strings.HasPrefix(frame.URL, a.origin) || strings.HasPrefix(frame.URL, a.page) || strings.Contains(frame.Text, "ada") || strings.Contains(frame.Text, "mine") || strings.Contains(frame.Text, "Notes") {
			t.Errorf("a frame shows %+v", frame)
		}
	}
}

// checkAttack checks the app's responses to forms and frames, and which of the
// requests had the session cookie.
func (a *app) checkAttack(t *testing.T, exchanges []browser.Exchange, sameSite bool) {
	t.Helper()
	count := 0
	for _, e := range exchanges {
		path := strings.TrimPrefix(e.URL, a.origin)
		if path == e.URL || e.Type != "document" {
			continue
		}
		if sent := strings.Contains(e.Sent["cookie"], a.cookie); sent != sameSite {
			t.Errorf("%s %s with the session cookie: %v, want %v", e.Method, path, sent, sameSite)
		}
		rejected := e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized
		framed := e.Sent["sec-fetch-dest"] != "document" && strings.Contains(e.Header["content-security-policy"], "frame-ancestors 'none'")
		if !rejected && !framed {
			t.Errorf("%s %s: status %d, want 401, 403 or frame-ancestors 'none'", e.Method, path, e.Status)
		}
		toPage := a.page != a.origin && strings.HasPrefix(e.Header["location"], a.page+"/?problem=")
		if e.Header["access-control-allow-origin"] != "" || e.Header["location"] != "" && !toPage || e.Header["set-cookie"] != "" {
			t.Errorf("%s %s: header %v, want no Access-Control-Allow-Origin or Set-Cookie, and no Location elsewhere", e.Method, path, e.Header)
		}
		count++
	}
	want := 5 // two forms, three frames
	if a.page == a.origin {
		want++
	}
	if count != want {
		t.Errorf("%d forms and frames reached the app, want %d", count, want)
	}
	hostile.Add(int64(count))
}
