// SPDX-License-Identifier: Apache-2.0

package approval_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/agent/approval"
)

// exchange is a request to the handler.
type exchange struct {
	method, path string
	caller       gatehouse.Principal
	header       map[string]string
	body         string
}

// request returns the request to an origin.
func (x exchange) request(origin string) *http.Request {
	r := httptest.NewRequest(x.method, origin+x.path, strings.NewReader(x.body))
	if !x.caller.IsZero() {
		r = r.WithContext(gatehouse.NewContext(r.Context(), x.caller))
	}
	for name, value := range x.header {
		r.Header.Set(name, value)
	}
	return r
}

func (x exchange) do(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, x.request(server))
	if diff := cmp.Diff(w.Header(), w.Result().Header); diff != "" {
		panic("header after WriteHeader: " + diff)
	}
	return w
}

func getJSON(path string, caller gatehouse.Principal) exchange {
	return exchange{"GET", path, caller, map[string]string{"Accept": "application/json"}, ""}
}

func postJSON(path string, caller gatehouse.Principal, body string) exchange {
	return exchange{"POST", path, caller, map[string]string{"Content-Type": "application/json"}, body}
}

func postForm(path string, caller gatehouse.Principal, values url.Values) exchange {
	return exchange{"POST", path, caller, map[string]string{
		"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin", "Origin": server,
	}, values.Encode()}
}

func TestJSON(t *testing.T) {
	a := newApprovals(t, func(c *approval.Config) { c.Lifetime = time.Minute + time.Nanosecond })
	operators := approval.Rule{Roles: roles("operator")}
	first := request(t, a, pay(`{"amount":1}`), operators)
	if !first.Expires.Equal(first.Created.Add(time.Minute)) {
		t.Errorf("Expires = %v of Created %v, want a minute, to the microsecond", first.Expires, first.Created)
	}
	second := request(t, a, profile(), approval.Rule{Consent: true})
	oscar, alice := person("oscar", "operator"), person("alice")

	want := fmt.Sprintf(`{"approvals":[{"id":%q,"tool":"pay","arguments":{"amount":1},"subject":"helper-1","actor":"helper-1","tenant":"acme","status":"pending","expires":%q}]}`,
		first.ID, first.Expires.Format(time.RFC3339))
	w := getJSON("/approvals", oscar).do(a)
	if w.Code != 200 || strings.TrimSpace(w.Body.String()) != want || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("GET /approvals = %d %s, want %s", w.Code, w.Body, want)
	}
	for name, caller := range map[string]gatehouse.Principal{"no role": person("bob"), "agent": agent()} {
		if w := getJSON("/approvals", caller).do(a); strings.TrimSpace(w.Body.String()) != `{"approvals":[]}` {
			t.Errorf("%s: GET /approvals = %d %s, want none", name, w.Code, w.Body)
		}
	}

	delegated := with(alice, func(p *gatehouse.Principal) {
		p.Issuer, p.Actors = server, gatehouse.NewActors(gatehouse.Actor{Subject: "helper-1"})
	})
	another := with(delegated, func(p *gatehouse.Principal) { p.Subject = "bob" })
	through := with(delegated, func(p *gatehouse.Principal) { p.Actors = gatehouse.NewActors(gatehouse.Actor{Subject: "helper-2"}) })
	stranger := with(agent(), func(p *gatehouse.Principal) { p.Subject, p.Roles = "helper-2", roles("operator") })
	foreign := with(oscar, func(p *gatehouse.Principal) { p.Tenant = "umbrella" })
	third := request(t, a, profile(), operators)
	for _, test := range []struct {
		name   string
		id     string
		caller gatehouse.Principal
		want   int
	}{
		{"operator", first.ID, oscar, 200},
		{"the agent polls", first.ID, agent(), 200},
		{"no role", first.ID, person("bob"), 403},
		{"another agent", first.ID, stranger, 403},
		{"another tenant", first.ID, foreign, 404},
		{"unknown", "apr_unknown", oscar, 404},
		{"empty", "", oscar, 404},
		{"deeper", first.ID + "/x", oscar, 404},
		{"the subject", second.ID, alice, 200},
		{"the agent polls with the delegated token", second.ID, delegated, 200},
		{"the agent with the token of another person", second.ID, another, 403},
		{"another agent of the subject", second.ID, through, 403},
		{"an agent of a longer name", second.ID, with(through, func(p *gatehouse.Principal) { p.Actors = gatehouse.NewActors(gatehouse.Actor{Subject: "helper-10"}) }), 403},
		{"the agent with the token of a person of a longer name", second.ID, with(delegated, func(p *gatehouse.Principal) { p.Subject = "alice2" }), 403},
		{"the subject of a call on which others decide", third.ID, alice, 200},
		{"an operator and consent", second.ID, oscar, 403},
	} {
		w := getJSON("/approvals/"+test.id, test.caller).do(a)
		if w.Code != test.want {
			t.Errorf("%s: GET = %d %s, want %d", test.name, w.Code, w.Body, test.want)
		}
		var got struct{ ID, Error, Subject, Actor string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || (got.ID != "") != (test.want == 200) || (got.Error != "") != (test.want != 200) {
			t.Errorf("%s: GET = %s, want the approval or an error", test.name, w.Body)
		}
		if got.ID != "" && got.ID != first.ID && (got.Subject != "alice" || got.Actor != "helper-1") {
			t.Errorf("%s: GET = %s, want the subject alice and the actor helper-1", test.name, w.Body)
		}
	}

	w = postJSON("/approvals/"+first.ID, oscar, `{"decision":"approve","reason":"fine"}`).do(a)
	if w.Code != 200 || !strings.Contains(w.Body.String(), `"status":"approved"`) {
		t.Errorf("POST = %d %s, want the approved approval", w.Code, w.Body)
	}
	for _, test := range []struct {
		name string
		x    exchange
		want int
	}{
		{"again", postJSON("/approvals/"+first.ID, oscar, `{"decision":"deny"}`), 409},
		{"not entitled", postJSON("/approvals/"+second.ID, oscar, `{"decision":"approve"}`), 403},
		{"unknown", postJSON("/approvals/apr_x", oscar, `{"decision":"approve"}`), 404},
		{"anonymous", postJSON("/approvals/"+second.ID, gatehouse.Principal{}, `{"decision":"approve"}`), 401},
		{"another path", getJSON("/reports", oscar), 404},
		{"list", postJSON("/approvals", oscar, `{"decision":"approve"}`), 405},
		{"PUT", exchange{method: "PUT", path: "/approvals/" + second.ID, caller: alice}, 405},
	} {
		w := test.x.do(a)
		if w.Code != test.want {
			t.Errorf("%s: POST = %d %s, want %d", test.name, w.Code, w.Body, test.want)
		}
		if got := w.Header().Get("Content-Type"); test.name != "PUT" && got != "application/json" {
			t.Errorf("%s: Content-Type = %q, want application/json", test.name, got)
		}
		if allow := w.Header().Get("Allow"); allow != map[string]string{"list": "GET, HEAD", "PUT": "GET, HEAD, POST"}[test.name] {
			t.Errorf("%s: Allow = %q", test.name, allow)
		}
	}
}

