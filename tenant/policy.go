// SPDX-License-Identifier: Apache-2.0

package tenant

import (
	"errors"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
)

// FromPath allows callers whose tenant is the value of a path wildcard,
// [http.Request.PathValue]: with the name "tenant", of a pattern such as
// "GET /tenants/{tenant}/reports". On a route without that wildcard it denies
// every caller.
//
// It panics if name is empty.
func FromPath(name string) gatehouse.Policy {
	if name == "" {
		panic("tenant: FromPath: no name")
	}
	return gatehouse.PolicyFunc(func(r *http.Request, p gatehouse.Principal) error {
		return match(r.PathValue(name), p)
	})
}

// FromHeader allows callers whose tenant is the value of a header, such as
// "X-Tenant". It denies requests that have the header more than once.
//
// The header is client-supplied: the policy makes it equal to the proved tenant,
// and nothing in front of the policy may rely on it.
//
// It panics if name is empty.
func FromHeader(name string) gatehouse.Policy {
	if name == "" {
		panic("tenant: FromHeader: no name")
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

// The refusals hold nothing of the request, so all requests share them.
var (
	errNotNamed = denied("tenant: the request names no tenant")
	errSeveral  = denied("tenant: the request has several tenant headers")
	errNoTenant = denied("tenant: the caller has no tenant")
	errOther    = denied("tenant: the request names another tenant than that of the caller")
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
