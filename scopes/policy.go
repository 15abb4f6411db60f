// SPDX-License-Identifier: Apache-2.0

package scopes

import (
	"net/http"

	"github.com/gatehouse-go/gatehouse"
)

// All allows callers whose credential has every one of the scopes.
//
// Like [regexp.MustCompile] it panics on what can only be a mistake in the
// program: a scope that is malformed, or no scope at all, which would let
// everybody in.
func All(scopes ...string) gatehouse.Policy { return Implications{}.All(scopes...) }

// Any allows callers whose credential has at least one of the scopes. The
// challenge names all of them. It panics like [All].
func Any(scopes ...string) gatehouse.Policy { return Implications{}.Any(scopes...) }

// All is [All] with what these implications add.
func (i Implications) All(scopes ...string) gatehouse.Policy {
	needed := i.needed("All", scopes)
	e := missing(scopes)
	return func(_ *http.Request, p gatehouse.Principal) error {
		for _, sufficient := range needed {
			if !hasAny(p.Scopes, sufficient) {
				return e
			}
		}
		return nil
	}
}

// Any is [Any] with what these implications add.
func (i Implications) Any(scopes ...string) gatehouse.Policy {
	needed := i.needed("Any", scopes)
	e := missing(scopes)
	return func(_ *http.Request, p gatehouse.Principal) error {
		for _, sufficient := range needed {
			if hasAny(p.Scopes, sufficient) {
				return nil
			}
		}
		return e
	}
}

// needed returns, for each of the scopes, the scopes that are as good.
func (i Implications) needed(policy string, scopes []string) [][]string {
	if len(scopes) == 0 {
		panic("scopes: " + policy + ": no scopes")
	}
	if _, err := gatehouse.NewScopes(scopes...); err != nil {
		panic("scopes: " + policy + ": malformed scope")
	}
	needed := make([][]string, len(scopes))
	for n, scope := range scopes {
		needed[n] = i.sufficient(scope)
	}
	return needed
}

func hasAny(held gatehouse.Scopes, sufficient []string) bool {
	for _, scope := range sufficient {
		if held.Has(scope) {
			return true
		}
	}
	return false
}

// missing is the refusal of a policy. It is made once: it says what the route
// needs, and nothing about the request.
func missing(scopes []string) *gatehouse.Error {
	needed, _ := gatehouse.NewScopes(scopes...)
	return &gatehouse.Error{Code: gatehouse.CodeInsufficientScope, Reason: gatehouse.ReasonScope, Scopes: needed}
}
