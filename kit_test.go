// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
)

// Codes and reasons of authenticators and policies of these tests.
var (
	codeInvalidKey       = gatehouse.NewCode(403, "invalid_api_key", "The API key is not valid.")
	codeInvalidKeyScheme = gatehouse.NewCode(401, "invalid_api_key", "The API key is not valid.")
	codeApproval         = gatehouse.NewCode(403, "approval_required", "This operation requires approval.")
	codeStepUp           = gatehouse.NewCode(401, "insufficient_user_authentication", "A different authentication level is required.")
	codeBudget           = gatehouse.NewCode(429, "budget_exceeded", "The request exceeds its budget.")
)

const (
	reasonToken gatehouse.Reason = "test_token"
	reasonScope gatehouse.Reason = "test_scope"
)

type list = []gatehouse.Authenticator

// authenticator has its declaration and its answer as fields.
type authenticator struct {
	reads  gatehouse.Reads
	answer func(*http.Request) (gatehouse.Proof, error)
}

func (a authenticator) Reads() gatehouse.Reads { return a.reads }

func (a authenticator) Authenticate(r *http.Request) (gatehouse.Proof, error) { return a.answer(r) }

var (
	readsBearer = gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Bearer"}}}
	readsKey    = gatehouse.Reads{
		Schemes: []gatehouse.Scheme{{Name: "ApiKey", Invalid: codeInvalidKeyScheme}},
		Headers: []gatehouse.Header{{Name: "X-API-Key", Invalid: codeInvalidKey}},
	}
	readsConnection = gatehouse.Reads{Connection: true}
)

// bearer accepts the given tokens and rejects all others.
func bearer(tokens map[string]*gatehouse.Principal) gatehouse.Authenticator {
	return authenticator{readsBearer, func(r *http.Request) (gatehouse.Proof, error) {
		token, err := gatehouse.Authorization(r, "Bearer")
		if err != nil {
			return gatehouse.Proof{}, err
		}
		if p, ok := tokens[token]; ok {
			return gatehouse.NewProof(p), nil
		}
		return gatehouse.Proof{}, &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: reasonToken}
	}}
}

func goodToken() gatehouse.Authenticator {
	return bearer(map[string]*gatehouse.Principal{"good": user()})
}

// apiKey accepts one key in X-API-Key.
func apiKey(key string) gatehouse.Authenticator {
	return authenticator{readsKey, func(r *http.Request) (gatehouse.Proof, error) {
		switch r.Header.Get("X-API-Key") {
		case "":
			return gatehouse.Proof{}, gatehouse.ErrNoCredentials
		case key:
			return gatehouse.NewProof(service("ci")), nil
		}
		return gatehouse.Proof{}, &gatehouse.Error{Code: codeInvalidKey}
	}}
}

// cookie accepts one value of a cookie, and has no opinion on others.
func cookie(name, value string) gatehouse.Authenticator {
	return authenticator{gatehouse.Reads{Cookies: []string{name}}, func(r *http.Request) (gatehouse.Proof, error) {
		if c, err := r.Cookie(name); err != nil || c.Value != value {
			return gatehouse.Proof{}, gatehouse.ErrNoCredentials
		}
		return gatehouse.NewProof(service(name)), nil
	}}
}

// connection accepts each TLS connection.
func connection() gatehouse.Authenticator {
	return authenticator{readsConnection, func(r *http.Request) (gatehouse.Proof, error) {
		if r.TLS == nil {
			return gatehouse.Proof{}, gatehouse.ErrNoCredentials
		}
		return gatehouse.NewProof(service("connection")), nil
	}}
}

// rejects is an ambient authenticator that always returns err.
func rejects(err error) gatehouse.Authenticator {
	return authenticator{readsConnection, func(*http.Request) (gatehouse.Proof, error) { return gatehouse.Proof{}, err }}
}

// accepts is an ambient authenticator that always returns p.
func accepts(p *gatehouse.Principal) gatehouse.Authenticator {
	return acceptsWith(p, nil)
}

// acceptsWith is accepts with the header of the proof.
func acceptsWith(p *gatehouse.Principal, header http.Header) gatehouse.Authenticator {
	return authenticator{readsConnection, func(*http.Request) (gatehouse.Proof, error) {
		proof := gatehouse.NewProof(p)
		proof.Header = header
		return proof, nil
	}}
}

// explicitly gives an authenticator the declaration of a Bearer token.
func explicitly(a gatehouse.Authenticator) gatehouse.Authenticator {
	return authenticator{readsBearer, a.Authenticate}
}

