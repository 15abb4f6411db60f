// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/providertest"
	"github.com/gatehouse-go/gatehouse/session"
	"github.com/gatehouse-go/gatehouse/signin"
)

const (
	origin        = "https://app.example.com"
	sessionCookie = "__Host-Http-session"
)

type object = providertest.Object

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

var key = gatehouse.NewSecret([]byte("0123456789abcdef0123456789abcdef"))

// observer records events.
type observer struct {
	mu  sync.Mutex
	all []gatehouse.Event
	err error
}

func (o *observer) Observe(_ context.Context, e gatehouse.Event) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.Duration < 0 || e.Duration > time.Hour {
		return fmt.Errorf("%s took %v", e.Type, e.Duration)
	}
	o.all = append(o.all, e)
	return o.err
}

// take returns the events since the last call.
func (o *observer) take() []gatehouse.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.all
	o.all = nil
	return all
}

// names returns the reasons of the events since the last call, or their types if
// they have no reason.
func (o *observer) names() (all []string) {
	for _, e := range o.take() {
		if e.Reason != "" {
			all = append(all, string(e.Reason))
		} else {
			all = append(all, string(e.Type))
		}
	}
	return all
}

// site is an application, its provider, and a browser.
type site struct {
	*providertest.Server
	*signin.Handler
	store  *session.Memory
	jar    map[string]string
	events observer
	fault  func(method, id string) error // of the store, nil for none

	mu       sync.Mutex
	revoking int      // the status of the revocation endpoint
	tokens   []string // which it has got
}

func newSite(t testing.TB, changes ...func(*signin.Config)) *site {
	t.Helper()
	s := &site{Server: providertest.New(t), store: session.NewMemory(0), jar: make(map[string]string), revoking: 200}
	s.Routes["/revoke"] = s.serveRevoke
	config := configOf(s)
	for _, change := range changes {
		if change != nil {
			change(&config)
		}
	}
	config.Session.Store = faulty{config.Session.Store, s}
	if config.Page == nil {
		config.Page = func(_ *http.Request, p signin.Page) gatehouse.Body {
			s.checkPage(p, cmp.Or(config.Home, "/"))
			return gatehouse.Body{} // the default
		}
	}
	s.Handler = must(signin.New(config))
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// configOf returns the configuration of a site.
func configOf(s *site) signin.Config {
	return signin.Config{
		Client: s.Config(), RedirectURI: origin + "/auth/callback", Scopes: []string{"reports:read"}, CookieSecrets: []gatehouse.Secret{key},
		Session: session.Config{Store: s.store}, Observer: &s.events,
	}
}

// pages are all pages of the package, with the begin of their texts. No Href stands for Home, and ? for one with a prompt.
var pages = []signin.Page{
	{Title: "Please sign in", Text: "This page is for users who", Link: "Sign in", Href: "login"},
	{Title: "Please sign in", Text: "This browser has no session. Sign in again", Link: "Sign in", Href: "login"},
	{Title: "Please sign in", Text: "Sign-in needs a window or tab", Link: "Sign in", Href: "login", NewTab: true},
	{Title: "Your session has ended", Text: "Nothing was saved. Sign in in another tab", Link: "Sign in", Href: "login", NewTab: true},
	{Title: "This is not possible", Text: "Your account may not do this, or another site", Link: "Go on"},
	{Title: "This is not possible", Text: "The application does not understand", Link: "Go on"},
	{Title: "This is not possible at the moment", Text: "A server that this application needs", Link: "Go on"},
	{Title: "Another user has signed in", Text: "The page before belongs to another user", Link: "Go on"},
	{Title: "This sign-in could not be verified", Text: "The answer of the sign-in server does not fit", Link: "Go on"},
	{Title: "A stronger sign-in is needed", Text: "The sign-in server did not ask", Link: "Go on"},
	{Title: "This account may not sign in here", Text: "You have signed in at the sign-in server", Link: "Use another account", Href: "login?"},
	{Title: "This address does not arrive", Text: "A proxy in front", Link: "Go on"},
	{Title: "You are still signed in", Text: "Another site has tried to sign you out", Link: "Go on"},
	{Title: "You may still be signed in", Text: "A server that the sign-out needs", Link: "Go on"},
	{Title: "You are signed out of this browser", Text: "The session store is unavailable", Link: "Go on"},
	{Title: "The sign-in was refused", Text: "Nothing was changed. You can sign in again.", Link: "Sign in", Href: "login"},
	{Title: "Sign-in is not possible at the moment", Text: "A server that the sign-in needs", Link: "Try again", Href: "login"},
	{Title: "This sign-in could not be completed", Text: "The address was used before", Link: "Sign in", Href: "login"},
}

// checkPage checks what a page says, and where its link leads.
func (s *site) checkPage(p signin.Page, home string) {
	s.Helper()
	i := slices.IndexFunc(pages, func(want signin.Page) bool { return strings.HasPrefix(p.Text, want.Text) })
	if i < 0 {
		s.Errorf("page %+v, want one of the texts of pages", p)
		return
	}
	to, query, _ := strings.Cut(p.Href, "?")
	href := path.Base(to)
	switch {
	case p.Href == home:
		href = ""
	case strings.HasPrefix(query, "prompt=login"):
		href += "?"
	}
	got, want := signin.Page{Title: p.Title, Text: pages[i].Text, Link: p.Link, Href: href, NewTab: p.NewTab}, pages[i]
	if got != want || strings.HasSuffix(query, "return_to="+url.QueryEscape(home)) {
		s.Errorf("page %+v, want %+v", p, want)
	}
}

// serveRevoke is the revocation endpoint. It records each token, with its kind if that is not a refresh token.
func (s *site) serveRevoke(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, strings.TrimSuffix(r.PostFormValue("token")+" "+r.PostFormValue("token_type_hint"), " refresh_token"))
	w.WriteHeader(s.revoking)
}

