// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"net/http"
	"slices"
	"time"
)

// Policy decides whether a caller may make a request. It returns nil to allow.
// An [*Error] says how to refuse; any other error refuses with 403 and
// [CodeAccessDenied]. To say that it cannot tell now, a policy returns an Error
// of [CodeTemporarilyUnavailable].
//
// A policy must be safe for concurrent use and must not change the request.
type Policy func(*http.Request, Principal) error

// Require makes a handler that calls the next one only if every policy allows,
// asking them in order up to the first that does not. Without policies it
// asks only that somebody is calling.
//
// It refuses with 401 where no [Gate] has let the request in: a handler mounted
// outside the gate by mistake is closed, not open.
//
// Require panics if a policy is nil, which can only be a mistake in the
// program.
func Require(policies ...Policy) func(http.Handler) http.Handler {
	policies = slices.Clone(policies)
	if slices.ContainsFunc(policies, func(p Policy) bool { return p == nil }) {
		panic("gatehouse: Require: nil policy")
	}
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("gatehouse: Require: nil handler")
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a, ok := r.Context().Value(contextKey{}).(*admitted)
			if !ok || a.principal.IsZero() {
				outside.writeError(w, r, &Error{Code: CodeMissingCredentials, Reason: ReasonOutsideGate})
				return
			}
			start := time.Now()
			for _, policy := range policies {
				if err := policy(r, *a.principal); err != nil {
					a.deny(w, r, err, start)
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Refuse answers a request that a handler cannot go on with, the way in which
// the gate answers one that a policy has refused: the observer is told, then the
// refusal is written. An [*Error] says how to refuse; any other error refuses with
// 403 and [CodeAccessDenied]. The handler must not have written anything, and
// returns afterwards.
//
// It is for middleware and handlers that decide in the middle of their work,
// such as when the tokens of a session cannot be renewed. Outside of every gate
// it writes the refusal and nobody is told.
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	a, ok := r.Context().Value(contextKey{}).(*admitted)
	if !ok {
		a = &admitted{Context: r.Context(), principal: new(Principal)}
	}
	a.deny(w, r, err, time.Now())
}

// deny refuses a caller who is known.
func (a *admitted) deny(w http.ResponseWriter, r *http.Request, err error, start time.Time) {
	e := asError(err)
	if e == nil {
		e = &Error{Code: CodeAccessDenied, Reason: ReasonPolicy, Cause: err}
	}
	g := a.gate
	if g == nil {
		g = outside
	}
	event := NewEvent(r, e, start)
	event.Principal = *a.principal
	event.Issuer, event.Credential = a.principal.Issuer, a.principal.Credential
	if event.Decision == Refused {
		event.Decision = Denied
	}
	g.conclude(w, r, event, e)
}

// outside answers where there is no gate.
var outside = &Gate{realm: "gatehouse", invitations: []Challenge{{Scheme: "Bearer"}}}
