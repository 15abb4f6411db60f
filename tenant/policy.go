// SPDX-License-Identifier: Apache-2.0

package tenant

import (
	"errors"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
)

// FromPath allows callers whose tenant is the value of the path wildcard of this
// name, [http.Request.PathValue]. With "tenant" it goes with a pattern such as
// "GET /tenants/{tenant}/reports". On a route whose pattern has no such wildcard
// it denies everybody.
//
// It panics if name is empty.
func FromPath(name string) gatehouse.Policy {
	if name == "" {
		panic("tenant: FromPath: no name")
	}
	return func(r *http.Request, p gatehouse.Principal) error {
		return match(r.PathValue(name), p)
	}
}

// FromHeader allows callers whose tenant is the value of the header of this
// name, such as "X-Tenant". More than one such header is refused, whatever they
// say.
//
// The header is the caller's own word, which is why it has to agree with the
// credential; nothing behind the gate should read it for anything else.
//
// It panics if name is empty.
func FromHeader(name string) gatehouse.Policy {
	if name == "" {
		panic("tenant: FromHeader: no name")
	}
	name = http.CanonicalHeaderKey(name)
	return func(r *http.Request, p gatehouse.Principal) error {
		values := r.Header[name]
		if len(values) > 1 {
			return errSeveral
		}
		if len(values) == 0 {
			return match("", p)
		}
		return match(values[0], p)
	}
}

// The refusals. They are made once: they say nothing about the request.
var (
	errNone    = denied("tenant: the request names no tenant")
	errSeveral = denied("tenant: the request names several tenants")
	errNobodys = denied("tenant: the caller belongs to no tenant")
	errOther   = denied("tenant: the request names a tenant to which the caller does not belong")
)

func denied(cause string) *gatehouse.Error {
	return &gatehouse.Error{Code: gatehouse.CodeAccessDenied, Reason: gatehouse.ReasonTenant, Cause: errors.New(cause)}
}

// match compares the tenant that a request names with that of its caller.
func match(named string, p gatehouse.Principal) error {
	switch {
	case p.Tenant == "":
		return errNobodys
	case named == "":
		return errNone
	case named != p.Tenant:
		return errOther
	}
	return nil
}
