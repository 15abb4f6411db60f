// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"context"
	"net/http"
)

type contextKey struct{}

// admitted is the context of a request that a gate has accepted. A type of its own saves
// the allocation of context.WithValue in every request.
type admitted struct {
	context.Context
	principal *Principal // zero for an anonymous request
	gate      *Gate      // nil if NewContext made it outside a gate
	by        *checked   // the authenticator that accepted the request, nil for none
	request   *http.Request
	scheme    *Scheme // the scheme of the credential, nil for none or an unknown one
	explicit  bool    // the request has an explicit credential
	// the request has an Authorization header, which shared caches obey
	authorization bool
}

func (a *admitted) Value(key any) any {
	if key == (contextKey{}) {
		return a
	}
	return a.Context.Value(key)
}

func admittedBy(ctx context.Context) *admitted {
	a, _ := ctx.Value(contextKey{}).(*admitted)
	return a
}

// FromContext returns the caller of the request. It returns false if the
// request is anonymous or has not passed a [Gate].
func FromContext(ctx context.Context) (Principal, bool) {
	if a := admittedBy(ctx); a != nil {
		return *a.principal, !a.principal.IsZero()
	}
	return Principal{}, false
}

// NewContext returns a context with the caller p, without any verification. Use
// it in tests of handlers, and for work that continues after its request.
func NewContext(ctx context.Context, p Principal) context.Context {
	next := &admitted{Context: ctx, principal: &p}
	if a := admittedBy(ctx); a != nil {
		next.gate, next.scheme, next.explicit = a.gate, a.scheme, a.explicit
	}
	return next
}
