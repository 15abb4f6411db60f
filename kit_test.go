// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// bearer is an authenticator that knows its tokens by heart. What it does not
// know it refuses, and leaves to the others what mine says is not its own.
type bearer struct {
	tokens map[string]*gatehouse.Principal
	mine   func(token string) bool
}

func (b bearer) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	token, err := gatehouse.Authorization(r, "Bearer")
	if err != nil {
		return gatehouse.Proof{}, err
	}
	if b.mine != nil && !b.mine(token) {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	p, ok := b.tokens[token]
	if !ok {
		return gatehouse.Proof{}, &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonTokenSignature}
	}
	return gatehouse.Proof{Principal: p, Source: gatehouse.SourceHeader, Name: "Authorization"}, nil
}

func (bearer) Challenge() gatehouse.Challenge { return gatehouse.Challenge{Scheme: "Bearer"} }

// xAPIKey is an authenticator for one key in X-API-Key.
type xAPIKey struct{ key string }

func (k xAPIKey) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	switch r.Header.Get("X-API-Key") {
	case "":
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	case k.key:
		return gatehouse.Proof{Principal: machine(), Source: gatehouse.SourceHeader, Name: "X-API-Key"}, nil
	}
	return gatehouse.Proof{}, &gatehouse.Error{Code: gatehouse.CodeInvalidAPIKey}
}

func (xAPIKey) Challenge() gatehouse.Challenge { return gatehouse.Challenge{Scheme: "ApiKey"} }

// sloppyCookie is an authenticator for one cookie value. It is as sloppy as a third
// party's may be: it does not look for an explicit credential itself.
type sloppyCookie struct{ cookie, value string }

func (s sloppyCookie) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	cookie, err := r.Cookie(s.cookie)
	if err != nil || cookie.Value != s.value {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	p := person()
	p.Method, p.Subject = gatehouse.MethodSession, s.cookie
	return gatehouse.Proof{Principal: p, Source: gatehouse.SourceCookie, Name: s.cookie}, nil
}

func (s sloppyCookie) CookieNames() []string { return []string{s.cookie} }

// connection is an authenticator for whatever comes over TLS.
var connection = gatehouse.AuthenticatorFunc(func(r *http.Request) (gatehouse.Proof, error) {
	if r.TLS == nil {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	p := machine()
	p.Method, p.Subject = gatehouse.MethodMTLS, "connection"
	return gatehouse.Proof{Principal: p, Source: gatehouse.SourceConnection}, nil
})

// refuse is an authenticator that always says err.
func refuse(err error) gatehouse.Authenticator {
	return gatehouse.AuthenticatorFunc(func(*http.Request) (gatehouse.Proof, error) { return gatehouse.Proof{}, err })
}

// admit is an authenticator that always lets p in.
func admit(p *gatehouse.Principal) gatehouse.Authenticator {
	return gatehouse.AuthenticatorFunc(func(*http.Request) (gatehouse.Proof, error) {
		return gatehouse.Proof{Principal: p, Source: gatehouse.SourceHeader, Name: "Authorization"}, nil
	})
}

func person() *gatehouse.Principal {
	return &gatehouse.Principal{
		Kind: gatehouse.KindUser, Subject: "ada", Issuer: "https://auth.example.com", Tenant: "acme",
		Client: "web", Method: gatehouse.MethodJWT, Credential: "jti-1",
		Scopes: scopeSet("reports:read"), Roles: roleSet("editor"),
		Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

func machine() *gatehouse.Principal {
	return &gatehouse.Principal{Kind: gatehouse.KindService, Subject: "ci", Method: gatehouse.MethodAPIKey, Credential: "key-1"}
}

func scopeSet(tokens ...string) gatehouse.Scopes {
	s, err := gatehouse.NewScopes(tokens...)
	if err != nil {
		panic(err)
	}
	return s
}

func roleSet(names ...string) gatehouse.Roles {
	r, err := gatehouse.NewRoles(names...)
	if err != nil {
		panic(err)
	}
	return r
}

// newGate makes a gate with the realm "acme".
func newGate(t testing.TB, config gatehouse.Config) *gatehouse.Gate {
	t.Helper()
	if config.Realm == "" {
		config.Realm = "acme"
	}
	gate, err := gatehouse.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return gate
}

// gateOf makes a gate of authenticators alone.
func gateOf(t testing.TB, authenticators ...gatehouse.Authenticator) *gatehouse.Gate {
	t.Helper()
	return newGate(t, gatehouse.Config{Authenticators: authenticators})
}

// request makes a GET of /reports with headers given as name, value, name, …
func request(headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://api.example.com/reports", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func overTLS(r *http.Request) *http.Request {
	r.TLS = &tls.ConnectionState{}
	return r
}

// answer is a response, with the request that the handler saw, nil if it saw
// none.
type answer struct {
	status int
	header http.Header
	body   string
	seen   *http.Request
}

// send has the gate answer r.
func send(gate *gatehouse.Gate, r *http.Request) answer {
	return sendThrough(gate.Handler, r)
}

// sendThrough has a handler behind wrap answer r.
func sendThrough(wrap func(http.Handler) http.Handler, r *http.Request) answer {
	var a answer
	w := httptest.NewRecorder()
	wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.seen = r
		_, _ = io.WriteString(w, "in")
	})).ServeHTTP(w, r)
	a.status, a.header, a.body = w.Code, w.Header(), w.Body.String()
	return a
}

// caller is the subject that the handler saw, "" if the request did not get
// there.
func (a answer) caller() string {
	if a.seen == nil {
		return ""
	}
	p, _ := gatehouse.FromContext(a.seen.Context())
	return p.Subject
}

// check compares status and error code, and that the handler was reached only
// if the status is 200.
func (a answer) check(t *testing.T, status int, code gatehouse.Code) {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d, want %d; body %s", a.status, status, a.body)
	}
	if (a.seen != nil) != (status == http.StatusOK) {
		t.Errorf("handler reached: %v, with status %d", a.seen != nil, a.status)
	}
	if code != "" && !reflect.DeepEqual(a.code(t), code) {
		t.Errorf("error %q, want %q", a.code(t), code)
	}
}

// events is an observer that remembers.
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
		t.Errorf("duration %v", event.Duration)
	}
	event.Duration = 0
	return event
}

// mustPanic reports whether f panics with exactly this message.
func mustPanic(t *testing.T, message string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := recover(); got != message {
			t.Errorf("panic %v, want %q", got, message)
		}
	}()
	f()
}