func TestMalformedDecisions(t *testing.T) {
	var seen events
	a := newApprovals(t, func(c *approval.Config) { c.Observer = &seen })
	path := "/approvals/" + request(t, a, profile(), approval.Rule{Consent: true}).ID
	alice := person("alice")
	for _, body := range []string{
		``, `{}`, `[]`, `{"decision":"Approve"}`, `{"decision":true}`, `{"decision":"approve","decision":"deny"}`, `{"decision":"approve","Decision":"deny"}`,
		`{"decision":"approve","reason":null}`, `{"decision":"approve","reason":1}`, `{"decision":"approve","id":"x"}`, `{"decision":"approve"} x`,
		`{"reason":"x"}`, `{"decision":"approve","reason":"` + strings.Repeat("x", 2001) + `"}`, `{"decision":"approve"}` + strings.Repeat(" ", 64<<10),
	} {
		if w := postJSON(path, alice, body).do(a); w.Code != 400 {
			t.Errorf("POST %.80s = %d, want 400", body, w.Code)
		}
		if e, _ := seen.last(""); e.Decision != gatehouse.Denied || e.Principal != alice || e.Duration > time.Hour || strings.Contains(body, "deny") && !strings.Contains(e.Cause.Error(), "duplicate") {
			t.Errorf("POST %.80s: decision = %s, %v, want %s with the cause", body, e.Decision, e.Cause, gatehouse.Denied)
		} else if body == "" && !strings.Contains(e.Cause.Error(), "malformed JSON") {
			t.Errorf("POST without a body: cause = %v, want that of the JSON parser", e.Cause)
		}
	}
	for _, form := range []string{"", "reason=x", "decision=approve&decision=deny", "decision=approve&access_token=x", "decision=yes", "decision=approve;reason=x", "decision=approve&%zz"} {
		x := postForm(path, alice, nil)
		x.body = form
		if w := x.do(a); w.Code != 400 || !strings.Contains(w.Body.String(), "<h1>This request was not understood</h1>") {
			t.Errorf("POST of the form %q = %d %s, want a page with 400", form, w.Code, w.Body)
		}
	}
	for _, contentType := range []string{"", "text/plain", "multipart/form-data; boundary=x", "application/json; charset"} {
		x := postJSON(path, alice, `{"decision":"approve"}`)
		x.header["Content-Type"] = contentType
		w := x.do(a)
		if e, _ := seen.last(""); w.Code != 400 || !strings.Contains(e.Cause.Error(), "Content-Type") || contentType == "text/plain" && !strings.Contains(e.Cause.Error(), `"text/plain"`) {
			t.Errorf("POST as %q = %d, %v, want 400 with the cause", contentType, w.Code, e.Cause)
		}
	}
	if w := postJSON(path+"?decision=approve", alice, `{"decision":"deny","reason":"with\u0000"}`).do(a); w.Code != 200 || !strings.Contains(w.Body.String(), "denied") {
		t.Errorf("POST = %d %s, want denied", w.Code, w.Body)
	}
	if _, sum := seen.last("reason_sha256"); sum != fmt.Sprintf("%x", sha256.Sum256([]byte("with\x00"))) {
		t.Errorf("the event has the reason_sha256 %q, want that of the reason", sum)
	}
}

