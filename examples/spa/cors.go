// SPDX-License-Identifier: Apache-2.0

package main

import "net/http"

// cors lets the scripts of one origin read the answers to requests with cookies.
// It stands outside of everything else, so that they can read refusals too: a 401
// without these headers is no more than a failure to them.
//
// It guards nothing. A request of another origin is carried out as far as the
// session lets it, which is why the session has its own check.
func cors(origin string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin") // also where it is another one
		if r.Header.Get("Origin") != origin {
			next.ServeHTTP(w, r)
			return
		}
		// The one that is configured, never the one that was sent, and never "*".
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Set("Access-Control-Expose-Headers", "Retry-After")
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			next.ServeHTTP(w, r)
			return
		}
		// A preflight comes without cookies, and is answered before anything asks
		// for them.
		h.Set("Access-Control-Allow-Methods", "GET, POST")
		h.Set("Access-Control-Allow-Headers", "Content-Type")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusNoContent)
	})
}
