// SPDX-License-Identifier: Apache-2.0

package tenant

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gatehouse-go/gatehouse"
)

// FromPath allows callers whose tenant is the value of a path wildcard,
// [http.Request.PathValue]: with the name "tenant", of a pattern such as
// "GET /tenants/{tenant}/reports". On a route without that wildcard it denies
// every caller. Other routers than [http.ServeMux] must set the path value, as the
// modules below adapter do.
//
// It panics if name is empty or has a brace.
func FromPath(name string) gatehouse.Policy {
	if name == "" || strings.ContainsAny(name, "{}") {
		panic(fmt.Sprintf("tenant: FromPath: got %q, want the name of a wildcard without braces", name))
	}
	missing := denied(fmt.Sprintf("tenant: the request has no path value %q: check the pattern of the route, and that the router sets path values", name))
	return gatehouse.PolicyFunc(func(r *http.Request, p gatehouse.Principal) error {
		value := r.PathValue(name)
		if value == "" && p.Tenant != "" {
			return missing
		}
		return match(value, p)
	})
}

// FromHeader allows callers whose tenant is the value of a header, such as
// "X-Tenant". It denies requests that have the header more than once.
//
// The header is client-supplied. Behind the policy it equals the tenant of the caller;
// handlers and middleware in front of the policy must not rely on it.
//
// It panics if name is empty.
func FromHeader(name string) gatehouse.Policy {
	if name == "" {
		panic("tenant: FromHeader: the name of a header is required")
	}
	name = http.CanonicalHeaderKey(name)
	return gatehouse.PolicyFunc(func(r *http.Request, p gatehouse.Principal) error {
		values := r.Header[name]
		if len(values) > 1 {
			return errSeveral
		}
		if len(values) == 0 {
			return match("", p)
		}
		return match(values[0], p)
	})
}

// The refusals contain nothing from the request, so all requests share them.
var (
	errNotNamed = denied("tenant: the request names no tenant")
	errSeveral  = denied("tenant: the request has several tenant headers")
	errNoTenant = denied("tenant: the caller has no tenant")
	errOther    = denied("tenant: the request names another tenant than that of the caller")
	errForeign  = denied("tenant: the record belongs to another tenant than that of the caller or the job")
)

func denied(cause string) *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: ReasonMismatch, Cause: errors.New(cause)}
}

// match compares the tenant that a request names with that of the caller.
func match(named string, p gatehouse.Principal) error {
	switch {
	case p.Tenant == "":
		return errNoTenant
	case named == "":
		return errNotNamed
	case named != p.Tenant:
		return errOther
	}
	return nil
}