func user() *gatehouse.Principal {
	return &gatehouse.Principal{
		Kind: gatehouse.KindUser, Subject: "ada", Issuer: "https://auth.example.com", Tenant: "acme",
		Client: "web", Method: "jwt", Credential: "jti-1",
		Scopes: scopeSet("reports:read"), Roles: roleSet("editor"),
		Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func service(subject string) *gatehouse.Principal {
	return &gatehouse.Principal{Kind: gatehouse.KindService, Subject: subject, Method: "api_key", Credential: "key-1"}
}

// otherFields returns a change of each field of a principal except those that are named.
func otherFields(except ...string) (changes []func(*gatehouse.Principal)) {
	for _, field := range reflect.VisibleFields(reflect.TypeFor[gatehouse.Principal]()) {
		if slices.Contains(except, field.Name) {
			continue
		}
		changes = append(changes, func(p *gatehouse.Principal) {
			v := reflect.ValueOf(p).Elem().FieldByIndex(field.Index)
			switch v.Interface().(type) {
			case time.Time:
				v.Set(reflect.ValueOf(time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)))
			case gatehouse.Actors:
				v.Set(reflect.ValueOf(gatehouse.NewActors(gatehouse.Actor{Subject: "other"})))
			default: // a kind of string
				v.SetString("other")
			}
		})
	}
	return changes
}

func scopeSet(tokens ...string) gatehouse.Scopes { return must(gatehouse.NewScopes(tokens...)) }

func roleSet(names ...string) gatehouse.Roles { return must(gatehouse.NewRoles(names...)) }

// allow and deny are policies.
var allow = gatehouse.Authenticated

func deny(err error) gatehouse.Policy {
	return gatehouse.PolicyFunc(func(*http.Request, gatehouse.Principal) error { return err })
}

// newGate makes a gate with the realm "acme".
func newGate(t testing.TB, config gatehouse.Config) *gatehouse.Gate {
	t.Helper()
	if config.Realm == "" {
		config.Realm = "acme"
	}
	gate, err := gatehouse.New(config)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return gate
}

func gateOf(t testing.TB, authenticators ...gatehouse.Authenticator) *gatehouse.Gate {
	t.Helper()
	return newGate(t, gatehouse.Config{Authenticators: authenticators})
}

// observed makes a gate that records its events.
func observed(t testing.TB, authenticators ...gatehouse.Authenticator) (*gatehouse.Gate, *events) {
	t.Helper()
	var seen events
	return newGate(t, gatehouse.Config{Authenticators: authenticators, Observer: &seen}), &seen
}

// request makes a GET of /reports with headers given as name, value, name, …
func request(headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://api.example.com/reports", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

// navigation makes a request of a browser that loads a page.
func navigation(headers ...string) *http.Request {
	r := request(append(headers, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")...)
	r.RequestURI = "/reports?page=2"
	return r
}

func overTLS(r *http.Request) *http.Request {
	r.TLS = &tls.ConnectionState{}
	return r
}

// answer is a response, with the request that the handler got, nil if it was
// not called.
type answer struct {
	*httptest.ResponseRecorder
	request *http.Request
}

// send has the gate answer r.
func send(gate *gatehouse.Gate, r *http.Request) answer { return sendThrough(gate.Handler, r) }

// sendThrough has a handler behind wrap answer r.
func sendThrough(wrap func(http.Handler) http.Handler, r *http.Request) answer {
	a := answer{ResponseRecorder: httptest.NewRecorder()}
	wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.request = r
		_, _ = io.WriteString(w, "in")
	})).ServeHTTP(a, r)
	return a
}

// behind wraps a handler in a gate with policies behind it.
func behind(gate *gatehouse.Gate, policies ...gatehouse.Policy) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return gate.Handler(gatehouse.Require(policies...)(next)) }
}

// caller returns the subject that the handler saw, "" if there is none.
func (a answer) caller() string {
	if a.request == nil {
		return ""
	}
	p, _ := gatehouse.FromContext(a.request.Context())
	return p.Subject
}

// check compares the status and the error code, "" for any, and that the handler was
// called only if the status is 200. Every challenge must be one of RFC 9110 without a
// parameter that occurs twice, and a 401 must have one.
func (a answer) check(t *testing.T, status int, code string) {
	t.Helper()
	if a.Code != status {
		t.Errorf("status = %d, want %d; body %s", a.Code, status, a.Body)
	}
	equal(t, "handler called", a.request != nil, status == http.StatusOK)
	if got := errorCode(t, a.Body.Bytes()); code != "" && got != code {
		t.Errorf("error = %q, want %q", got, code)
	}
	challenges := a.Header()["Www-Authenticate"]
	equal(t, "401 without a challenge", a.Code == 401 && len(challenges) == 0, false)
	for _, written := range challenges {
		challenge, err := parseChallenge(written)
		names := make(map[string]bool)
		for _, p := range challenge.Params {
			names[strings.ToLower(p.Name)] = true
		}
		if err != nil || !names["realm"] || len(names) != len(challenge.Params) {
			t.Errorf("challenge %s: %v; want one with a realm, and no parameter twice", written, err)
		}
	}
}

// events is an observer that records.
type events struct {
	all []gatehouse.Event
	err error
}

func (e *events) Observe(_ context.Context, event gatehouse.Event) error {
	e.all = append(e.all, event)
	return e.err
}

// only returns the one event that there must be, without its duration.
func (e *events) only(t *testing.T) gatehouse.Event {
	t.Helper()
	if len(e.all) != 1 {
		t.Fatalf("%d events, want 1: %+v", len(e.all), e.all)
	}
	event := e.all[0]
	if event.Duration < 0 || event.Duration > time.Minute {
		t.Errorf("Duration = %v", event.Duration)
	}
	event.Duration = 0
	return event
}

// diff compares with go-cmp. The immutable values compare with ==.
func diff(got, want any) string {
	return cmp.Diff(want, got, comparer[gatehouse.Principal](), comparer[gatehouse.Scopes](), comparer[gatehouse.Roles](),
		comparer[gatehouse.Claims](), comparer[gatehouse.Actors](), comparer[error]())
}

func comparer[T comparable]() cmp.Option { return cmp.Comparer(func(a, b T) bool { return a == b }) }

// equal fails the test if got and want differ.
func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if d := diff(got, want); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// mustPanic checks that f panics with exactly this message.
func mustPanic(t *testing.T, message string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		equal(t, "panic", recover(), any(message))
	}()
	f()
}
