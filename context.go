// SPDX-License-Identifier: Apache-2.0

package gatehouse

import "context"

type contextKey struct{}

// admitted is the context of a request that a gate has let in. It is a context
// of its own rather than one of context.WithValue because it saves an
// allocation in every request.
type admitted struct {
	context.Context
	principal *Principal
	gate      *Gate
}

func (a *admitted) Value(key any) any {
	if key == (contextKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// FromContext returns who is calling, and false where nobody is: where no
// [Gate] has let the request in.
func FromContext(ctx context.Context) (Principal, bool) {
	if a, ok := ctx.Value(contextKey{}).(*admitted); ok {
		return *a.principal, !a.principal.IsZero()
	}
	return Principal{}, false
}

// NewContext returns a context in which p is calling. It is for tests of
// handlers, and for carrying a principal into work that outlives its request;
// it proves nothing.
func NewContext(ctx context.Context, p Principal) context.Context {
	next := &admitted{Context: ctx, principal: &p}
	if a, ok := ctx.Value(contextKey{}).(*admitted); ok {
		next.gate = a.gate
	}
	return next
}
