// SPDX-License-Identifier: Apache-2.0

package signin_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
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

func secret(text string) gatehouse.Secret { return gatehouse.NewSecret([]byte(text)) }

// observer records events.
type observer struct {
	mu  sync.Mutex
	all []gatehouse.Event
	err error
}

func (o *observer) Observe(_ context.Context, e gatehouse.Event) error {
	o.mu.Lock()
	defer o.mu.Unlock()
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
}

func newSite(t testing.TB, changes ...func(*signin.Config)) *site {
	t.Helper()
	s := &site{Server: providertest.New(t), store: session.NewMemory(0), jar: make(map[string]string)}
	config := signin.Config{
		Client: s.Config(), RedirectURI: origin + "/auth/callback", Scopes: []string{"reports:read"},
		CookieSecrets: []gatehouse.Secret{secret("0123456789abcdef0123456789abcdef")},
		Session:       session.Config{Store: s.store}, Observer: &s.events,
	}
	for _, change := range changes {
		change(&config)
	}
	h := must(signin.New(config))
	t.Cleanup(func() { _ = h.Close() })
	s.Handler = h
	return s
}

// ServeHTTP resolves the ambiguity between the embedded handlers.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.Handler.ServeHTTP(w, r) }

// request is a navigation of the browser.
func (s *site) request(method, target string, changes ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest(method, target, http.NoBody)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for name, value := range s.jar {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for _, change := range changes {
		change(r)
	}
	return r
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// script makes the request one of a script of the page.
func script(r *http.Request) { header("Sec-Fetch-Mode", "cors")(r) }

// do makes a navigation and keeps its cookies. The responses of all endpoints are
// private.
func (s *site) do(method, target string, changes ...func(*http.Request)) *httptest.ResponseRecorder {
	s.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, s.request(method, target, changes...))
	if w.Header().Get("Cache-Control") != "no-store" {
		s.Errorf("%s %s: Cache-Control = %q, want no-store", method, target, w.Header().Get("Cache-Control"))
	}
	if got := w.Header().Get("Referrer-Policy"); got != "no-referrer" && !strings.Contains(target, "backchannel") {
		s.Errorf("%s %s: Referrer-Policy = %q, want no-referrer", method, target, got)
	}
	for _, c := range w.Result().Cookies() {
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || !strings.HasPrefix(c.Name, "__Host-Http-") {
			s.Errorf("cookie %v, want a __Host-Http- cookie with SameSite=Lax", c)
		}
		if s.jar[c.Name] = c.Value; c.Value == "" {
			delete(s.jar, c.Name)
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

// faulty is a store that calls before with the name of each method and, for Get and
// Delete, the ID, and fails if before does.
type faulty struct {
	session.Store
	before func(method, id string) error
}

func withFaults(before func(method, id string) error) func(*signin.Config) {
	return func(c *signin.Config) { c.Session.Store = faulty{c.Session.Store, before} }
}

// without makes methods of the store fail while down is true.
func without(down *bool, methods ...string) func(*signin.Config) {
	return withFaults(func(method, _ string) error {
		if *down && slices.Contains(methods, method) {
			return errors.New("down")
		}
		return nil
	})
}

func (f faulty) Create(ctx context.Context, r session.Record, lifetime time.Duration) (session.Record, error) {
	if err := f.before("Create", r.ID); err != nil {
		return session.Record{}, err
	}
	return f.Store.Create(ctx, r, lifetime)
}

func (f faulty) Get(ctx context.Context, id string) (session.Record, error) {
	if err := f.before("Get", id); err != nil {
		return session.Record{}, err
	}
	return f.Store.Get(ctx, id)
}

func (f faulty) List(ctx context.Context, s session.Selector, limit int) ([]session.Record, error) {
	if err := f.before("List", ""); err != nil {
		return nil, err
	}
	return f.Store.List(ctx, s, limit)
}

func (f faulty) Delete(ctx context.Context, id string) error {
	if err := f.before("Delete", id); err != nil {
		return err
	}
	return f.Store.Delete(ctx, id)
}

func (f faulty) DeleteAll(ctx context.Context, s session.Selector) (int, error) {
	if err := f.before("DeleteAll", ""); err != nil {
		return 0, err
	}
	return f.Store.DeleteAll(ctx, s)
}
