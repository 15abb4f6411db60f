// SPDX-License-Identifier: Apache-2.0

package interop_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/interop/browser"
	"github.com/gatehouse-go/gatehouse/interop/provider"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// signinBehindProxy uses examples/signin below a path of nginx, with a provider whose
// end_session_endpoint is on another origin.
func signinBehindProxy(t *testing.T, chromium *browser.Page) {
	const base = "/team/notes"
	ended := make(chan url.Values, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path == "/end" {
			ended <- r.URL.Query()
		}
		fmt.Fprintf(w, `<!DOCTYPE html><title>elsewhere</title><a id="back" href="%s">Back</a>`, html.EscapeString(r.URL.Query().Get("post_logout_redirect_uri")))
	}))
	t.Cleanup(elsewhere.Close)

	front := freeAddress(t)
	a := &app{
		service:  newServiceAt(t, "signin", freeAddress(t), "http://"+front, base, provider.Options{Host: "localhost", EndSessionEndpoint: elsewhere.URL + "/end"}),
		chromium: chromium, host: "127.0.0.1", cookie: "__Host-Http-signin-team-notes", page: "http://" + front + base,
		fields: []string{"who", "note", "saved", "upstream-result", "sessions"},
	}
	a.config["base_path"] = base
	a.config["step_up"] = map[string]any{"max_age": "10s"}
	a.config["remember"] = map[string]any{"idle": "240h", "absolute": "720h"}
	a.process = a.start(t, a.addr)
	startNginx(t, front, strings.NewReplacer("FRONT", front, "BASE", base, "APP", a.addr).Replace(`server {
	listen FRONT;
	proxy_set_header Host $http_host;
	location BASE/ { proxy_pass http://APP; }
	# An application that has forgotten frame-ancestors.
	location = BASE/api/note { proxy_pass http://APP; proxy_hide_header Content-Security-Policy; }
}
`))

	ada := chromium.Person(t)
	t.Run("base path", func(t *testing.T) {
		a.login(t, ada, "ada")
		save(t, ada, "milk")
		if c := a.cookies(t, ada)[a.cookie]; c.Value == "" || c.Expires != -1 {
			t.Errorf("the session cookie is %+v, want one that ends with the browser", c)
		}
	})
	t.Run("framed by a sibling", func(t *testing.T) {
		page := ada.Tab(t)
		page.Visit(t, attacker(t).URL) // another port of the host: the same site, with whose requests the browser sends the cookie
		a.wantReasons(t, func() {
			page.Run(t, "new Promise((done) => document.body.append(Object.assign(document.createElement('iframe'), {src: '"+a.page+"/api/note', onload: done}))).then(() => {})")
			if frames := page.Frames(t); len(frames) != 1 || !strings.Contains(frames[0].Text, "This is not possible") || strings.Contains(frames[0].Text, "milk") {
				t.Errorf("the frame shows %+v, want a refusal", frames)
			}
		}, "cookie_cross_site")
	})
	t.Run("remember me", func(t *testing.T) {
		page := chromium.Person(t)
		a.show(t, page, "signed-out")
		page.Check(t, "#remember")
		page.Submit(t, "#signin")
		a.consent(t, page, "grace")
		shown(t, page, "signed-in")
		c := a.cookies(t, page)[a.cookie]
		if left := time.Until(time.Unix(int64(c.Expires), 0)); left < 29*24*time.Hour || left > 31*24*time.Hour {
			t.Errorf("the session cookie expires in %v, want about 30 days", left)
		}
		var me struct{ Expires time.Time }
		if err := json.Unmarshal([]byte(page.Run(t, "fetch('api/me').then((r) => r.json())")), &me); err != nil || time.Until(me.Expires) < 29*24*time.Hour {
			t.Errorf("the session expires at %v, %v, want in about 30 days", me.Expires, err)
		}
	})
	t.Run("deep link after a failed callback", func(t *testing.T) {
		page := chromium.Person(t)
		page.Hold(t, a.page+"/callback*")
		page.Visit(t, a.page+"/api/note?a=b%26c")
		enter(t, page, "ada")
		held := must(url.Parse(page.SubmitHeld(t, "button[type=submit]")))
		page.Hold(t, "")
		lands(t, "a callback of another issuer", page.Visit(t, with(held, "iss", "https://evil.example")), http.StatusBadRequest, "")
		lands(t, "the link of the page", page.Submit(t, "#signin"), 0, a.page+"/api/note?a=b%26c")
	})
	t.Run("form after the end of the session", func(t *testing.T) {
		page := chromium.Person(t)
		a.show(t, page, "signed-out")
		page.Run(t, `(() => { const f = document.getElementById('note-form'); f.hidden = document.getElementById('signed-in').hidden = false; })()`)
		page.Run(t, `(() => { document.getElementById('note').value = 'typed'; HTMLFormElement.prototype.submit.call(document.getElementById('note-form')); })()`)
		page.Until(t, "document.readyState === 'complete' && location.pathname.endsWith('/team/notes/note')")
		if got := page.Text(t, "body"); strings.Contains(got, "{") || !strings.Contains(got, "Your session has ended") {
			t.Errorf("the page says %q, want words", got)
		}
	})
	t.Run("step-up", func(t *testing.T) {
		// The login grows too old for the export, and then so for the provider too, which
		// counts whole seconds.
		enginetest.Eventually(t, time.Minute, "the export leads to the login", func() bool {
			a.show(t, ada, "signed-in")
			return strings.HasPrefix(ada.Submit(t, "#export").URL, a.provider.Issuer+"/interaction/")
		})
		// On a slow machine the new login can be too old again.
		enginetest.Eventually(t, time.Minute, "the login ends at the export", func() bool {
			at := a.consent(t, ada, "ada")
			return at.URL == a.page+"/export" && at.Status == http.StatusOK
		})
		says(t, ada, "body", `"note":"milk"`)
	})
	t.Run("sign-out at another origin", func(t *testing.T) {
		a.show(t, ada, "signed-in")
		ada.Click(t, "#signout")
		reaches(t, ada, elsewhere.URL+"/end?")
		if q := <-ended; q.Get("id_token_hint") == "" || q.Get("post_logout_redirect_uri") != a.page+"/" {
			t.Errorf("the logout request is %v, want id_token_hint and post_logout_redirect_uri", q)
		}
		lands(t, "the way back", ada.Submit(t, "#back"), 0, a.page+"/")
		shown(t, ada, "signed-out")
		says(t, ada, "#signed-out", "You are signed out")
	})
	t.Run("sign out everywhere", func(t *testing.T) {
		here, there := a.signedIn(t, "ada"), a.signedIn(t, "ada")
		here.Click(t, "#everywhere")
		reaches(t, here, elsewhere.URL+"/end?")
		there.Run(t, "document.dispatchEvent(new Event('visibilitychange'))")
		there.Until(t, "!document.getElementById('signed-out').hidden")
		a.checkNoData(t, there)
		a.show(t, here, "signed-out")
	})
}
