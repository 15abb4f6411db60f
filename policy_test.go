// SPDX-License-Identifier: Apache-2.0

package gatehouse_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Covers ASVS 5.0 §8.2.1.
func TestRequire(t *testing.T) {
	scope := &gatehouse.Error{Code: gatehouse.CodeInsufficientScope, Reason: reasonScope, Scopes: scopeSet("a"), Cause: errors.New("why")}
	down := &gatehouse.Error{Code: gatehouse.CodeTemporarilyUnavailable, Reason: "test_down"}
	plain := errors.New("not on Sundays")
	network := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("refused")}
	timeout, canceled := fmt.Errorf("query: %w", context.DeadlineExceeded), fmt.Errorf("query: %w", context.Canceled)
	var nilError *gatehouse.Error
	for _, test := range []struct {
		name     string
		policies []gatehouse.Policy
		status   int
		code     string
		decision gatehouse.Decision
		reason   gatehouse.Reason
		cause    error
	}{
		{"no policy", nil, 200, "", "", "", nil},
		{"all allow", []gatehouse.Policy{allow, allow, allow}, 200, "", "", "", nil},
		{"the first denies", []gatehouse.Policy{deny(scope), deny(plain), allow}, 403, "insufficient_scope", gatehouse.Denied, reasonScope, scope.Cause},
		{"the last denies", []gatehouse.Policy{allow, allow, deny(plain)}, 403, "access_denied", gatehouse.Denied, gatehouse.ReasonPolicyRefused, plain},
		{"wrapped refusal", []gatehouse.Policy{deny(fmt.Errorf("x: %w", scope))}, 403, "insufficient_scope", gatehouse.Denied, reasonScope, scope.Cause},
		{"unavailable", []gatehouse.Policy{deny(down)}, 503, "temporarily_unavailable", gatehouse.Unavailable, "test_down", nil},
		{"network error", []gatehouse.Policy{deny(network)}, 503, "temporarily_unavailable", gatehouse.Unavailable, gatehouse.ReasonPolicyFailed, network},
		{"deadline", []gatehouse.Policy{deny(timeout)}, 503, "temporarily_unavailable", gatehouse.Unavailable, gatehouse.ReasonPolicyFailed, timeout},
		{"canceled", []gatehouse.Policy{deny(canceled)}, 503, "temporarily_unavailable", gatehouse.Unavailable, gatehouse.ReasonPolicyFailed, canceled},
		{"refusal without a code", []gatehouse.Policy{deny(&gatehouse.Error{})}, 503, "temporarily_unavailable", gatehouse.Unavailable, "", nil},
		{"nil *Error is an error", []gatehouse.Policy{deny(nilError)}, 403, "access_denied", gatehouse.Denied, gatehouse.ReasonPolicyRefused, nilError},
		{"ErrNoCredentials is a plain error", []gatehouse.Policy{deny(gatehouse.ErrNoCredentials)}, 403, "access_denied", gatehouse.Denied, gatehouse.ReasonPolicyRefused, gatehouse.ErrNoCredentials},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate, seen := observed(t, accepts(user()))
			sendThrough(behind(gate, test.policies...), request()).check(t, test.status, test.code)
			if len(seen.all) == 0 || seen.all[0].Decision != gatehouse.Allowed {
				t.Fatalf("events = %+v, want the first to be the one of the gate", seen.all)
			}
			seen.all = seen.all[1:]
			if test.status == 200 {
				equal(t, "further events", len(seen.all), 0)
				return
			}
			want := gatehouse.Event{
				Type: gatehouse.EventDecision, Level: slog.LevelWarn, Decision: test.decision, Reason: test.reason, Code: test.code, Status: test.status,
				Principal: *user(), Issuer: user().Issuer, Credential: user().Credential,
				Method: "GET", Host: "api.example.com", Path: "/reports", Cause: test.cause,
			}
			if test.decision == gatehouse.Unavailable {
				want.Level = slog.LevelError
			}
			equal(t, "event", seen.only(t), want)

			// Admit and Mux ask the policies themselves, and report one event.
			header := http.Header{"Dpop-Nonce": {"n-1"}}
			gate, seen = observed(t, acceptsWith(user(), header))
			_, got, err := gate.Admit(request(), test.policies...)
			if e, _ := errors.AsType[*gatehouse.Error](err); e == nil || e.Code.String() != test.code {
				t.Errorf("Admit error = %v, want %s", err, test.code)
			}
			equal(t, "header of Admit", got, header)
			equal(t, "event of Admit", seen.only(t), want)
		})
	}
}

