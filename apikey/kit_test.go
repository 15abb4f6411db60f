// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

const day = 24 * time.Hour

// counting is a memory store that counts its calls, and breaks when told to.
type counting struct {
	*apikey.Memory
	mu     sync.Mutex
	calls  map[string]int
	broken map[string]error
	// before, if set, runs before each call.
	before func(verb string)
}

func newCounting() *counting {
	return &counting{Memory: apikey.NewMemory(0), calls: make(map[string]int), broken: make(map[string]error)}
}

func (c *counting) called(verb string) error {
	c.mu.Lock()
	c.calls[verb]++
	before, err := c.before, c.broken[verb]
	c.mu.Unlock()
	if before != nil {
		before(verb)
	}
	return err
}

func (c *counting) count(verb string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[verb]
}

func (c *counting) breakAll(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, verb := range []string{"create", "find", "rotate", "revoke", "revoke all", "suspend", "touch", "list"} {
		c.broken[verb] = err
	}
}

func (c *counting) Create(ctx context.Context, r apikey.Record) (apikey.Record, error) {
	if err := c.called("create"); err != nil {
		return apikey.Record{}, err
	}
	return c.Memory.Create(ctx, r)
}

func (c *counting) Find(ctx context.Context, id string) (apikey.Record, error) {
	if err := c.called("find"); err != nil {
		return apikey.Record{}, err
	}
	return c.Memory.Find(ctx, id)
}

func (c *counting) Rotate(ctx context.Context, id string, r apikey.Rotation) (apikey.Record, error) {
	if err := c.called("rotate"); err != nil {
		return apikey.Record{}, err
	}
	return c.Memory.Rotate(ctx, id, r)
}

func (c *counting) Revoke(ctx context.Context, id string) (apikey.Record, error) {
	if err := c.called("revoke"); err != nil {
		return apikey.Record{}, err
	}
	return c.Memory.Revoke(ctx, id)
}

func (c *counting) RevokeAll(ctx context.Context, f apikey.Filter, limit int) ([]apikey.Record, error) {
	if err := c.called("revoke all"); err != nil {
		return nil, err
	}
	return c.Memory.RevokeAll(ctx, f, limit)
}

func (c *counting) Suspend(ctx context.Context, id string, on bool) (apikey.Record, error) {
	if err := c.called("suspend"); err != nil {
		return apikey.Record{}, err
	}
	return c.Memory.Suspend(ctx, id, on)
}

func (c *counting) Touch(ctx context.Context, id string, uses int64, every time.Duration) (bool, error) {
	if err := c.called("touch"); err != nil {
		return false, err
	}
	return c.Memory.Touch(ctx, id, uses, every)
}

func (c *counting) List(ctx context.Context, q apikey.Query) ([]apikey.Record, error) {
	if err := c.called("list"); err != nil {
		return nil, err
	}
	return c.Memory.List(ctx, q)
}

// heard keeps the events that it is told.
type heard struct {
	mu     sync.Mutex
	events []gatehouse.Event
	err    error
}

func (h *heard) Observe(_ context.Context, e gatehouse.Event) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.events = append(h.events, e)
	return h.err
}

func (h *heard) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

// take returns the types of the events since the last time.
func (h *heard) take() []gatehouse.EventType {
	h.mu.Lock()
	defer h.mu.Unlock()
	var types []gatehouse.EventType
	for _, e := range h.events {
		types = append(types, e.Type)
	}
	h.events = nil
	return types
}

func (h *heard) last() gatehouse.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.events[len(h.events)-1]
}

// attr returns an attribute of an event as text, "" if it is absent.
func attr(e gatehouse.Event, key string) string {
	for _, a := range e.Attrs {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

// bench is Keys with all around them that a test wants to look at.
type bench struct {
	*apikey.Keys
	store  *counting
	events *heard
}

// setUp makes Keys; alter changes the configuration before.
func setUp(t testing.TB, alter func(*apikey.Config)) bench {
	t.Helper()
	b := bench{store: newCounting(), events: new(heard)}
	config := apikey.Config{
		Store: b.store, Prefix: "acme", Scopes: []string{"reports:read", "reports:write"}, Observer: b.events,
	}
	if alter != nil {
		alter(&config)
	}
	var err error
	if b.Keys, err = apikey.New(config); err != nil {
		t.Fatal(err)
	}
	return b
}

func order() apikey.Request {
	return apikey.Request{Owner: "ci", Tenant: "t1", Scopes: []string{"reports:read"}, Lifetime: 30 * day}
}

// issue makes a key and returns it with its text.
func (b bench) issue(t testing.TB, r apikey.Request) (apikey.Key, string) {
	t.Helper()
	issued, err := b.Create(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return issued.Key, string(issued.Secret.Reveal())
}

func (b bench) rotate(t testing.TB, id string, grace time.Duration) (apikey.Key, string) {
	t.Helper()
	issued, err := b.Rotate(t.Context(), id, grace, 0)
	if err != nil {
		t.Fatal(err)
	}
	return issued.Key, string(issued.Secret.Reveal())
}

// get is a request with a key.
func get(text string) *http.Request {
	r := httptest.NewRequest("GET", "/reports", nil)
	r.Header.Set("X-API-Key", text)
	return r
}

// decision is what a gate has made of a request.
type decision struct {
	*httptest.ResponseRecorder
	principal gatehouse.Principal
	event     gatehouse.Event
	header    http.Header // of the request that was handed on
}

// send sends a request through a gate.
func (b bench) send(t testing.TB, r *http.Request) decision {
	t.Helper()
	return through(t, r, b.Keys)
}

func through(t testing.TB, r *http.Request, authenticators ...gatehouse.Authenticator) decision {
	t.Helper()
	d := decision{ResponseRecorder: httptest.NewRecorder()}
	told := 0
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: authenticators, Realm: "acme",
		Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			told++
			d.event = e
			return nil
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		d.principal, _ = gatehouse.FromContext(r.Context())
		d.header = r.Header
	})).ServeHTTP(d, r)
	if told != 1 {
		t.Errorf("the observer was told %d times", told)
	}
	return d
}

// reason sends a key and returns why it is refused, "" if it is not.
func (b bench) reason(t testing.TB, text string) gatehouse.Reason {
	t.Helper()
	return b.send(t, get(text)).event.Reason
}

func (b bench) want(t testing.TB, text string, reason gatehouse.Reason) {
	t.Helper()
	if got := b.reason(t, text); got != reason {
		t.Errorf("reason %q, want %q", got, reason)
	}
}

func (b bench) wantEvents(t testing.TB, want ...gatehouse.EventType) {
	t.Helper()
	if got := b.events.take(); !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}

// withSecret returns a well-formed key with the id of one and the secret of
// another.
func withSecret(t testing.TB, text, other string) string {
	t.Helper()
	parts, others := strings.Split(text, "_"), strings.Split(other, "_")
	body := strings.Join(parts[:3], "_") + "_" + others[3][:43]
	return body + apikey.Checksum(body)
}

// pass lets time pass, which in a bubble of synctest takes none.
func pass(d time.Duration) { <-time.After(d) }
