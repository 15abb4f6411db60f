// SPDX-License-Identifier: Apache-2.0

package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/cookie"
)

// LoginConfig configures a [Login].
type LoginConfig struct {
	// Client is at the authorization server. Required.
	Client *Client

	// Keys seal the transactions. Required. Logins at several servers may and
	// should share them.
	Keys *cookie.Keyring

	// Request says what the login is to bring. Its RedirectURI leads to the
	// handler that calls [Login.Callback].
	Request AuthorizationRequest

	// Observer is told of every login that ends, well or not, of every one that
	// does not begin, and of ways back that lead elsewhere. Optional.
	Observer gatehouse.Observer
}

// Login logs people in with a browser: authorization code with PKCE, RFC 6749
// section 4.1 and RFC 7636. It is safe for concurrent use.
type Login struct {
	client   *Client
	keys     *cookie.Keyring
	request  AuthorizationRequest
	observer gatehouse.Observer
}

// NewLogin makes a login. It reports all mistakes in the configuration at once,
// and makes no network call.
func NewLogin(config LoginConfig) (*Login, error) {
	var errs []error
	if config.Keys == nil {
		errs = append(errs, errors.New("oauth: LoginConfig.Keys: required"))
	}
	if config.Client == nil {
		errs = append(errs, errors.New("oauth: LoginConfig.Client: required"))
	} else {
		errs = append(errs, config.Request.check(config.Client, "LoginConfig.Request"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if config.Observer == nil {
		config.Observer = gatehouse.ObserverFunc(func(context.Context, gatehouse.Event) error { return nil })
	}
	l := &Login{client: config.Client, keys: config.Keys, request: config.Request, observer: config.Observer}
	l.request.Resources = slices.Clone(l.request.Resources)
	l.request.Params = make(url.Values)
	for name, values := range config.Request.Params {
		l.request.Params[name] = slices.Clone(values)
	}
	return l, nil
}

// Refuse answers a request whose login has failed: with a sentence for a
// person, or with JSON where no person is looking. Nothing in it comes from the
// request, from the authorization server or from the error, but the status. An
// application that has pages of its own shows one of them instead.
func (l *Login) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok {
		e = l.client.unavailable(err)
	}
	h, status := w.Header(), e.Status()
	private(h)
	text, code := "This sign-in could not be completed. Please start again.", gatehouse.CodeInvalidRequest
	switch status {
	case http.StatusUnauthorized:
		// RFC 9110 §11.6.1: "A server generating a 401 (Unauthorized) response MUST
		// send a WWW-Authenticate header field containing at least one challenge".
		h.Set("WWW-Authenticate", "Bearer")
		text, code = "Sign-in is needed.", gatehouse.CodeMissingCredentials
	case http.StatusForbidden:
		text, code = "The sign-in was refused.", gatehouse.CodeAccessDenied
	case http.StatusBadRequest:
	default:
		status = http.StatusServiceUnavailable
		h.Set("Retry-After", retryAfter(e.RetryAfter))
		text, code = "Sign-in is not possible at the moment. Please try again later.", gatehouse.CodeTemporarilyUnavailable
	}
	h.Set("X-Content-Type-Options", "nosniff")
	body := text + "\n"
	if isNavigation(r) {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	} else {
		h.Set("Content-Type", "application/json")
		body = `{"error":"` + string(code) + `","error_description":"` + text + `"}` + "\n"
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // a caller who has gone is no concern of ours
}

// private keeps a response of a login, and the addresses that are part of it, to
// those whom it concerns.
func private(h http.Header) {
	h.Set("Cache-Control", "no-store")
	// RFC 9700 §4.2.4: the code and the state would be in the Referer.
	h.Set("Referrer-Policy", "no-referrer")
}

// isNavigation reports whether the request is a browser going to a page in its
// own window or tab, where a person can log in.
func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	}
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

// tell tells the observer of a refusal. The error is that refusal, or what
// becomes of it if it cannot be recorded.
func (l *Login) tell(r *http.Request, start time.Time, err error) *gatehouse.Error {
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok {
		e = l.client.unavailable(err)
	}
	event := gatehouse.NewEvent(r, e, start)
	event.Issuer = l.client.issuer
	if failure := l.observe(r, event); failure != nil {
		return failure
	}
	return e
}

func (l *Login) event(r *http.Request, start time.Time) gatehouse.Event {
	return gatehouse.Event{
		Issuer: l.client.issuer, Method: r.Method, Host: r.Host, Path: r.URL.Path, Duration: time.Since(start),
	}
}

// observe returns the refusal that a decision becomes which could not be
// recorded.
func (l *Login) observe(r *http.Request, event gatehouse.Event) *gatehouse.Error {
	if err := l.observer.Observe(r.Context(), event); err != nil {
		return l.client.refuse(gatehouse.CodeTemporarilyUnavailable, gatehouse.ReasonObserverFailed, err)
	}
	return nil
}
