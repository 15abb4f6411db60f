// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

const (
	day    = 24 * time.Hour
	issuer = "keys of acme"
)

// unknownID has the format of an ID and does not exist.
const unknownID = "0123456789abcdef"

// must returns a function that returns value, or ends the test if err is not nil.
func must[T any](value T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatalf("unexpected error: %v", err)
		}
		return value
	}
}

// faultStore is a memory store that counts its calls, and can fail and change
// them.
type faultStore struct {
	*apikey.Memory
	mu     sync.Mutex
	calls  map[string]int
	errs   map[string]error                            // by verb, instead of the call
	before map[string]func(ctx context.Context)        // by verb, before the call
	found  func(ctx context.Context, r *apikey.Record) // after Find has read r
}

func newFaultStore(memory *apikey.Memory) *faultStore {
	return &faultStore{Memory: memory, calls: make(map[string]int), errs: make(map[string]error), before: make(map[string]func(context.Context))}
}

func (f *faultStore) count(verb string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[verb]
}

// fail makes the calls of these verbs fail, all without verbs; nil repairs them.
func (f *faultStore) fail(err error, verbs ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(verbs) == 0 {
		verbs = []string{"Create", "Find", "Rotate", "Revoke", "RevokeAll", "Suspend", "Touch", "List", "Delete"}
	}
	for _, verb := range verbs {
		f.errs[verb] = err
	}
}

func call[T any](ctx context.Context, f *faultStore, verb string, do func() (T, error)) (T, error) {
	f.mu.Lock()
	f.calls[verb]++
	before, err := f.before[verb], f.errs[verb]
	f.mu.Unlock()
	if before != nil {
		before(ctx)
	}
	if err != nil {
		return *new(T), err
	}
	value, err := do()
	if err != nil {
		err = fmt.Errorf("store: %w", err)
	}
	return value, err
}

func (f *faultStore) Create(ctx context.Context, r apikey.Record) (apikey.Record, error) {
	return call(ctx, f, "Create", func() (apikey.Record, error) { return f.Memory.Create(ctx, r) })
}

func (f *faultStore) Find(ctx context.Context, id string) (apikey.Record, error) {
	r, err := call(ctx, f, "Find", func() (apikey.Record, error) { return f.Memory.Find(ctx, id) })
	if f.found != nil {
		f.found(ctx, &r)
	}
	return r, err
}

func (f *faultStore) Rotate(ctx context.Context, id string, r apikey.Rotation) (apikey.Record, error) {
	return call(ctx, f, "Rotate", func() (apikey.Record, error) { return f.Memory.Rotate(ctx, id, r) })
}

func (f *faultStore) Revoke(ctx context.Context, id string) (apikey.Record, error) {
	return call(ctx, f, "Revoke", func() (apikey.Record, error) { return f.Memory.Revoke(ctx, id) })
}

func (f *faultStore) RevokeAll(ctx context.Context, filter apikey.Filter, limit int) ([]apikey.Record, error) {
	return call(ctx, f, "RevokeAll", func() ([]apikey.Record, error) { return f.Memory.RevokeAll(ctx, filter, limit) })
}

func (f *faultStore) Suspend(ctx context.Context, id string, on bool) (apikey.Record, error) {
	return call(ctx, f, "Suspend", func() (apikey.Record, error) { return f.Memory.Suspend(ctx, id, on) })
}

func (f *faultStore) Touch(ctx context.Context, id string, uses int64, every time.Duration) (bool, error) {
	return call(ctx, f, "Touch", func() (bool, error) { return f.Memory.Touch(ctx, id, uses, every) })
}

func (f *faultStore) Delete(ctx context.Context, id string) error {
	_, err := call(ctx, f, "Delete", func() (any, error) { return nil, f.Memory.Delete(ctx, id) })
	return err
}

func (f *faultStore) List(ctx context.Context, q apikey.Query) ([]apikey.Record, error) {
	return call(ctx, f, "List", func() ([]apikey.Record, error) { return f.Memory.List(ctx, q) })
}

// recorder is an observer that records events, and fails with err.
type recorder struct {
	mu     sync.Mutex
	events []gatehouse.Event
	err    error
}

func (r *recorder) Observe(ctx context.Context, e gatehouse.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	r.events = append(r.events, e)
	return r.err
}

// take returns the events since the last call.
func (r *recorder) take() []gatehouse.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
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

// fixture is Keys with its store and its observer.
type fixture struct {
	*apikey.Keys
	store  *faultStore
	events *recorder
}

// newKeys returns Keys; alter, if not nil, changes the configuration.
func newKeys(t testing.TB, alter func(*apikey.Config)) fixture {
	t.Helper()
	f := fixture{store: newFaultStore(apikey.NewMemory(0)), events: new(recorder)}
	config := apikey.Config{
		Store: f.store, Prefix: "acme", Issuer: issuer, Scopes: []string{"reports:read", "reports:write"}, Observer: f.events,
	}
	if alter != nil {
		alter(&config)
	}
	f.Keys = must(apikey.New(config))(t)
	return f
}

type namedCall struct {
	name string
	call func() (any, error)
}

