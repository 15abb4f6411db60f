// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

func allow(*http.Request, gatehouse.Principal) error { return nil }

func deny(err error) gatehouse.Policy {
	return func(*http.Request, gatehouse.Principal) error { return err }
}

// behind wraps a handler in a gate with policies behind it.
func behind(gate *gatehouse.Gate, policies ...gatehouse.Policy) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return gate.Handler(gatehouse.Require(policies...)(next))
	}
}

func TestRequire(t *testing.T) {
	scope := &gatehouse.Error{Code: gatehouse.CodeInsufficientScope, Reason: gatehouse.ReasonScope, Scopes: scopeSet("a"), Cause: errors.New("why")}
	broken := &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: "store_down"}
	plain := errors.New("not on Sundays")
	for _, test := range []struct {
		name     string
		policies []gatehouse.Policy
		status   int
		code     gatehouse.Code
		decision gatehouse.Decision
		reason   gatehouse.Reason
		cause    error
	}{
		{"no policy", nil, 200, "", "", "", nil},
		{"one that allows", []gatehouse.Policy{allow}, 200, "", "", "", nil},
		{"all allow", []gatehouse.Policy{allow, allow, allow}, 200, "", "", "", nil},
		{"the first denies", []gatehouse.Policy{deny(scope), deny(plain), allow}, 403, gatehouse.CodeInsufficientScope, gatehouse.Denied, gatehouse.ReasonScope, scope.Cause},
		{"the last denies", []gatehouse.Policy{allow, allow, deny(plain)}, 403, gatehouse.CodeAccessDenied, gatehouse.Denied, gatehouse.ReasonPolicy, plain},
		{"an error around a refusal", []gatehouse.Policy{deny(fmt.Errorf("x: %w", scope))}, 403, gatehouse.CodeInsufficientScope, gatehouse.Denied, gatehouse.ReasonScope, scope.Cause},
		{"cannot tell", []gatehouse.Policy{deny(broken)}, 503, gatehouse.CodeTemporarilyUnavailable, gatehouse.Unavailable, "store_down", nil},
		{"a refusal without a code", []gatehouse.Policy{deny(&gatehouse.Error{})}, 503, gatehouse.CodeTemporarilyUnavailable, gatehouse.Unavailable, "", nil},
		{"a nil *Error is an error", []gatehouse.Policy{deny((*gatehouse.Error)(nil))}, 403, gatehouse.CodeAccessDenied, gatehouse.Denied, gatehouse.ReasonPolicy, (*gatehouse.Error)(nil)},
		{"no credentials is no answer of a policy", []gatehouse.Policy{deny(gatehouse.ErrNoCredentials)}, 403, gatehouse.CodeAccessDenied, gatehouse.Denied, gatehouse.ReasonPolicy, gatehouse.ErrNoCredentials},
	} {
		t.Run(test.name, func(t *testing.T) {
			var told events
			gate := newGate(t, gatehouse.Config{Authenticators: []gatehouse.Authenticator{admit(person())}, Observer: &told})
			a := sendThrough(behind(gate, test.policies...), request())
			a.check(t, test.status, "")
			if len(told.all) == 0 || told.all[0].Decision != gatehouse.Allowed {
				t.Fatalf("events %+v", told.all)
			}
			told.all = told.all[1:] // what the gate said
			if test.status == 200 {
				if len(told.all) != 0 {
					t.Errorf("events %+v", told.all)
				}
				return
			}
			a.check(t, test.status, test.code)
			event := told.only(t)
			want := gatehouse.Event{
				Decision: test.decision, Reason: test.reason, Code: test.code, Status: test.status,
				Principal: *person(), Issuer: person().Issuer, Credential: person().Credential,
				Method: "GET", Host: "api.example.com", Path: "/reports", Cause: test.cause,
			}
			if !reflect.DeepEqual(event, want) {
				t.Errorf("event\n%+v, want\n%+v", event, want)
			}
		})
	}
}

// Policies are asked in order, and none after the first that denies.
func TestRequireOrder(t *testing.T) {
	var asked []int
	policy := func(n int, err error) gatehouse.Policy {
		return func(r *http.Request, p gatehouse.Principal) error {
			asked = append(asked, n)
			if r.URL.Path != "/reports" || p.Subject != "ada" {
				t.Errorf("asked about %s of %s", r.URL.Path, p.Subject)
			}
			return err
		}
	}
	gate := gateOf(t, admit(person()))
	policies := []gatehouse.Policy{policy(1, nil), policy(2, errors.New("no")), policy(3, nil)}
	wrap := gatehouse.Require(policies...)
	policies[1] = allow // of no effect any more
	a := sendThrough(func(next http.Handler) http.Handler { return gate.Handler(wrap(next)) }, request())
	a.check(t, 403, gatehouse.CodeAccessDenied)
	if !reflect.DeepEqual(asked, []int{1, 2}) {
		t.Errorf("asked %v", asked)
	}
}

