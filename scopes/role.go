// SPDX-License-Identifier: Apache-2.0

package scopes

import (
	"net/http"
	"slices"

	"github.com/gatehouse-go/gatehouse"
)

var errRole = &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: gatehouse.ReasonRole}

// HasRole allows callers who have at least one of the roles, compared character
// by character. Others are denied without being told which roles there are.
//
// A role is what the issuer says that the caller is; a scope is what this
// credential may be used for. A route that asks for a role alone lets every
// credential of such a caller in, however little it was issued for: ask for a
// scope beside it.
//
// It panics on a malformed role and on none at all, like [All].
func HasRole(names ...string) gatehouse.Policy {
	if len(names) == 0 {
		panic("scopes: HasRole: no roles")
	}
	if _, err := gatehouse.NewRoles(names...); err != nil {
		panic("scopes: HasRole: malformed role")
	}
	names = slices.Clone(names)
	return func(_ *http.Request, p gatehouse.Principal) error {
		if slices.ContainsFunc(names, p.Roles.Has) {
			return nil
		}
		return errRole
	}
}