// revoked returns the tokens that were revoked since the last call.
func (s *site) revoked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.tokens
	s.tokens = nil
	slices.Sort(all)
	return all
}

// ServeHTTP resolves the ambiguity between the embedded handlers.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.Handler.ServeHTTP(w, r) }

// request is a navigation of the browser.
func (s *site) request(method, target string, changes ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest(method, target, http.NoBody)
	r.Header = http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"same-origin"}}
	for name, value := range s.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for _, change := range changes {
		change(r)
	}
	return r
}

// through makes a request to a handler and keeps the cookies of the response.
func (s *site) through(h http.Handler, method, target string, changes ...func(*http.Request)) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, s.request(method, target, changes...))
	if sent := w.Result().Header; !maps.EqualFunc(sent, w.Header(), slices.Equal) {
		s.Errorf("%s %s: header %v, and after the status %v", method, target, sent, w.Header())
	}
	for _, c := range w.Result().Cookies() {
		if s.jar[c.Name] = c.Value; c.Value == "" {
			delete(s.jar, c.Name)
		}
	}
	return w
}

// modify are changes of a request.
type modify = []func(*http.Request)

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// script makes the request one of a script of the page.
func script(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", "cors") }

// from sets the context of the request.
func from(ctx context.Context) func(*http.Request) {
	return func(r *http.Request) { *r = *r.WithContext(ctx) }
}

// form makes the request one with the body of a form.
func form(body string) func(*http.Request) {
	return func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
}

// do makes a navigation and keeps its cookies. The responses of all endpoints are
// private.
func (s *site) do(method, target string, changes ...func(*http.Request)) *httptest.ResponseRecorder {
	s.Helper()
	w := s.through(s, method, target, changes...)
	if got := w.Header().Get("Cache-Control"); got != "no-store" {
		s.Errorf("%s %s: Cache-Control = %q, want no-store", method, target, got)
	}
	if got := w.Header().Get("Referrer-Policy"); got != "no-referrer" && !strings.Contains(target, "backchannel") {
		s.Errorf("%s %s: Referrer-Policy = %q, want no-referrer", method, target, got)
	}
	for _, c := range w.Result().Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || !strings.HasPrefix(c.Name, "__Host-Http-") {
			s.Errorf("cookie %v, want a __Host-Http- cookie with SameSite=Lax", c)
		}
	}
	return w
}