// A handler outside every gate is closed, whatever the request carries and
// whatever its policies say.
func TestRequireOutsideGate(t *testing.T) {
	for name, r := range map[string]*http.Request{
		"nobody":         request(),
		"a token":        request("Authorization", "Bearer good"),
		"nobody, by ctx": request().WithContext(gatehouse.NewContext(t.Context(), gatehouse.Principal{})),
		"no method":      request().WithContext(gatehouse.NewContext(t.Context(), gatehouse.Principal{Subject: "ada"})),
	} {
		for _, policies := range [][]gatehouse.Policy{nil, {allow}, {deny(errors.New("no"))}} {
			t.Run(name, func(t *testing.T) {
				a := sendThrough(gatehouse.Require(policies...), r)
				a.check(t, 401, gatehouse.CodeMissingCredentials)
				if got := a.header["Www-Authenticate"]; !reflect.DeepEqual(got, []string{`Bearer realm="gatehouse"`}) {
					t.Errorf("WWW-Authenticate %q", got)
				}
			})
		}
	}
}

// NewContext is enough for a handler's own tests.
func TestRequireWithContext(t *testing.T) {
	r := request().WithContext(gatehouse.NewContext(t.Context(), *person()))
	a := sendThrough(gatehouse.Require(allow), r)
	a.check(t, 200, "")
	if a.caller() != "ada" {
		t.Errorf("caller %q", a.caller())
	}
	a = sendThrough(gatehouse.Require(deny(&gatehouse.Error{Code: gatehouse.CodeInsufficientScope, Scopes: scopeSet("a")})), r)
	a.check(t, 403, gatehouse.CodeInsufficientScope)
	if got, want := a.header.Get("WWW-Authenticate"), `Bearer realm="gatehouse", error="insufficient_scope", error_description="The request requires higher privileges than the credential provides.", scope="a"`; got != want {
		t.Errorf("WWW-Authenticate %s, want %s", got, want)
	}
}

// A handler that replaces the principal, to act on behalf of another, stays
// with the realm and the observer of its gate.
func TestRequireBehindNewContext(t *testing.T) {
	var told events
	gate := newGate(t, gatehouse.Config{Authenticators: []gatehouse.Authenticator{admit(person())}, Observer: &told})
	a := sendThrough(func(next http.Handler) http.Handler {
		denied := gatehouse.Require(deny(&gatehouse.Error{Code: gatehouse.CodeInsufficientScope}))(next)
		return gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			denied.ServeHTTP(w, r.WithContext(gatehouse.NewContext(r.Context(), *machine())))
		}))
	}, request())
	a.check(t, 403, gatehouse.CodeInsufficientScope)
	if got := a.header.Get("WWW-Authenticate"); got[:len(`Bearer realm="acme"`)] != `Bearer realm="acme"` {
		t.Errorf("WWW-Authenticate %s", got)
	}
	if len(told.all) != 2 || told.all[1].Principal.Subject != "ci" || told.all[1].Credential != "key-1" {
		t.Errorf("events %+v", told.all)
	}
}

func TestRequireNil(t *testing.T) {
	mustPanic(t, "gatehouse: Require: nil policy", func() { gatehouse.Require(allow, nil) })
	mustPanic(t, "gatehouse: Require: nil handler", func() { gatehouse.Require()(nil) })
}

func TestRefuse(t *testing.T) {
	scope := &gatehouse.Error{Code: gatehouse.CodeInsufficientScope, Reason: gatehouse.ReasonScope, Scopes: scopeSet("a")}
	var told events
	gate := newGate(t, gatehouse.Config{Authenticators: []gatehouse.Authenticator{admit(person())}, Observer: &told})
	refuse := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { gatehouse.Refuse(w, r, scope) })

	inside := httptest.NewRecorder()
	gate.Handler(refuse).ServeHTTP(inside, request())
	if inside.Code != 403 || !strings.Contains(inside.Body.String(), `"insufficient_scope"`) ||
		!strings.Contains(inside.Header().Get("WWW-Authenticate"), `realm="acme"`) {
		t.Errorf("%d %v %s", inside.Code, inside.Header(), inside.Body)
	}
	if len(told.all) != 2 || told.all[1].Decision != gatehouse.Denied || told.all[1].Principal.Subject != person().Subject {
		t.Errorf("events %+v", told.all)
	}

	// Nobody is there to be told, and the answer is the same.
	outside := httptest.NewRecorder()
	refuse.ServeHTTP(outside, request())
	if outside.Code != 403 || outside.Body.String() != inside.Body.String() {
		t.Errorf("%d %s", outside.Code, outside.Body)
	}
}
