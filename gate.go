// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Config configures a [Gate].
type Config struct {
	// Authenticators are called in this order. At least one is required.
	Authenticators []Authenticator

	// Realm is the realm of every challenge, RFC 9110 section 11.5. Required,
	// printable ASCII.
	Realm string

	// Metadata is the RFC 9728 metadata of the protected resource. Every challenge
	// then contains its URL, and [Gate.Mux] serves it. Optional.
	Metadata *Metadata

	// Observer receives an event for every decision. Optional, but without it the
	// reasons of refused requests are not recorded. [Log] writes the events to a
	// slog.Logger.
	Observer Observer

	// LoginURL is where a user logs in: a path on this host or an https URL. A
	// browser navigation without an explicit credential is redirected there instead
	// of getting 401. If LoginURL is a path on this host, the query parameter
	// return_to contains the path and query of the request. The parameters of a
	// step-up challenge, such as max_age, become query parameters. Optional.
	LoginURL string

	// Enrich adds application data to the caller on each request, such as roles from a
	// database. It may replace Roles, add members to Claims, set an empty Tenant and
	// remove Scopes; any other change is answered with 503 and [ReasonEnrichFailed]. If
	// it returns an [*Error], that determines the response; any other error is 503 too.
	// r is the request for the handler, without the credential. Optional. It must be
	// safe for concurrent use.
	Enrich func(r *http.Request, p Principal) (Principal, error)

	// ErrorBody returns the bodies of refusals in the application's format, such as
	// problem+json. The request is a copy without credentials and body; it has the
	// context, method, path, pattern and the headers Accept, Accept-Language and
	// Sec-Fetch-*. The path is "/" if the URL contains a credential. The zero Body
	// stands for the default, a JSON object with error and error_description.
	// Optional. It must be safe for concurrent use.
	ErrorBody func(r *http.Request, refusal Refusal) Body
}

// Gate passes requests of authenticated callers to a handler and refuses all
// others. It is safe for concurrent use.
type Gate struct {
	authenticators []checked
	reads          reader
	observer       Observer
	realm          string
	metadata       *Metadata
	login          *url.URL // nil for none
	enrich         func(*http.Request, Principal) (Principal, error)
	errorBody      func(*http.Request, Refusal) Body
}

// checked is an authenticator with the kind of credential that it reads.
type checked struct {
	Authenticator
	explicit bool
	rechecks bool
}

// New returns a gate. It reports all configuration errors at once.
func New(config Config) (*Gate, error) {
	g := &Gate{
		observer: config.Observer, realm: config.Realm,
		enrich: config.Enrich, errorBody: config.ErrorBody,
	}
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("gatehouse: Config."+format, args...))
	}
	if len(config.Authenticators) == 0 {
		fail("Authenticators: at least one is required")
	}
	// RFC 6750 §3 (auth-param): the scheme "MUST be followed by one or more auth-param
	// values". The realm is always present.
	if g.realm == "" {
		fail("Realm: required")
	} else if strings.ContainsFunc(g.realm, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		fail("Realm: has characters outside printable ASCII")
	}
	if config.Metadata != nil {
		metadata := *config.Metadata
		if g.metadata = &metadata; metadata.URL == "" {
			fail("Metadata: must come from NewMetadata")
		}
	}
	if g.observer != nil && typednil.Is(g.observer) {
		fail("Observer: is a nil %T", g.observer)
	}
	if config.LoginURL != "" {
		if err := safeurl.CheckLogin(config.LoginURL); err != nil {
			fail("LoginURL: %w", err)
		} else if g.login, err = url.Parse(config.LoginURL); err != nil {
			fail("LoginURL: %w", errors.Unwrap(err))
		}
	}
	for i, a := range config.Authenticators {
		if typednil.Is(a) {
			fail("Authenticators[%d]: is nil", i)
			continue
		}
		reads := a.Reads()
		if err := reads.check(); err != nil {
			fail("Authenticators[%d] (%T): %w", i, a, err)
		}
		g.reads.add(reads)
		g.authenticators = append(g.authenticators, checked{a, reads.explicit(), reads.Rechecks})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	g.reads.done(g.params)
	return g, nil
}

// Handler returns a handler that calls next for requests of authenticated
// callers, with the [Principal] in the context and without the credential, and
// refuses all others. Mount public routes outside of it.
//
// A response to a caller without an Authorization header gets Cache-Control:
// no-store unless a handler sets Cache-Control.
func (g *Gate) Handler(next http.Handler) http.Handler {
	if next == nil {
		panic("gatehouse: Gate.Handler: nil handler")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.serve(w, r, next, nil, false)
	})
}

// Optional is like [Gate.Handler], but also calls next for anonymous requests,
// which have no credentials: [FromContext] then returns false. An invalid
// explicit credential is still rejected. A request with an expired session is
// anonymous, and its cookie is cleared. [Require] behind it answers anonymous
// requests with 401.
func (g *Gate) Optional(next http.Handler) http.Handler {
	if next == nil {
		panic("gatehouse: Gate.Optional: nil handler")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.serve(w, r, next, nil, true)
	})
}

// serve calls next for an accepted request, and refuses the others.
//
// Implements ASVS 5.0 §14.3.2.
func (g *Gate) serve(w http.ResponseWriter, r *http.Request, next http.Handler, policies []Policy, optional bool) {
	if a := admittedBy(r.Context()); a != nil && a.gate != nil {
		g.serveNested(w, r, a, next, policies, optional)
		return
	}
	inner, a, header, err := g.admit(r, policies, optional)
	putHeader(w.Header(), header)
	if err != nil {
		g.writeError(w, r, a, err)
		return
	}
	// RFC 9111 §3.5: "A shared cache MUST NOT use a cached response to a request with an
	// Authorization header field". It has no such rule for a cookie, another header or a
	// client certificate.
	private := !a.principal.IsZero() || len(header) > 0
	if private && !a.authorization && len(w.Header()["Cache-Control"]) == 0 {
		w.Header().Set("Cache-Control", "no-store")
	}
	// Middleware outside the gate sees the pattern that a mux behind the gate matched,
	// even after a panic.
	defer func() {
		if inner.Pattern != "" {
			r.Pattern = inner.Pattern
		}
	}()
	next.ServeHTTP(w, inner)
}

// serveNested serves a request that another gate has accepted. That gate has
// removed the credential, so this gate cannot authenticate again.
func (g *Gate) serveNested(w http.ResponseWriter, r *http.Request, a *admitted, next http.Handler, policies []Policy, optional bool) {
	switch {
	case a.gate != g:
		g.refuse(w, r, a, &Error{Code: CodeMissingCredentials, Reason: ReasonOutsideGate}, time.Now())
	case optional, a.require(w, r, policies):
		next.ServeHTTP(w, r)
	}
}