// calls are calls of all methods that need the store. Text is the text of a key.
func (f fixture) calls(ctx context.Context, id, text string) []namedCall {
	return []namedCall{
		{"Create", func() (any, error) { return f.Create(ctx, request()) }},
		{"Describe", func() (any, error) { return f.Describe(ctx, id) }},
		{"List", func() (any, error) { return f.List(ctx, apikey.Query{Filter: apikey.Filter{AnyTenant: true}}, "") }},
		{"Rotate", func() (any, error) { return f.Rotate(ctx, id, 0, 0) }},
		{"Suspend", func() (any, error) { return f.Suspend(ctx, id) }},
		{"Resume", func() (any, error) { return f.Resume(ctx, id) }},
		{"Revoke", func() (any, error) { return f.Revoke(ctx, id) }},
		{"RevokeLeaked", func() (any, error) { return f.RevokeLeaked(ctx, text) }},
		{"RevokeAll", func() (any, error) { return f.RevokeAll(ctx, apikey.Filter{Tenant: "t1"}) }},
		{"Delete", func() (any, error) { return nil, f.Delete(ctx, id) }},
	}
}

// request is a valid request for a key.
func request() apikey.Request {
	return apikey.Request{Owner: "ci", Tenant: "t1", Scopes: []string{"reports:read"}, Lifetime: 30 * day}
}

// create creates a key and returns it with its text.
func (f fixture) create(t testing.TB, r apikey.Request) (apikey.Key, string) {
	t.Helper()
	issued := must(f.Create(t.Context(), r))(t)
	return issued.Key, string(issued.Secret.Reveal())
}

func (f fixture) rotate(t testing.TB, id string, grace time.Duration) (apikey.Key, string) {
	t.Helper()
	issued := must(f.Rotate(t.Context(), id, grace, 0))(t)
	return issued.Key, string(issued.Secret.Reveal())
}

// get returns a request with a key in X-API-Key.
func get(text string) *http.Request {
	r := httptest.NewRequest("GET", "/reports", nil)
	r.Header.Set("X-API-Key", text)
	return r
}

// authorization returns a request with a header Authorization.
func authorization(value string) *http.Request {
	r := httptest.NewRequest("GET", "/reports", nil)
	r.Header.Set("Authorization", value)
	return r
}

// from is get for a client address.
func from(text, addr string) *http.Request {
	r := get(text)
	r.RemoteAddr = addr
	return r
}

// inEachPlace returns requests with a key in each place in which it can be.
func inEachPlace(text string) map[string]*http.Request {
	return map[string]*http.Request{"X-API-Key": get(text), "Bearer": authorization("Bearer " + text), "ApiKey": authorization("ApiKey " + text)}
}

// response is the response of a gate to a request.
type response struct {
	*httptest.ResponseRecorder
	principal gatehouse.Principal
	event     gatehouse.Event
	header    http.Header // of the request that the handler got
}

// send sends a request through a gate.
func send(t testing.TB, r *http.Request, authenticators ...gatehouse.Authenticator) response {
	t.Helper()
	got, events := response{ResponseRecorder: httptest.NewRecorder()}, 0
	gate := must(gatehouse.New(gatehouse.Config{
		Authenticators: authenticators, Realm: "acme",
		Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
			events++
			got.event = e
			return nil
		}),
	}))(t)
	gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got.principal, _ = gatehouse.FromContext(r.Context())
		got.header = r.Header
	})).ServeHTTP(got, r)
	if events != 1 {
		t.Errorf("the gate reported %d events, want 1", events)
	}
	return got
}

// wantReason sends a key and checks the reason of its rejection, "" if it must be
// accepted.
func (f fixture) wantReason(t testing.TB, text string, want gatehouse.Reason) {
	t.Helper()
	f.wantReasonOf(t, get(text), want)
}

func (f fixture) wantReasonOf(t testing.TB, r *http.Request, want gatehouse.Reason) response {
	t.Helper()
	got := send(t, r, f.Keys)
	if got.event.Reason != want || (got.Code == 200) != (want == "") {
		t.Errorf("request from %s: status %d, reason %q, want %q", r.RemoteAddr, got.Code, got.event.Reason, want)
	}
	return got
}

// wantEvents checks the types of the events since the last call, and returns the
// events.
func (f fixture) wantEvents(t testing.TB, want ...gatehouse.EventType) []gatehouse.Event {
	t.Helper()
	events := f.events.take()
	var got []gatehouse.EventType
	changes := []gatehouse.EventType{
		apikey.EventCreated, apikey.EventRotated, apikey.EventRevoked, apikey.EventSuspended, apikey.EventResumed, apikey.EventDeleted,
	}
	for _, e := range events {
		got = append(got, e.Type)
		if (e.Level == slog.LevelInfo) != slices.Contains(changes, e.Type) {
			t.Errorf("%s has the level %v", e.Type, e.Level)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("events = %q, want %q", got, want)
	}
	return events
}

// wantCalls checks how often the store was called.
func (f fixture) wantCalls(t testing.TB, verb string, want int) {
	t.Helper()
	if got := f.store.count(verb); got != want {
		t.Errorf("%d calls of %s, want %d", got, verb, want)
	}
}

// withSecret returns a well-formed key with the ID of one key and the secret of
// another.
func withSecret(text, other string) string {
	parts, others := strings.Split(text, "_"), strings.Split(other, "_")
	body := strings.Join(parts[:3], "_") + "_" + others[3][:43]
	return body + checksum(body)
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func claims(t testing.TB, text string) gatehouse.Claims {
	t.Helper()
	return must(gatehouse.NewClaims(text))(t)
}

func pepper(version uint32, fill byte) apikey.Pepper {
	return apikey.Pepper{Version: version, Secret: gatehouse.NewSecret([]byte(strings.Repeat(string(rune(fill)), 32)))}
}

// advance lets time pass in a bubble of synctest.
func advance(d time.Duration) { <-time.After(d) }