// Policies and Enrich get the request of the handler: with the caller in its context and
// without the credential. The caller of policies is the one that Enrich returns.
func TestPoliciesGetTheRequestOfTheHandler(t *testing.T) {
	asked := 0
	check := func(r *http.Request, want gatehouse.Principal) {
		asked++
		if p, _ := gatehouse.FromContext(r.Context()); p != want || len(r.Header["Authorization"]) > 0 || r.PathValue("id") != "1" {
			t.Errorf("request = %v of %+v with id %q", r.Header, p, r.PathValue("id"))
		}
	}
	enriched := *user()
	enriched.Roles = roleSet("admin")
	policy := gatehouse.PolicyFunc(func(r *http.Request, p gatehouse.Principal) error {
		check(r, enriched)
		equal(t, "caller of the policy", p, enriched)
		return nil
	})
	gate := newGate(t, gatehouse.Config{
		Authenticators: list{explicitly(accepts(user()))},
		Enrich: func(r *http.Request, p gatehouse.Principal) (gatehouse.Principal, error) {
			check(r, *user())
			return enriched, nil
		},
	})
	mux := gate.Mux()
	mux.HandleFunc("/{id}", func(http.ResponseWriter, *http.Request) {}, policy)
	r := request("Authorization", "Bearer good")
	r.URL.Path = "/1"
	mux.ServeHTTP(httptest.NewRecorder(), r)
	r.SetPathValue("id", "1")
	_, _, err := gate.Admit(r, policy)
	noError(t, err)
	equal(t, "calls of the policy and of Enrich", asked, 4)
}

func TestRequireAsksInOrder(t *testing.T) {
	var asked []int
	policy := func(n int, err error) gatehouse.Policy {
		return gatehouse.PolicyFunc(func(r *http.Request, p gatehouse.Principal) error {
			asked = append(asked, n)
			if r.URL.Path != "/reports" || p != *user() {
				t.Errorf("policy %d asked about %s of %+v", n, r.URL.Path, p)
			}
			return err
		})
	}
	gate := gateOf(t, accepts(user()))
	policies := []gatehouse.Policy{policy(1, nil), policy(2, errors.New("no")), policy(3, nil)}
	wrap := gatehouse.Require(policies...)
	policies[1] = allow // Require has cloned the slice
	a := sendThrough(func(next http.Handler) http.Handler { return gate.Handler(wrap(next)) }, request())
	a.check(t, 403, "access_denied")
	equal(t, "policies asked", asked, []int{1, 2})
	policies[1], asked = policy(2, errors.New("no")), nil
	mux := gate.Mux()
	mux.Handle("/", say("x"), policies[0], policies[1:]...)
	policies[1] = allow // the mux has cloned the slice
	mux.ServeHTTP(httptest.NewRecorder(), request())
	equal(t, "policies asked by a mux", asked, []int{1, 2})
}

// A handler outside every gate is closed, whatever the request carries and
// whatever its policies say.
//
// Covers RFC 9700 §2.3 (action); ASVS 5.0 §8.3.1.
func TestRequireOutsideGate(t *testing.T) {
	for name, r := range map[string]*http.Request{
		"no credential":   request(),
		"token":           request("Authorization", "Bearer good"),
		"zero principal":  request().WithContext(gatehouse.NewContext(t.Context(), gatehouse.Principal{})),
		"no proof method": request().WithContext(gatehouse.NewContext(t.Context(), gatehouse.Principal{Subject: "ada"})),
	} {
		for _, policies := range [][]gatehouse.Policy{nil, {allow}, {deny(errors.New("no"))}} {
			t.Run(name, func(t *testing.T) {
				a := sendThrough(gatehouse.Require(policies...), r)
				a.check(t, 401, "missing_credentials")
				if got := a.Header()["Www-Authenticate"]; len(got) != 1 || got[0] != `Bearer realm="gatehouse"` {
					t.Errorf("WWW-Authenticate = %q", got)
				}
			})
		}
	}
}

// NewContext is enough for the tests of a handler.
func TestRequireWithContext(t *testing.T) {
	r := request().WithContext(gatehouse.NewContext(t.Context(), *user()))
	a := sendThrough(gatehouse.Require(allow), r)
	a.check(t, 200, "")
	equal(t, "caller", a.caller(), "ada")
	a = sendThrough(gatehouse.Require(deny(&gatehouse.Error{Code: gatehouse.CodeInsufficientScope, Scopes: scopeSet("a")})), r)
	a.check(t, 403, "insufficient_scope")
	equal(t, "WWW-Authenticate", a.Header().Get("WWW-Authenticate"), `Bearer realm="gatehouse", error="insufficient_scope", error_description="The request requires higher privileges than the credential provides.", scope="a"`)
}

