// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-go/gatehouse"
)

// Attack sends every attempt of [Attacks] to handler, which must accept tokens of
// issuer for issuer.Audience, and reports each [Finding] with tb.Errorf on one
// line. It takes a few seconds.
//
// A refusal is also a finding if the handler behind the gate has run: Attack looks in the
// refusal for the response to a valid token and for a second status, and it looks for
// calls of a [Witness].
//
// It ends the test if a valid token is rejected before the first or after the last
// attempt, because a handler that rejects every request has no other findings.
//
// Not every finding is a vulnerability: a secure handler may respond with another status
// than RFC 6750 requires, or reject unusual but valid requests. Attack does not report
// findings of the kinds in ignore. [Accepted] cannot be ignored.
func Attack(tb testing.TB, handler http.Handler, issuer *Issuer, ignore ...Kind) {
	tb.Helper()
	if slices.Contains(ignore, Accepted) {
		tb.Fatal("authtest: Attack: Accepted cannot be ignored")
	}
	accepted, rejected := control(handler, issuer)
	if rejected != "" {
		tb.Fatalf("authtest: Attack: a valid token is rejected before the first attempt: %s%s", rejected, hint(accepted.Code))
	}
	findings, attempts := findAll(handler, issuer, Attacks(issuer), accepted)
	findings = slices.DeleteFunc(findings, func(f Finding) bool { return slices.Contains(ignore, f.Kind) })
	for _, f := range findings {
		tb.Errorf("authtest: %s", f)
	}
	tb.Logf("authtest: %d attempts, %d findings", attempts, len(findings))
	if len(findings) > attempts/2 {
		tb.Log("authtest: most attempts have findings: is there a gate around this handler?")
	}
	if _, rejected := control(handler, issuer); rejected != "" {
		tb.Fatalf("authtest: Attack: a valid token is rejected after the last attempt: %s", rejected)
	}
}

// hint returns the most frequent cause for the rejection of a valid token.
func hint(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "; is there a gate, and does it accept the algorithm of the issuer?"
	case http.StatusForbidden:
		return "; does the route need a scope or a tenant? Set Scope or Claims of IssuerConfig"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "; set IssuerConfig.Target to a path that answers GET"
	}
	return ""
}

// findAll tries every attempt and returns the findings. accepted is the response to a
// valid token.
func findAll(handler http.Handler, issuer *Issuer, all iter.Seq[Attempt], accepted *recording) (findings []Finding, attempts int) {
	oracles := make(oracle)
	for attempt := range all {
		attempts++
		answer, found := attempt.try(handler, accepted)
		findings = append(findings, found...)
		findings = append(findings, oracles.compare(attempt, answer, handler)...)
	}
	for _, name := range issuer.AttackerURLFetches() {
		findings = append(findings, Finding{Attempt: name, Kind: AttackerURLFetched, Detail: "the handler fetched the URL in the token"})
	}
	return findings, attempts
}

// control sends a valid token and returns how it is rejected, "" if it is accepted.
func control(handler http.Handler, issuer *Issuer) (answer *recording, rejected string) {
	k := &kit{issuer: issuer, section: "control", row: "control"}
	k.key = issuer.signer("", "")
	var findings []Finding
	k.yield = func(a Attempt) bool {
		answer, findings = a.try(handler, nil)
		return true
	}
	k.validToken(k.key, "valid token", issuer.Token(nil))
	if len(findings) == 0 {
		return answer, ""
	}
	return answer, findings[0].Detail
}

// maxRouteFindings is the number of findings of one route that AttackRoutes
// reports.
const maxRouteFindings = 5

// AttackRoutes sends the hostile requests of [Attacks] to every protected and
// optional route of a table and reports findings with tb.Errorf, at most five for
// each route. handler is the [gatehouse.Mux] with the routes, or the handler that
// wraps it in the program. It must accept tokens of issuer.
//
//	authtest.AttackRoutes(t, handler, mux.Routes(), issuer)
//
// A route whose policies need scopes also gets a valid token without scopes, which
// it must refuse with 403. An optional route gets no requests without credentials.
//
// The requests to a route have the method of its pattern, or GET, and the path
// segment "authtest" for each wildcard. None of them is valid: to test that the
// handler accepts valid tokens at all, call [Attack] for one route.
func AttackRoutes(tb testing.TB, handler http.Handler, routes []gatehouse.Route, issuer *Issuer, ignore ...Kind) {
	tb.Helper()
	if slices.Contains(ignore, Accepted) {
		tb.Fatal("authtest: AttackRoutes: Accepted cannot be ignored")
	}
	routes = slices.DeleteFunc(slices.Clone(routes), func(r gatehouse.Route) bool { return r.Access == gatehouse.AccessPublic })
	if len(routes) == 0 {
		tb.Fatal("authtest: AttackRoutes: no protected route: pass mux.Routes()")
	}
	findings := make([][]Finding, len(routes))
	attempts := 0
	for attempt := range routeAttacks(issuer) {
		for n, route := range routes {
			if route.Access == gatehouse.AccessOptional && attempt.code == noCode || attempt.scoped && route.Scopes.Len() == 0 {
				continue
			}
			attempts++
			for _, f := range attempt.to(route.Pattern).Try(handler) {
				if !slices.Contains(ignore, f.Kind) {
					findings[n] = append(findings[n], f)
				}
			}
		}
	}
	for n, found := range findings {
		for _, f := range found[:min(len(found), maxRouteFindings)] {
			tb.Errorf("authtest: %s: %s", routes[n].Pattern, f)
		}
		if more := len(found) - maxRouteFindings; more > 0 {
			tb.Errorf("authtest: %s: %d more findings", routes[n].Pattern, more)
		}
	}
	for _, name := range issuer.AttackerURLFetches() {
		if !slices.Contains(ignore, AttackerURLFetched) {
			tb.Errorf("authtest: %s: %s", AttackerURLFetched, name)
		}
	}
	tb.Logf("authtest: %d attempts on %d routes", attempts, len(routes))
}

