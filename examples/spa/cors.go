// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/gatehouse-go/gatehouse/session"
)

// cors lets the scripts of one origin read the responses to requests with cookies.
// It is the outermost handler, so that they can read error responses too.
//
// CORS is no protection against CSRF: it does not stop a request of another
// origin. The session rejects those.
func cors(origin string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin") // for other origins too
		if r.Header.Get("Origin") != origin {
			next.ServeHTTP(w, r)
			return
		}
		// The configured origin, never the one of the request and never "*".
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Expose-Headers", "Retry-After")
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			next.ServeHTTP(w, r)
			return
		}
		// A preflight request has no cookies, so it does not reach the session.
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Allow-Headers", "Content-Type, "+session.UserHeader)
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}
