// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/navigation"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// defaultRetryAfter is the Retry-After of an error without one.
const defaultRetryAfter = 5 * time.Second

// private sets headers that keep a response of a login out of caches, and its URL out of
// the Referer.
//
// Implements ASVS 5.0 §14.3.2.
func private(header http.Header) {
	header.Set("Cache-Control", "no-store")
	// RFC 9700 §4.2.4: the code and the state would be in the Referer.
	header.Set("Referrer-Policy", "no-referrer")
}

// reject returns the error of a rejected request.
func (h *Handler) reject(code gatehouse.Code, reason gatehouse.Reason, cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: code, Reason: reason, Issuer: h.issuer, Cause: cause}
}

// unavailable returns the error of a request that cannot be completed now.
func (h *Handler) unavailable(err error) *gatehouse.Error {
	e := h.reject(gatehouse.CodeTemporarilyUnavailable, ReasonUnavailable, err)
	e.RetryAfter = oauth.RetryAfter(err)
	return e
}

// asError returns err as a [*gatehouse.Error], with 503 if it is not one.
func (h *Handler) asError(err error) *gatehouse.Error {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e
	}
	return h.unavailable(err)
}

// record reports a rejected request. The result is err, or the error of the
// observer.
func (h *Handler) record(r *http.Request, start time.Time, err error) *gatehouse.Error {
	e := h.asError(err)
	event := gatehouse.NewEvent(r, e, start)
	event.Issuer = h.issuer
	if err := gatehouse.Report(r.Context(), h.observer, event); err != nil {
		return h.asError(err)
	}
	return e
}

// report reports an event that is not a decision.
func (h *Handler) report(r *http.Request, t gatehouse.EventType, cause error) error {
	return gatehouse.Report(r.Context(), h.observer, gatehouse.Event{
		Type: t, Level: slog.LevelWarn, Issuer: h.issuer, Method: r.Method, Host: r.Host, Path: r.URL.Path, Route: r.Pattern, Cause: cause,
	})
}

// fail reports an error and writes its response.
//
// Implements RFC 6749 §10.14.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, start time.Time, err error) {
	h.answer(w, r, h.record(r, start, err))
}

// answer writes the response for an error: a page for a navigation, and otherwise JSON
// like a gate. Of the error the response contains only the code, and nothing from the
// request or the authorization server.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, e *gatehouse.Error) {
	if !navigation.ShowsResponse(r) {
		gatehouse.Refuse(w, r, e)
		return
	}
	header, status := w.Header(), e.Code.Status()
	switch status {
	case http.StatusUnauthorized:
		// RFC 9110 §11.6.1: "A server generating a 401 (Unauthorized) response MUST
		// send a WWW-Authenticate header field containing at least one challenge".
		header.Set("WWW-Authenticate", "Bearer")
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter(e.RetryAfter))
	}
	body := h.body(r, h.pageOf(r, status, e.Reason))
	for name, values := range body.Header {
		switch name = http.CanonicalHeaderKey(name); name {
		case "Www-Authenticate", "Cache-Control", "Set-Cookie", "Retry-After", "Content-Length":
		default:
			header[name] = slices.Clone(values)
		}
	}
	header.Set("Content-Type", body.ContentType)
	header.Set("X-Content-Type-Options", "nosniff")
	if header.Get("Location") != "" {
		status = http.StatusSeeOther
	}
	w.WriteHeader(status)
	_, _ = w.Write(body.Content) // fails only if the client has disconnected
}

// retryAfter rounds up to whole seconds.
func retryAfter(d time.Duration) string {
	if d <= 0 {
		d = defaultRetryAfter
	}
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}
