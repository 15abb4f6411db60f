// SPDX-License-Identifier: Apache-2.0

package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
	"github.com/gatehouse-go/gatehouse/session"
)

const (
	issuer     = "https://auth.example"
	cookieName = "__Host-Http-session"
)

var errDown = errors.New("the store is down")

// faulty is a store that counts the calls and fails on demand.
type faulty struct {
	session.Store
	mu    sync.Mutex
	calls map[string]int
	fail  hook // before a call, nil for none
	after hook // after a call that succeeds, nil for none
}

// hook is called without a lock. call is 1 for the first one of a method.
type hook = func(method string, call int) error

func call[T any](f *faulty, method string, do func() (T, error)) (T, error) {
	f.mu.Lock()
	if f.calls == nil {
		f.calls = make(map[string]int)
	}
	f.calls[method]++
	n, fail := f.calls[method], f.fail
	f.mu.Unlock()
	var value T
	var err error
	if fail != nil {
		err = fail(method, n)
	}
	if err == nil {
		value, err = do()
	}
	if err == nil && f.after != nil {
		err = f.after(method, n)
	}
	if err != nil {
		return *new(T), fmt.Errorf("store: %w", err)
	}
	return value, nil
}

func (f *faulty) count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

// set replaces fail.
func (f *faulty) set(fail hook) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fail
}

// down lets the methods fail, all if none is named.
func (f *faulty) down(methods ...string) {
	f.set(func(method string, _ int) error {
		if len(methods) == 0 || slices.Contains(methods, method) {
			return errDown
		}
		return nil
	})
}

func (f *faulty) up() { f.set(nil) }

// once lets one call of a method fail.
func (f *faulty) once(method string, n int, err error) {
	f.set(func(m string, call int) error {
		if m == method && call == n {
			return err
		}
		return nil
	})
}

func (f *faulty) Create(ctx context.Context, r session.Record, d time.Duration) (session.Record, error) {
	return call(f, "Create", func() (session.Record, error) { return f.Store.Create(ctx, r, d) })
}

func (f *faulty) Get(ctx context.Context, id string) (session.Record, error) {
	return call(f, "Get", func() (session.Record, error) { return f.Store.Get(ctx, id) })
}

func (f *faulty) Swap(ctx context.Context, id string, version int64, c session.Change) (session.Record, error) {
	return call(f, "Swap", func() (session.Record, error) { return f.Store.Swap(ctx, id, version, c) })
}

func (f *faulty) Touch(ctx context.Context, id string, every time.Duration) (bool, error) {
	return call(f, "Touch", func() (bool, error) { return f.Store.Touch(ctx, id, every) })
}

func (f *faulty) Delete(ctx context.Context, id string) error {
	_, err := call(f, "Delete", func() (any, error) { return nil, f.Store.Delete(ctx, id) })
	return err
}

func (f *faulty) DeleteAll(ctx context.Context, s session.Selector) (int, error) {
	return call(f, "DeleteAll", func() (int, error) { return f.Store.DeleteAll(ctx, s) })
}

func (f *faulty) List(ctx context.Context, s session.Selector, limit int) ([]session.Record, error) {
	return call(f, "List", func() ([]session.Record, error) { return f.Store.List(ctx, s, limit) })
}

// recorder is an observer.
type recorder struct {
	mu     sync.Mutex
	events []gatehouse.Event
	err    error
	fail   gatehouse.EventType // the type for which err is returned, "" for all
}

func (r *recorder) Observe(ctx context.Context, e gatehouse.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if e.Duration < 0 || e.Duration > time.Hour {
		return fmt.Errorf("%s took %v", e.Type, e.Duration)
	}
	if warns := e.Level != slog.LevelInfo; warns != (e.Type == session.EventSignedOut || e.Type == session.EventRefreshLost || e.Reason != "") {
		return fmt.Errorf("%s has the level %v", e.Type, e.Level)
	}
	r.events = append(r.events, e)
	if r.fail != "" && r.fail != e.Type {
		return nil
	}
	return r.err
}

func (r *recorder) types() (types []gatehouse.EventType) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		types = append(types, e.Type)
	}
	return types
}

func (r *recorder) last() gatehouse.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[len(r.events)-1]
}

// fails lets the observer fail for one type of event.
func (r *recorder) fails(t gatehouse.EventType) { r.err, r.fail = errDown, t }