// TestCrossSite sends decisions from pages of other origins, with every credential.
func TestCrossSite(t *testing.T) {
	const local, localTLS = "http://127.0.0.1:8080", "https://127.0.0.1:8080"
	for _, test := range []struct {
		name, to    string // the origin to which the request is sent
		site, pages string // the headers Sec-Fetch-Site and Origin, several with commas
		want        int
	}{
		{"no browser", server, "", "", 200},
		{"own page", server, "same-origin", server, 200},
		{"own page, old browser", server, "", server, 200},
		{"the host of the request", local, "same-origin", local, 200},
		{"own page behind a proxy", localTLS, "", server, 200},
		{"the host of the request with TLS", localTLS, "same-origin", localTLS, 200},
		{"malformed", server, "same-origin", "https://%", 403},
		{"other site", server, "cross-site", "https://evil.example", 403},
		{"other site without Origin", server, "cross-site", "", 403},
		{"same site", server, "same-site", "https://other.example.com", 403},
		{"other origin, old browser", server, "", "https://evil.example", 403},
		{"null", server, "", "null", 403},
		{"null with a header that says otherwise", server, "same-origin", "null", 403},
		{"other origin with a header that says otherwise", server, "same-origin", "https://evil.example", 403},
		{"null without a host", local, "same-origin", "null", 403},
		{"the host without TLS", server, "same-origin", strings.Replace(server, "https", "http", 1), 403},
		{"a longer origin", server, "same-origin", server + ".evil.example", 403},
		{"a longer host", local, "same-origin", "http://evil-127.0.0.1:8080", 403},
		{"a host in capitals", "http://LOCALHOST:8080", "same-origin", "http://localhost:8080", 200},
		{"two sites", server, "same-origin,cross-site", server, 403},
		{"two origins", server, "", server + "," + server, 403},
	} {
		for _, form := range []bool{false, true} {
			var seen events
			a := newApprovals(t, func(c *approval.Config) { c.Observer = &seen })
			path := "/approvals/" + request(t, a, profile(), approval.Rule{Consent: true}).ID
			x, want := postJSON(path, person("alice"), `{"decision":"approve"}`), test.want
			if form {
				x.header, x.body = map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, "decision=approve"
				want = map[int]int{200: 303, 403: 403}[want]
			}
			r := x.request(test.to)
			if strings.HasSuffix(test.name, "without a host") {
				r.Host = ""
			}
			for name, values := range map[string]string{"Sec-Fetch-Site": test.site, "Origin": test.pages} {
				if values != "" {
					r.Header[name] = strings.Split(values, ",")
				}
			}
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s, form %v: POST = %d, want %d", test.name, form, w.Code, want)
			}
			if e, _ := seen.last(""); (e.Reason == approval.ReasonCrossSite) != (want == 403) {
				t.Errorf("%s, form %v: reason = %q", test.name, form, e.Reason)
			}
		}
	}
}

