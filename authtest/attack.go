// SPDX-License-Identifier: Apache-2.0

package authtest

import (
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// Attack throws every attempt of [Attacks] at handler, which must be configured
// to accept tokens of issuer for issuer.Audience, and reports what it finds
// with tb.Errorf, one line for each finding. It takes a few seconds.
//
// A good token must be let in before and after, or Attack ends the test: a
// handler that refuses everything would pass otherwise.
//
// A handler may be safe and still answer otherwise than RFC 6750 asks, or
// refuse what it may accept. Findings of the kinds to ignore are not reported;
// [GotThrough] cannot be ignored.
func Attack(tb testing.TB, handler http.Handler, issuer *Issuer, ignore ...Kind) {
	tb.Helper()
	if slices.Contains(ignore, GotThrough) {
		tb.Fatal("authtest: Attack: GotThrough cannot be ignored")
	}
	if status, refused := control(handler, issuer); refused != "" {
		tb.Fatalf("authtest: Attack: a good token is refused before the first attack: %s%s", refused, hint(status))
	}
	findings, attempts := findAll(handler, issuer)
	findings = slices.DeleteFunc(findings, func(f Finding) bool { return slices.Contains(ignore, f.Kind) })
	for _, f := range findings {
		tb.Errorf("authtest: %s", f)
	}
	tb.Logf("authtest: %d attempts, %d findings", attempts, len(findings))
	if len(findings) > attempts/2 {
		tb.Log("authtest: most attempts have found something: is there a gate around this handler?")
	}
	if _, refused := control(handler, issuer); refused != "" {
		tb.Fatalf("authtest: Attack: a good token is refused after the last attack: %s", refused)
	}
}

// hint says what a good token that is refused most often means.
func hint(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "; is there a gate, and does it take the algorithm of the issuer?"
	case http.StatusForbidden:
		return "; does the route need a scope or a tenant? IssuerConfig has Scope and Claims for them"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return "; IssuerConfig.Target is the path to attack, with GET"
	}
	return ""
}

// findAll makes every attempt and returns what was found.
func findAll(handler http.Handler, issuer *Issuer) (findings []Finding, attempts int) {
	var twins telltale
	for attempt := range Attacks(issuer) {
		attempts++
		answer, found := attempt.try(handler)
		findings = append(findings, found...)
		findings = append(findings, twins.compare(attempt, answer)...)
	}
	for _, name := range issuer.Lured() {
		findings = append(findings, Finding{Attempt: name, Kind: Lured, Detail: "the address in the token was asked for"})
	}
	return findings, attempts
}

// control says how a good token is refused, "" if it is not.
func control(handler http.Handler, issuer *Issuer) (status int, refused string) {
	k := &kit{issuer: issuer, section: "control", row: "control"}
	k.key = issuer.signer("", "")
	var findings []Finding
	k.yield = func(a Attempt) bool {
		var answer *httptest.ResponseRecorder
		answer, findings = a.try(handler)
		status = answer.Code
		return true
	}
	k.good("a good token", issuer.Token(nil))
	if len(findings) == 0 {
		return status, ""
	}
	return status, findings[0].Detail
}

// Attacks yields the catalogue, in an order that does not change, as requests
// to the Target of the issuer. Tokens are made when they are asked for, so that
// none has grown old.
//
// What is in it follows from the issuer: attacks on signatures need an
// algorithm of their kind, those on the key set need [Issuer.PublishOddKeys],
// those on scopes a Scope that the handler demands. Some requests hold what no
// connection carries, such as line breaks in a header: hand them to ServeHTTP.
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

// Attempt is one request of the catalogue. It differs from a good one in a
// single thing.
type Attempt struct {
	// Section, Row and Name say what it is, from coarse to fine. Name begins
	// with Row and is unique.
	Section, Row, Name string

	// Request is what to send. Its Host and path are those of the audience and
	// the target of the issuer.
	Request *http.Request

	// Want is the statuses that are right; 200 stands for all from 200 to 299.
	Want []int

	// code is the error code that the challenge must have: "" for any or none,
	// noCode for none.
	code string

	// credentials are the texts of which no part may be in an answer.
	credentials []string

	// signer is the key whose good signature the token carries, nil if it
	// carries none. Tests of the kit look at it.
	signer *key

	// alike names a group of attempts whose answers must not differ.
	alike string
}

const noCode = "no code"

// Good reports whether the request may be let in. All others are hostile.
func (a Attempt) Good() bool { return slices.Contains(a.Want, http.StatusOK) }

// Lured returns the names of the attempts whose tokens point to a key set or a
// certificate of the attacker, if the address was asked for. It is never right
// to follow an address in a token that is not verified.
func (i *Issuer) Lured() []string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.lured)
}