// routeAttacks yields the attempts that do not depend on the path.
func routeAttacks(issuer *Issuer) iter.Seq[Attempt] {
	return func(yield func(Attempt) bool) {
		k := &kit{issuer: issuer, section: "route", row: "scopes of the route", yield: yield}
		k.key = issuer.signer("", "")
		a := k.attempt("valid token without scopes", k.sign(k.header(), k.claims().without("scope")))
		a.Want, a.code, a.signer, a.scoped = []int{http.StatusForbidden}, "", k.key, true
		k.emit(a)
		for a := range Attacks(issuer) {
			switch {
			case k.done:
				return
			case !a.Valid() && a.Row != rowMethod && a.Row != rowPath && a.Row != rowScope:
				k.done = !yield(a)
			}
		}
	}
}

// to returns the attempt as a request to the route of a pattern of
// [http.ServeMux].
func (a Attempt) to(pattern string) Attempt {
	method, rest := http.MethodGet, pattern
	if end := strings.IndexAny(pattern, " \t"); end >= 0 {
		method, rest = pattern[:end], pattern[end:]
	}
	host, path, _ := strings.Cut(strings.TrimLeft(rest, " \t"), "/")
	segments := strings.Split("/"+path, "/")
	for n, segment := range segments {
		switch {
		case segment == "{$}":
			segments[n] = ""
		case strings.HasPrefix(segment, "{"):
			segments[n] = "authtest"
		}
	}
	r := a.Request.Clone(a.Request.Context())
	r.Method, r.URL.Path, r.URL.RawPath = method, strings.Join(segments, "/"), ""
	if host != "" {
		r.Host, r.URL.Host = host, host
	}
	r.RequestURI = r.URL.RequestURI()
	a.Request = r
	return a
}

// Attacks yields the catalogue of attempts, in an order that does not change, as requests
// to the Target of the issuer. Each token is created when it is yielded, so that it has
// not expired.
//
// The catalogue depends on the issuer: attacks on signatures need an algorithm of
// their kind, attacks on the key set need [Issuer.PublishOddKeys], attacks on
// scopes need a Scope that the handler requires. Some requests cannot be sent over
// a connection, such as those with line breaks in a header: pass them to
// ServeHTTP.
func Attacks(issuer *Issuer) iter.Seq[Attempt] {
	return func(yield func(Attempt) bool) {
		k := &kit{issuer: issuer, yield: yield}
		for _, s := range []struct {
			name    string
			attacks []func(*kit)
		}{
			{"algorithm", algorithmAttacks},
			{"signature", signatureAttacks},
			{"key", keyAttacks},
			{"envelope", envelopeAttacks},
			{"JSON", jsonAttacks},
			{"time", timeAttacks},
			{"claims", claimAttacks},
			{"HTTP", httpAttacks},
		} {
			k.section = s.name
			for _, attack := range s.attacks {
				if k.done {
					return
				}
				k.key = issuer.signer("", "")
				attack(k)
			}
		}
	}
}

// Attempt is one request of the catalogue. It differs from a valid request in one
// property.
type Attempt struct {
	// Section, Row and Name identify the attempt, from coarse to fine. Name begins
	// with Row and is unique.
	Section, Row, Name string

	// Request is the request to send. Its host and path are those of the audience
	// and the target of the issuer.
	Request *http.Request

	// Want are the correct statuses; 200 stands for all from 200 to 299.
	Want []int

	// code is the error code that the challenge must have: "" for any or none,
	// noCode for none.
	code string

	// credentials are the texts of which no part may be in a response.
	credentials []string

	// signer is the key that has signed the token, nil if the signature is invalid.
	// The tests of this package verify it.
	signer *key

	// alike names a group of attempts whose responses must be equal.
	alike string

	// scoped says that the attempt is for routes that need scopes.
	scoped bool
}

const noCode = "no code"

// Valid reports whether the request is valid, so that the handler may accept it.
// All other attempts are hostile.
func (a Attempt) Valid() bool { return slices.Contains(a.Want, http.StatusOK) }
