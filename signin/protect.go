// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse"
)

// Protect returns one handler for a whole application: it serves the endpoints of h, and
// calls next for requests with a session, with the principal in their context. Other
// navigations are redirected to the login, which returns to the same page; other requests
// get 401. For policies or public routes, use the Mux of [Handler.Gate] instead, with h as
// a public route.
//
// The responses of next have X-Frame-Options: SAMEORIGIN unless Session.AllowFraming is
// set, for browsers without Fetch Metadata. An application should also set a
// Content-Security-Policy with frame-ancestors.
func (h *Handler) Protect(next http.Handler) http.Handler {
	protected := h.Gate.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case h.LoginURL, h.callback, h.logout, h.backChannel:
			h.ServeHTTP(w, r)
			return
		}
		if h.loops(r) {
			h.ServeHTTP(w, r) // ServeHTTP refuses it
			return
		}
		if !h.framing {
			w.Header().Set("X-Frame-Options", "SAMEORIGIN")
		}
		inner := withPageBefore(r)
		defer func() { r.Pattern = inner.Pattern }()
		protected.ServeHTTP(w, inner)
	})
}

// loops reports whether a request is for the login or the callback, and a proxy has
// removed a part of its path: a redirect to the login would be an endless loop. The
// application may have such paths too. Therefore a request with a session, or a callback
// without a transaction of h, does not count.
func (h *Handler) loops(r *http.Request) bool {
	query := r.URL.Query()
	switch h.shortened(r.URL.Path) {
	case h.LoginURL:
		return query.Has("return_to") && !h.hasSession(r)
	case h.callback:
		return query.Has("state") && hasTransaction(r, query.Get("state"))
	}
	return false
}

// hasSession reports whether the gate accepts the session of r, or its store is
// unavailable.
func (h *Handler) hasSession(r *http.Request) bool {
	_, err := h.Sessions.Authenticate(r)
	e, ok := errors.AsType[*gatehouse.Error](err)
	return err == nil || ok && e.Code.Status() != http.StatusUnauthorized
}

type pageBeforeKey struct{}

// withPageBefore stores the path of the page with a form in the request, for the page of
// a refusal: the next login should return there.
func withPageBefore(r *http.Request) *http.Request {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return r
	}
	u, err := url.Parse(r.Header.Get("Referer"))
	if err != nil || !strings.EqualFold(u.Host, r.Host) {
		return r
	}
	return r.WithContext(context.WithValue(r.Context(), pageBeforeKey{}, u.RequestURI()))
}

// pageBefore returns the path to which a login should return after a request was refused.
func pageBefore(r *http.Request) string {
	if r.Method == http.MethodGet {
		return r.URL.EscapedPath() // the gate has removed the query
	}
	path, _ := r.Context().Value(pageBeforeKey{}).(string)
	return path
}

// Ready returns nil if a login can complete: the metadata and the keys of the
// authorization server are available, and fit the configuration. Call it at start or in a
// readiness probe: see [oauth.Client.Ready].
func (h *Handler) Ready(ctx context.Context) error { return h.Client.Ready(ctx, h.request) }
