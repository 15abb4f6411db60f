// SPDX-License-Identifier: Apache-2.0

package scopes

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/gatehouse-go/gatehouse"
)

// All allows callers whose credential has all of the scopes. Each argument is one
// scope.
//
// It panics without scopes, because the policy would allow every caller. It panics if a
// scope is malformed or has a wildcard, because no credential has such a scope.
//
// Implements RFC 9700 §2.3 (action); ASVS 5.0 §8.2.1, §10.3.2.
func All(scopes ...string) gatehouse.Policy { return Implications{}.All(scopes...) }

// Any allows callers whose credential has at least one of the scopes. The challenge of a
// refusal contains all of them. It panics like [All].
func Any(scopes ...string) gatehouse.Policy { return Implications{}.Any(scopes...) }

// All is like the function [All], but also accepts a scope that implies the
// required scope.
func (i Implications) All(scopes ...string) gatehouse.Policy { return i.policy("All", scopes) }

// Any is like the function [Any], but also accepts a scope that implies the
// required scope.
func (i Implications) Any(scopes ...string) gatehouse.Policy { return i.policy("Any", scopes) }

// policy is a policy of All or Any.
type policy struct {
	needed gatehouse.Scopes
	// sufficient has, for each needed scope, the scope and those that imply it.
	sufficient [][]string
	any        bool
}

func (i Implications) policy(name string, scopes []string) policy {
	if len(scopes) == 0 {
		panic("scopes: " + name + ": at least one scope is required")
	}
	p := policy{any: name == "Any"}
	for _, scope := range scopes {
		if err := checkName(scope); err != nil {
			panic(fmt.Sprintf("scopes: %s: %v", name, err))
		}
		p.sufficient = append(p.sufficient, append([]string{scope}, i.by[scope]...))
	}
	p.needed, _ = gatehouse.NewScopes(scopes...)
	return p
}

// Authorize implements [gatehouse.Policy].
func (p policy) Authorize(_ *http.Request, caller gatehouse.Principal) error {
	for _, sufficient := range p.sufficient {
		switch has := hasAny(caller.Scopes, sufficient); {
		case p.any && has:
			return nil
		case !p.any && !has:
			return p.denied(caller.Scopes)
		}
	}
	if p.any {
		return p.denied(caller.Scopes)
	}
	return nil
}

// Scopes returns the needed scopes, for the route table of a [gatehouse.Mux].
func (p policy) Scopes() gatehouse.Scopes { return p.needed }

func (p policy) denied(held gatehouse.Scopes) *gatehouse.Error {
	return &gatehouse.Error{
		Code: gatehouse.CodeInsufficientScope, Reason: ReasonMissing, Scopes: p.needed, Cause: missing{p.needed, held},
	}
}

// missing is the cause of a refusal. Its text is created only when it is needed.
type missing struct{ needed, held gatehouse.Scopes }

func (m missing) Error() string { return fmt.Sprintf("scopes: needs %q, has %q", m.needed, m.held) }

func hasAny(held gatehouse.Scopes, sufficient []string) bool {
	return slices.ContainsFunc(sufficient, held.Has)
}

// roleMissing is the cause of a refusal by HasRole. Only the observer gets it: the
// response does not name the accepted roles.
type roleMissing struct {
	accepted []string
	held     gatehouse.Roles
}

func (m roleMissing) Error() string {
	return fmt.Sprintf("scopes: needs one of the roles %q, has %q", m.accepted, m.held)
}

// HasRole allows callers who have at least one of the roles, compared character
// by character.
//
// A role is an attribute of the caller; a scope limits what one credential may be used
// for. A route that requires only a role accepts every credential of that caller, even
// one for another purpose. To prevent that, require a scope too.
//
// It panics if there is no role or if a role is malformed.
func HasRole(names ...string) gatehouse.Policy {
	if len(names) == 0 {
		panic("scopes: HasRole: at least one role is required")
	}
	for _, name := range names {
		if _, err := gatehouse.NewRoles(name); err != nil {
			panic(fmt.Sprintf("scopes: HasRole: %q is not a role: a role is UTF-8 without control characters, and not empty", name))
		}
	}
	names = slices.Clone(names)
	return gatehouse.PolicyFunc(func(_ *http.Request, p gatehouse.Principal) error {
		if slices.ContainsFunc(names, p.Roles.Has) {
			return nil
		}
		return &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: ReasonRoleMissing, Cause: roleMissing{names, p.Roles}}
	})
}
