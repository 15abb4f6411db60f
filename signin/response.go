// SPDX-License-Identifier: Apache-2.0

package signin

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// defaultRetryAfter is the Retry-After of an error without one.
const defaultRetryAfter = 5 * time.Second

// private keeps a response of a login, and the URLs that are part of it, out of
// caches and other sites.
func private(header http.Header) {
	header.Set("Cache-Control", "no-store")
	// RFC 9700 §4.2.4: the code and the state would be in the Referer.
	header.Set("Referrer-Policy", "no-referrer")
}

// reject returns the error of a rejected request.
func (h *Handler) reject(code gatehouse.Code, reason gatehouse.Reason, cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: code, Reason: reason, Issuer: h.issuer, Cause: cause}
}

// asError returns err as a [*gatehouse.Error], with 503 if it is not one.
func (h *Handler) asError(err error) *gatehouse.Error {
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		return e
	}
	return h.unavailable(err)
}

// unavailable returns the error of a request that cannot be completed now.
func (h *Handler) unavailable(err error) *gatehouse.Error {
	e := h.reject(gatehouse.CodeTemporarilyUnavailable, gatehouse.ReasonServerUnavailable, err)
	if response, ok := errors.AsType[*oauth.Error](err); ok {
		e.RetryAfter = response.RetryAfter
	}
	return e
}

// fail records an error and answers with it.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, start time.Time, err error) {
	h.answer(w, r, h.record(r, start, err))
}

// answer writes the response for an error: the page of the application or a line
// of text for a navigation, JSON otherwise. The response contains nothing from the
// request, the authorization server or the error, except for its status.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, e *gatehouse.Error) {
	header, status := w.Header(), e.Status()
	text, code := "This sign-in could not be completed. Please start again.", gatehouse.CodeInvalidRequest
	switch status {
	case http.StatusUnauthorized:
		// RFC 9110 §11.6.1: "A server generating a 401 (Unauthorized) response MUST
		// send a WWW-Authenticate header field containing at least one challenge".
		header.Set("WWW-Authenticate", "Bearer")
		text, code = "Sign-in is needed.", gatehouse.CodeMissingCredentials
	case http.StatusForbidden:
		text, code = "The sign-in was refused.", gatehouse.CodeAccessDenied
	case http.StatusBadRequest:
	default:
		status = http.StatusServiceUnavailable
		header.Set("Retry-After", retryAfter(e.RetryAfter))
		text, code = "Sign-in is not possible at the moment. Please try again later.", gatehouse.CodeTemporarilyUnavailable
	}
	header.Set("X-Content-Type-Options", "nosniff")
	switch {
	case !isNavigation(r):
		header.Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`{"error":"` + string(code) + `","error_description":"` + text + `"}` + "\n")) // the client may have gone
	case h.errorPage != nil:
		h.errorPage(w, r, e)
	default:
		header.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(text + "\n"))
	}
}

// retryAfter rounds up to whole seconds.
func retryAfter(d time.Duration) string {
	if d <= 0 {
		d = defaultRetryAfter
	}
	return strconv.FormatInt(int64((d+time.Second-1)/time.Second), 10)
}

// isNavigation reports whether the request is a navigation of the browser, by a
// link or a form, so that the response is for a user and not for a script.
func isNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// startsLogin reports whether the request is a navigation in a window or tab of
// its own, where the user sees the login.
func startsLogin(r *http.Request) bool {
	return r.Method == http.MethodGet && isNavigation(r) &&
		(r.Header.Get("Sec-Fetch-Mode") == "" || r.Header.Get("Sec-Fetch-Dest") == "document")
}

// record passes a failure to the observer. If the observer fails, the result is
// that error.
func (h *Handler) record(r *http.Request, start time.Time, err error) *gatehouse.Error {
	e := h.asError(err)
	event := gatehouse.NewEvent(r, e, start)
	event.Issuer = h.issuer
	if err := h.observe(r, event); err != nil {
		return err
	}
	return e
}

func (h *Handler) event(r *http.Request, start time.Time) gatehouse.Event {
	return gatehouse.Event{Issuer: h.issuer, Method: r.Method, Host: r.Host, Path: r.URL.Path, Duration: time.Since(start)}
}

// observe passes an event to the observer. Its error is 503.
func (h *Handler) observe(r *http.Request, event gatehouse.Event) *gatehouse.Error {
	if err := h.observer.Observe(r.Context(), event); err != nil {
		return h.reject(gatehouse.CodeTemporarilyUnavailable, gatehouse.ReasonObserverFailed, err)
	}
	return nil
}
