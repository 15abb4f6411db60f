// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Policy decides whether an authenticated caller may make a request.
//
// A policy that requires scopes should also have a method Scopes() [Scopes]:
// [Mux.Routes] and the scopes_supported of RFC 9728 list them.
type Policy interface {
	// Authorize returns nil to allow the request. r is the request for the handler,
	// with p in its context and without the credential. An [*Error] determines the
	// response; the response to an error of the context or of the network is 503,
	// and to any other error 403 with [CodeAccessDenied]. Authorize must be safe
	// for concurrent use and must not change the request.
	Authorize(r *http.Request, p Principal) error
}

// PolicyFunc is a function that is a [Policy].
type PolicyFunc func(*http.Request, Principal) error

// Authorize calls f.
func (f PolicyFunc) Authorize(r *http.Request, p Principal) error { return f(r, p) }

// Authenticated allows every authenticated caller.
var Authenticated Policy = PolicyFunc(func(*http.Request, Principal) error { return nil })

// Bound allows callers whose credential is sender-constrained: bound to a key
// for which this request has a proof of possession. If bindings are given, the
// credential must have at least one of them. Other callers are refused with 401
// and [CodeInvalidToken]. Bound panics if a binding is empty.
func Bound(bindings ...Binding) Policy {
	bindings = slices.Clone(bindings)
	if slices.Contains(bindings, "") {
		panic("gatehouse: Bound: empty binding")
	}
	return PolicyFunc(func(_ *http.Request, p Principal) error {
		if p.Binding != "" && (len(bindings) == 0 || slices.ContainsFunc(bindings, p.Binding.includes)) {
			return nil
		}
		required := "any"
		if len(bindings) > 0 {
			required = fmt.Sprintf("one of %q", bindings)
		}
		return &Error{
			Code: CodeInvalidToken, Reason: ReasonUnbound,
			Cause: fmt.Errorf("gatehouse: Bound: the credential has the binding %q, required is %s", p.Binding, required),
		}
	})
}

// Require returns a middleware that calls the next handler only if every policy
// allows the request. It evaluates the policies in order and stops at the first
// denial. Without policies it requires only an authenticated caller.
//
// Require fails closed: it refuses with 401 a request that has not passed a
// [Gate], such as one to a handler that is mounted outside the gate by mistake.
// If the gate has already reported the request as allowed, a denial is reported
// as a second event.
//
// Require panics if a policy is nil.
//
// Implements RFC 9700 §2.3 (action); ASVS 5.0 §8.2.1, §8.3.1.
func Require(policies ...Policy) func(http.Handler) http.Handler {
	policies = checkPolicies("Require", policies)
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("gatehouse: Require: nil handler")
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if admittedBy(r.Context()).require(w, r, policies) {
				next.ServeHTTP(w, r)
			}
		})
	}
}

func checkPolicies(function string, policies []Policy) []Policy {
	if slices.ContainsFunc(policies, func(p Policy) bool { return typednil.Is(p) }) {
		panic("gatehouse: " + function + ": nil policy")
	}
	return slices.Clone(policies)
}

// require calls the policies for a request that a gate has accepted, and refuses it
// unless all policies allow it.
func (a *admitted) require(w http.ResponseWriter, r *http.Request, policies []Policy) bool {
	start := time.Now()
	switch {
	case a == nil:
		outside.writeError(w, r, &admitted{}, &Error{Code: CodeMissingCredentials, Reason: ReasonOutsideGate})
		return false
	case a.principal.IsZero():
		a.refuse(w, r, &Error{Code: CodeMissingCredentials, Reason: ReasonNoCredentials}, start)
		return false
	}
	if e := authorize(r, a.principal, policies); e != nil {
		a.refuse(w, r, e, start)
		return false
	}
	return true
}

// authorize returns the refusal of the first policy that denies, nil if all allow.
func authorize(r *http.Request, p *Principal, policies []Policy) *Error {
	for _, policy := range policies {
		if err := policy.Authorize(r, *p); err != nil {
			return asDenial(err)
		}
	}
	return nil
}

// asDenial converts an error of a policy to a refusal.
func asDenial(err error) *Error {
	if e := asError(err); e != nil {
		return e
	}
	_, network := errors.AsType[net.Error](err) // context.DeadlineExceeded is one
	if network || errors.Is(err, context.Canceled) {
		return &Error{Code: CodeTemporarilyUnavailable, Reason: ReasonPolicyFailed, Cause: err}
	}
	return &Error{Code: CodeAccessDenied, Reason: ReasonPolicyRefused, Cause: err}
}

// Refuse writes the response for a request that a handler or middleware
// refuses, and reports an event to the observer, like the gate for a request
// that a policy denies. err has the same meaning as an error of
// [Policy].Authorize. Call Refuse before any part of the response is written,
// and return afterwards.
//
// Use it for decisions inside a handler, for example when the tokens of a
// session cannot be refreshed. In a handler that is not behind a gate, Refuse
// writes the response and reports no event.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	a := admittedBy(r.Context())
	if a == nil {
		a = &admitted{principal: new(Principal)}
	}
	a.refuse(w, r, asDenial(err), time.Now())
}

// refuse reports and writes the refusal of a request that a gate has accepted.
func (a *admitted) refuse(w http.ResponseWriter, r *http.Request, e *Error, start time.Time) {
	g := a.gate
	if g == nil {
		g = outside
	}
	g.refuse(w, r, a, e, start)
}

// outside is the gate that writes refusals for handlers that are not behind a gate.
var outside = func() *Gate {
	g := &Gate{realm: "gatehouse"}
	g.reads.done(g.params)
	return g
}()
