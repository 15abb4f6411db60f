// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"context"
	"net/http"
)

// EndAtExpiry makes a handler that ends the request's context when the
// caller's credential expires. A gate looks at a credential once, when the
// request arrives; put this around handlers whose requests live long, such as
// server-sent events and WebSockets, and have them watch their context.
func EndAtExpiry(next http.Handler) http.Handler {
	if next == nil {
		panic("gatehouse: EndAtExpiry: nil handler")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, _ := FromContext(r.Context()); !p.Expires.IsZero() {
			ctx, cancel := context.WithDeadline(r.Context(), p.Expires)
			defer cancel()
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}