// start begins a login and returns the address of the authorization request.
func (s *site) start(query string) string {
	s.Helper()
	w := s.do(http.MethodGet, "/auth/login"+query)
	if w.Code != http.StatusSeeOther {
		s.Fatalf("login: status %d, want 303: %s", w.Code, w.Body)
	}
	return w.Header().Get("Location")
}

// callback follows the redirect to the callback.
func (s *site) callback(response url.Values) *httptest.ResponseRecorder {
	s.Helper()
	return s.do(http.MethodGet, "/auth/callback?"+response.Encode(), header("Sec-Fetch-Site", "cross-site"))
}

// login logs in.
func (s *site) login(query string) *httptest.ResponseRecorder {
	s.Helper()
	return s.callback(s.Authorize(s.start(query)))
}

// transactions returns the names of the cookies of pending logins.
func (s *site) transactions() (names []string) {
	for name := range s.jar {
		if strings.HasPrefix(name, "__Host-Http-tx-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// principal returns the principal of the session of the browser.
func (s *site) principal() (gatehouse.Principal, error) {
	proof, err := s.Sessions.Authenticate(s.request(http.MethodGet, "/"))
	if err != nil {
		return gatehouse.Principal{}, err
	}
	return proof.Principal(), nil
}

// expect checks a response that is an error, and its one event.
func (s *site) expect(name string, w *httptest.ResponseRecorder, status int, reason gatehouse.Reason) {
	s.Helper()
	if w.Code != status {
		s.Errorf("%s: status %d, want %d: %s", name, w.Code, status, w.Body)
	}
	if got := s.events.names(); !slices.Equal(got, []string{string(reason)}) {
		s.Errorf("%s: events %q, want %q", name, got, reason)
	}
}

var raw = providertest.Raw

// faulty is the store of a site.
type faulty struct {
	session.Store
	site *site
}

// down makes methods of the store fail, and no other ones.
func (s *site) down(methods ...string) {
	s.fault = func(method, _ string) error {
		if slices.Contains(methods, method) {
			return errors.New("down")
		}
		return nil
	}
}

// call calls a method of the store, unless it fails. Of Get and Delete, id is the session.
func call[T any](f faulty, method, id string, do func() (T, error)) (T, error) {
	if f.site.fault != nil {
		if err := f.site.fault(method, id); err != nil {
			return *new(T), fmt.Errorf("store: %w", err)
		}
	}
	return do()
}

func (f faulty) Create(ctx context.Context, r session.Record, lifetime time.Duration) (session.Record, error) {
	return call(f, "Create", "", func() (session.Record, error) { return f.Store.Create(ctx, r, lifetime) })
}

func (f faulty) Get(ctx context.Context, id string) (session.Record, error) {
	return call(f, "Get", id, func() (session.Record, error) { return f.Store.Get(ctx, id) })
}

func (f faulty) List(ctx context.Context, s session.Selector, limit int) ([]session.Record, error) {
	return call(f, "List", "", func() ([]session.Record, error) { return f.Store.List(ctx, s, limit) })
}

func (f faulty) Delete(ctx context.Context, id string) error {
	_, err := call(f, "Delete", id, func() (any, error) { return nil, f.Store.Delete(ctx, id) })
	return err
}

func (f faulty) DeleteAll(ctx context.Context, s session.Selector) (int, error) {
	return call(f, "DeleteAll", "", func() (int, error) { return f.Store.DeleteAll(ctx, s) })
}