func TestPages(t *testing.T) {
	a := newApprovals(t, nil)
	asked := request(t, a, profile(), approval.Rule{Consent: true})
	alice := person("alice")
	page := func(x exchange, status int, parts ...string) {
		t.Helper()
		w := x.do(a)
		if w.Code != status {
			t.Errorf("%s %s = %d, want %d", x.method, x.path, w.Code, status)
		}
		for _, part := range parts {
			if !strings.Contains(w.Body.String(), part) {
				t.Errorf("%s %s lacks %q:\n%s", x.method, x.path, part, w.Body)
			}
		}
		h := w.Header()
		want := http.Header{
			"Cache-Control": {"no-store"}, "X-Frame-Options": {"DENY"}, "X-Content-Type-Options": {"nosniff"}, "Referrer-Policy": {"same-origin"},
			"Cross-Origin-Opener-Policy": {"same-origin"}, "Cross-Origin-Resource-Policy": {"same-origin"}, "Vary": {"Accept"},
			"Content-Type": {"text/html; charset=utf-8"},
		}
		got := http.Header{}
		for name := range want {
			got[name] = h[name]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s %s headers (-want +got):\n%s", x.method, x.path, diff)
		}
		for _, directive := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if csp := h.Get("Content-Security-Policy"); !strings.Contains(csp, directive) || strings.Contains(csp, "unsafe") {
				t.Errorf("Content-Security-Policy = %q, want %s", csp, directive)
			}
		}
	}
	get := func(path string, caller gatehouse.Principal) exchange {
		return exchange{"GET", path, caller, map[string]string{"Accept": "text/html,application/xhtml+xml,application/json;q=0.9"}, ""}
	}
	page(get("/approvals", alice), 200, "1 approval<", "helper-1", "update_profile", "/approvals/"+asked.ID, "Needs your consent")
	page(get("/approvals", person("bob")), 200, "Nothing waits for you")
	page(exchange{"GET", "/approvals", alice, nil, ""}, 200, "helper-1")
	page(get("/approvals/"+asked.ID, alice), 200, `<form method="post" action="/approvals/`+asked.ID+`"`, "display_name", "Do you consent?", "https://id.example.com")
	for _, test := range []struct {
		accept []string
		want   string
	}{
		{[]string{"Application/JSON"}, "application/json"},
		{[]string{"text/plain, application/json;q=0.1"}, "application/json"},
		{[]string{"text/plain", "application/json"}, "application/json"},
		{[]string{"application/json", "Text/HTML"}, "text/html; charset=utf-8"},
	} {
		w, r := httptest.NewRecorder(), get("/approvals", alice).request(server)
		r.Header["Accept"] = test.accept
		a.ServeHTTP(w, r)
		if got := w.Header().Get("Content-Type"); got != test.want {
			t.Errorf("GET with Accept %q = %s, want %s", test.accept, got, test.want)
		}
	}
	page(get("/approvals/"+asked.ID, agent()), 200, "helper-1")
	if w := get("/approvals/"+asked.ID, agent()).do(a); strings.Contains(w.Body.String(), "<form") {
		t.Error("the page of the agent has a form")
	}
	other := request(t, a, pay(`{}`), approval.Rule{Roles: roles("operator")})
	decide(a, person("oscar", "operator"), other.ID, true)
	if w := get("/approvals/"+other.ID, person("olga", "operator")).do(a); w.Code != 200 || strings.Contains(w.Body.String(), "<form") || !strings.Contains(w.Body.String(), "<dt>Expires</dt>") {
		t.Errorf("GET of an approval that another person has decided on = %d %s, want a page with its expiry and without a form", w.Code, w.Body)
	}
	page(get("/approvals/"+asked.ID, person("bob")), 403, "You cannot decide on this")
	page(get("/approvals/apr_x", alice), 404, "There is no such approval")
	if w := (exchange{"HEAD", "/approvals", alice, nil, ""}).do(a); w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("HEAD = %d with %d bytes, want 200 without a body", w.Code, w.Body.Len())
	}

	w := postForm("/approvals/"+asked.ID, alice, url.Values{"decision": {"approve"}, "reason": {"<b>fine\u202e</b>"}}).do(a)
	if w.Code != 303 || w.Header().Get("Location") != "/approvals/"+asked.ID {
		t.Fatalf("POST = %d %q, want 303 to the approval", w.Code, w.Header().Get("Location"))
	}
	page(get("/approvals/"+asked.ID, alice), 200, `approved</span>`, `&lt;b&gt;fine<b class="esc">\u202e</b>&lt;/b&gt;`)
	page(postForm("/approvals/"+asked.ID, alice, url.Values{"decision": {"deny"}}), 409, "This approval is closed")
}

