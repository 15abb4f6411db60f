// SPDX-License-Identifier: Apache-2.0

package scopes

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse"
)

// All allows callers whose credential has every one of the scopes.
//
// Like [regexp.MustCompile] it panics on what can only be a mistake in the
// program: a scope that is malformed, a wildcard, which no credential holds, or
// no scope at all, which would let everybody in.
func All(scopes ...string) gatehouse.Policy { return Implications{}.All(scopes...) }

// Any allows callers whose credential has at least one of the scopes. The
// challenge names all of them. It panics like [All].
func Any(scopes ...string) gatehouse.Policy { return Implications{}.Any(scopes...) }

// All is [All] with what these implications add.
func (i Implications) All(scopes ...string) gatehouse.Policy {
	needed := i.needed("All", scopes)
	set, _ := gatehouse.NewScopes(scopes...)
	return func(_ *http.Request, p gatehouse.Principal) error {
		for _, sufficient := range needed {
			if !hasAny(p.Scopes, sufficient) {
				return missing(set, p.Scopes)
			}
		}
		return nil
	}
}

// Any is [Any] with what these implications add.
func (i Implications) Any(scopes ...string) gatehouse.Policy {
	needed := i.needed("Any", scopes)
	set, _ := gatehouse.NewScopes(scopes...)
	return func(_ *http.Request, p gatehouse.Principal) error {
		for _, sufficient := range needed {
			if hasAny(p.Scopes, sufficient) {
				return nil
			}
		}
		return missing(set, p.Scopes)
	}
}

// needed returns, for each of the scopes, the scopes that are as good.
func (i Implications) needed(policy string, scopes []string) [][]string {
	if len(scopes) == 0 {
		panic("scopes: " + policy + ": no scopes")
	}
	for _, scope := range scopes {
		switch _, err := gatehouse.NewScopes(scope); {
		case err != nil:
			panic(fmt.Sprintf("scopes: %s: %q is malformed: one scope for each argument", policy, scope))
		case strings.Contains(scope, "*"):
			panic(fmt.Sprintf("scopes: %s: %q: there are no wildcards, name each scope", policy, scope))
		}
	}
	needed := make([][]string, len(scopes))
	for n, scope := range scopes {
		needed[n] = i.sufficient(scope)
	}
	return needed
}

func hasAny(held gatehouse.Scopes, sufficient []string) bool {
	return slices.ContainsFunc(sufficient, held.Has)
}

// missing is the refusal of a policy. It tells the caller what the route needs,
// and the operator what the credential has.
func missing(needed, held gatehouse.Scopes) *gatehouse.Error {
	return &gatehouse.Error{
		Code: gatehouse.CodeInsufficientScope, Reason: gatehouse.ReasonScope, Scopes: needed,
		Cause: lack{needed, held},
	}
}

// lack is the cause, put into words only if somebody reads it.
type lack struct{ needed, held gatehouse.Scopes }

func (l lack) Error() string { return fmt.Sprintf("needs %q, has %q", l.needed, l.held) }