// attr returns an attribute of an event.
func attr(e gatehouse.Event, key string) string {
	for _, a := range e.Attrs {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

func ring() *cookie.Keyring {
	return must(cookie.NewKeyring(gatehouse.NewSecret(bytes.Repeat([]byte("k"), 32))))
}

// app is a server with sessions behind a gate.
type app struct {
	*session.Manager
	store   *faulty
	events  *recorder
	refused []gatehouse.Event
	handler http.Handler
}

// newApp returns an app. It completes the configuration with a store, keys and an
// observer.
func newApp(t testing.TB, config session.Config) *app {
	t.Helper()
	a := &app{events: new(recorder)}
	switch store := config.Store.(type) {
	case nil:
		a.store = &faulty{Store: session.NewMemory(0)}
	case *faulty:
		a.store = store
	default:
		a.store = &faulty{Store: store}
	}
	config.Store = a.store
	if config.Keys == nil {
		config.Keys = ring()
	}
	if config.Observer == nil {
		config.Observer = a.events
	}
	var err error
	if a.Manager, err = session.New(config); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{a.Manager},
		Realm:          "test",
		LoginURL:       "/login",
		Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			if e.Decision != gatehouse.Allowed {
				a.refused = append(a.refused, e)
			}
			return nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	inside := http.NewServeMux()
	inside.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		fmt.Fprint(w, p.Subject)
	})
	inside.HandleFunc("POST /admin", func(w http.ResponseWriter, r *http.Request) {
		p, _ := gatehouse.FromContext(r.Context())
		p.Roles, _ = gatehouse.NewRoles("admin")
		answer(w, r, a.Renew(w, r, p))
	})
	inside.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) {
		tokens, err := a.Tokens(r.Context())
		if err != nil {
			p, _ := gatehouse.FromContext(r.Context())
			if e, ok := errors.AsType[*gatehouse.Error](err); !ok || e.Credential != p.Credential {
				t.Errorf("Tokens error = %#v, want one with the ID of the session", err)
			}
			gatehouse.Refuse(w, r, err)
			return
		}
		// See tokens: those with an odd number are bound to a key.
		if text := tokens.Access.Reveal(); bytes.HasPrefix(text, []byte("access-")) && tokens.DPoP != (text[len(text)-1]%2 == 1) {
			t.Errorf("tokens %s have DPoP = %v, want that of the login", text, tokens.DPoP)
		}
		_, _ = w.Write(tokens.Access.Reveal())
	})
	inside.Handle("POST /strict", session.RequireUser(http.NotFoundHandler()))
	root := http.NewServeMux()
	root.Handle("/", gate.Handler(inside))
	root.HandleFunc("POST /logout", func(w http.ResponseWriter, r *http.Request) {
		_, err := a.End(w, r)
		answer(w, r, err)
	})
	a.handler = root
	return a
}

func answer(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		gatehouse.Refuse(w, r, err)
	}
}

func person(subject string) session.Login {
	scopes, _ := gatehouse.NewScopes("notes:read", "notes:write")
	claims, _ := gatehouse.NewClaims(`{"email":"` + subject + `@example.com"}`)
	return session.Login{
		Principal: gatehouse.Principal{
			Subject: subject, Issuer: issuer, Tenant: "acme", Client: "web", Scopes: scopes, Claims: claims,
			AuthTime: time.Unix(1_700_000_000, 0).UTC(),
		},
		SID: "sid-" + subject, Label: "Firefox on Linux",
	}
}

func withTokens(l session.Login, n int, life time.Duration) session.Login {
	l.Tokens = tokens(n, life)
	return l
}

func tokens(n int, life time.Duration) session.Tokens {
	return session.Tokens{
		Access:  gatehouse.NewSecret(fmt.Appendf(nil, "access-%d", n)),
		Refresh: gatehouse.NewSecret(fmt.Appendf(nil, "refresh-%d", n)),
		DPoP:    n%2 == 1,
		ID:      gatehouse.NewSecret([]byte("header.id.signature")),
		Expires: time.Now().Add(life),
	}
}

// login starts a session and returns the value of the cookie.
func (a *app) login(t testing.TB, l session.Login, changes ...func(*http.Request)) string {
	t.Helper()
	w := httptest.NewRecorder()
	succeeds(t, a.Start(w, request(http.MethodPost, "/login", changes...), l))
	return cookieOf(t, w.Header())
}

func cookieOf(t testing.TB, h http.Header) string {
	t.Helper()
	for _, line := range h["Set-Cookie"] {
		if c, err := http.ParseSetCookie(line); err == nil && c.Name == cookieName {
			return c.Value
		}
	}
	t.Fatalf("no cookie in %v", h)
	return ""
}

// request returns a request of a script of the same origin.
func request(method, target string, changes ...func(*http.Request)) *http.Request {
	r := httptest.NewRequest(method, target, http.NoBody)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Sec-Fetch-Mode", "cors")
	for _, change := range changes {
		change(r)
	}
	return r
}

func with(secret string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add("Cookie", cookieName+"="+secret) }
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		if value == "" {
			r.Header.Del(name)
			return
		}
		r.Header.Set(name, value)
	}
}

func navigation(r *http.Request) {
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
}

func (a *app) do(method, target string, changes ...func(*http.Request)) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	a.handler.ServeHTTP(w, request(method, target, changes...))
	return w
}

// status checks the status of a request with a cookie.
func (a *app) status(t testing.TB, secret string, want int) {
	t.Helper()
	if w := a.do(http.MethodGet, "/", with(secret)); w.Code != want {
		t.Errorf("GET /: status %d, want %d: %s", w.Code, want, w.Body)
	}
}

// reason returns the reason of the last request that the gate rejected.
func (a *app) reason() gatehouse.Reason {
	if len(a.refused) == 0 {
		return ""
	}
	return a.refused[len(a.refused)-1].Reason
}

// principal returns the principal of a session.
func (a *app) principal(t testing.TB, secret string) gatehouse.Principal {
	t.Helper()
	return must(a.Authenticate(request(http.MethodGet, "/", with(secret)))).Principal()
}

// force changes a stored session, as a process does that does not know of a claim.
func (a *app) force(t testing.TB, id string, change func(*session.Change)) {
	t.Helper()
	r := must(a.store.Store.Get(t.Context(), id))
	c := session.Change{ID: id, Principal: r.Principal, Tokens: r.Tokens}
	change(&c)
	must(a.store.Store.Swap(t.Context(), id, r.Version, c))
}

// expectError checks the code and the reason of an error. An empty reason is any
// error.
func expectError(t testing.TB, name string, err error, status int, reason gatehouse.Reason) {
	t.Helper()
	e, _ := errors.AsType[*gatehouse.Error](err)
	if err == nil || reason != "" && (e == nil || e.Reason != reason || e.Code.Status() != status) {
		t.Errorf("%s: error = %v, want %d %s", name, err, status, reason)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// succeeds ends the test with an error that is not expected.
func succeeds(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