// A handler that replaces the principal, to act on behalf of another caller,
// keeps the realm and the observer of its gate.
func TestRequireBehindNewContext(t *testing.T) {
	gate, seen := observed(t, authenticator{gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "DPoP"}}}, accepts(user()).Authenticate})
	a := sendThrough(func(next http.Handler) http.Handler {
		denied := gatehouse.Require(deny(&gatehouse.Error{Code: gatehouse.CodeInsufficientScope}))(next)
		return gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			denied.ServeHTTP(w, r.WithContext(gatehouse.NewContext(r.Context(), *service("ci"))))
		}))
	}, request("Authorization", "DPoP x"))
	a.check(t, 403, "insufficient_scope")
	if challenge, err := parseChallenge(a.Header().Get("WWW-Authenticate")); err != nil || challenge.Scheme != "DPoP" || challenge.Params[0].Value != "acme" {
		t.Errorf("challenge = %+v, %v; want scheme DPoP, realm acme", challenge, err)
	}
	if len(seen.all) != 2 || seen.all[1].Principal.Subject != "ci" || seen.all[1].Credential != "key-1" {
		t.Errorf("events = %+v", seen.all)
	}
}

func TestNilArgumentsPanic(t *testing.T) {
	gate := gateOf(t, goodToken())
	for _, test := range []struct {
		message string
		call    func()
	}{
		{"Gate.Handler: nil handler", func() { gate.Handler(nil) }},
		{"Gate.Optional: nil handler", func() { gate.Optional(nil) }},
		{"Require: nil policy", func() { gatehouse.Require(allow, nil) }},
		{"Require: nil policy", func() { gatehouse.Require(gatehouse.PolicyFunc(nil)) }},
		{"Require: nil handler", func() { gatehouse.Require()(nil) }},
		{"EndAtExpiry: nil handler", func() { gatehouse.EndAtExpiry(nil) }},
		{"Bound: empty binding", func() { gatehouse.Bound("dpop", "") }},
		{"Log: nil logger", func() { gatehouse.Log(nil) }},
		{"Observers: nil observer", func() { gatehouse.Observers(&events{}, nil) }},
		{"Observers: nil observer", func() { gatehouse.Observers((*events)(nil)) }},
	} {
		mustPanic(t, "gatehouse: "+test.message, test.call)
	}
}

func TestBound(t *testing.T) {
	for _, test := range []struct {
		needed []gatehouse.Binding
		has    gatehouse.Binding
		allows bool
	}{
		{nil, "", false},
		{nil, "dpop", true},
		{[]gatehouse.Binding{"dpop"}, "dpop", true},
		{[]gatehouse.Binding{"dpop"}, "mtls", false},
		{[]gatehouse.Binding{"dpop"}, "", false},
		{[]gatehouse.Binding{"mtls", "dpop"}, "dpop", true},
		{[]gatehouse.Binding{"mtls"}, "dpop+mtls", true},
		{[]gatehouse.Binding{"dpop"}, "dpop+mtls", true},
		{[]gatehouse.Binding{"dp"}, "dpop+mtls", false},
	} {
		p := *user()
		p.Binding = test.has
		needed := slices.Clone(test.needed)
		policy := gatehouse.Bound(needed...)
		for i := range needed {
			needed[i] = "changed" // the policy has a copy
		}
		err := policy.Authorize(request(), p)
		equal(t, fmt.Sprintf("Bound(%q) allows binding %q", test.needed, test.has), err == nil, test.allows)
		required := "any"
		if test.needed != nil {
			required = fmt.Sprintf("one of %q", test.needed)
		}
		want := fmt.Sprintf("gatehouse: Bound: the credential has the binding %q, required is %s", test.has, required)
		if e, _ := errors.AsType[*gatehouse.Error](err); err != nil && (e == nil || e.Code != gatehouse.CodeInvalidToken || e.Reason != gatehouse.ReasonUnbound || e.Cause.Error() != want) {
			t.Errorf("Bound(%q) error = %v, want the cause %s", test.needed, err, want)
		}
	}
}

func TestRefuse(t *testing.T) {
	scope := &gatehouse.Error{Code: gatehouse.CodeInsufficientScope, Reason: reasonScope, Scopes: scopeSet("a")}
	gate, seen := observed(t, accepts(user()))
	refuse := func(err error) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { gatehouse.Refuse(w, r, err) })
	}
	inside := sendThrough(func(http.Handler) http.Handler { return gate.Handler(refuse(scope)) }, request())
	inside.check(t, 403, "insufficient_scope")
	if challenge, err := parseChallenge(inside.Header().Get("WWW-Authenticate")); err != nil || challenge.Params[0].Value != "acme" {
		t.Errorf("challenge = %+v, %v; want realm acme", challenge, err)
	}
	if len(seen.all) != 2 || seen.all[1].Decision != gatehouse.Denied || seen.all[1].Principal != *user() || seen.all[1].Duration > time.Minute {
		t.Errorf("events = %+v", seen.all)
	}
	outside := sendThrough(func(http.Handler) http.Handler { return refuse(scope) }, request())
	outside.check(t, 403, "insufficient_scope")
	equal(t, "body outside the gate", outside.Body.String(), inside.Body.String())
	sendThrough(func(http.Handler) http.Handler { return gate.Handler(refuse(errors.New("no"))) }, request()).check(t, 403, "access_denied")
}