// The page says who asks for what, who has decided and how much time is left.
func TestPageOfApproval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApprovals(t, func(c *approval.Config) { c.Lifetime = 2 * time.Hour })
		call, ada := profile(), person("ada", "admin")
		call.Version = "1"
		asked := request(t, a, call, approval.Rule{Roles: roles("admin"), Count: 3})
		decide(a, ada, asked.ID, true)
		decide(a, person("abe", "admin"), asked.ID, true)
		for _, left := range []struct {
			sleep time.Duration
			want  string
		}{
			{0, "in 2 hours"},
			{time.Second, "in 119 minutes"},
			{118*time.Minute - time.Second, "in 2 minutes"},
			{time.Second, "in 119 seconds"},
			{119*time.Second - time.Millisecond, "in 1 seconds"},
		} {
			time.Sleep(left.sleep)
			page := exchange{method: "GET", path: "/approvals/" + asked.ID, caller: ada}.do(a).Body.String()
			for _, part := range []string{
				`<style>`, `href="/approvals"`, `<span>ada</span><span class="soft">acme</span>`,
				`helper-1<span class="soft">https://tools.example.com</span>`, `alice<span class="soft">https://id.example.com</span>`,
				`update_profile<span class="soft">version 1</span>`, `2 of 3 people<span class="soft">You have decided.</span>`,
				`<dt>Asked</dt><dd>1 Jan 2000, 00:00:00 UTC</dd>`, `<strong>ada</strong> approved <span class="soft">1 Jan 2000, 00:00:00 UTC</span>`,
				`<strong>abe</strong> approved`,
				`<dt>Expires</dt><dd>1 Jan 2000, 02:00:00 UTC<span class="soft">` + left.want + `</span>`,
				`<span class="soft">20 bytes</span>`, fmt.Sprintf(`<code>%x</code>`, sha256.Sum256([]byte(call.Arguments))),
			} {
				if !strings.Contains(page, part) {
					t.Errorf("the page lacks %s:\n%s", part, page)
				}
			}
			other := exchange{method: "GET", path: "/approvals/" + asked.ID, caller: person("bea", "admin")}.do(a).Body.String()
			if strings.Contains(other, "You have decided.") {
				t.Errorf("the page of a person who has not decided says that:\n%s", other)
			}
		}
	})
}

// The time that is left is that of the store. Arguments that are no JSON are shown as they
// are, and are a 503 as JSON.
func TestApprovalOfTheStore(t *testing.T) {
	now := time.Unix(1_000_000_000, 0)
	stored := approval.Approval{ID: "x", Call: profile(), Rule: approval.Rule{Consent: true}, Expires: now.Add(5 * time.Minute), AsOf: now}
	stored.Arguments = `{"a":1,`
	a := newApprovals(t, func(c *approval.Config) { c.Store = &store{answer: &stored} })
	page := exchange{method: "GET", path: "/approvals/x", caller: person("alice")}.do(a).Body.String()
	for _, part := range []string{"in 5 minutes", "<pre>{&#34;a&#34;:1,</pre>"} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %s:\n%s", part, page)
		}
	}
	if w := getJSON("/approvals/x", person("alice")).do(a); w.Code != 503 {
		t.Errorf("GET of arguments that are no JSON = %d %s, want 503", w.Code, w.Body)
	}
}

func TestUnavailable(t *testing.T) {
	var seen events
	a := newApprovals(t, func(c *approval.Config) { c.Store, c.Observer = &store{err: errDown}, &seen })
	for _, x := range []exchange{
		getJSON("/approvals", person("alice")), getJSON("/approvals/x", person("alice")), postJSON("/approvals/x", person("alice"), `{"decision":"approve"}`),
		{method: "GET", path: "/approvals", caller: person("alice")},
	} {
		w := x.do(a)
		if w.Code != 503 || w.Header().Get("Retry-After") != "5" || strings.Contains(w.Body.String(), "<h1>Not possible at the moment</h1>") != (x.header == nil) {
			t.Errorf("%s %s = %d %s, want 503 with Retry-After 5, and a page without Accept", x.method, x.path, w.Code, w.Body)
		}
		if e, _ := seen.last(""); e.Decision != gatehouse.Unavailable || e.Cause == nil || e.Cause.Error() != "down" {
			t.Errorf("%s %s: event = %+v, want an unavailable decision with the cause", x.method, x.path, e)
		}
	}
	seen.fail = http.ErrAbortHandler
	if w := getJSON("/reports", person("alice")).do(a); w.Code != 503 {
		t.Errorf("GET of an unknown path with an observer that fails = %d, want 503", w.Code)
	}
}
