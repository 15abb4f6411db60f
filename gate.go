// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/safeurl"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Config configures a [Gate].
type Config struct {
	// Authenticators are asked in this order. At least one is required.
	Authenticators []Authenticator

	// Realm names what is protected, in every challenge. Required, printable
	// ASCII.
	Realm string

	// Metadata is the RFC 9728 metadata of the protected resource, to which
	// every challenge then points. [Gate.Mux] serves it. Optional.
	Metadata *Metadata

	// Observer receives an event for every decision. Optional, but without it
	// there is no record of why a request was refused: [Log] is the shortest one.
	Observer Observer

	// LoginURL is where a user logs in: a path on this host or an https URL. A
	// browser navigation without an explicit credential that would get 401 is
	// redirected there instead. A path on this host gets the path and query that
	// the user asked for in the parameter return_to; the parameters of a step-up
	// challenge, such as max_age, become query parameters. Optional.
	LoginURL string

	// Enrich completes the caller on each request from the application's own
	// data, such as roles in a database. It returns p with Roles replaced,
	// members added to Claims, an empty Tenant filled in or Scopes removed; any
	// other change is answered with 503 and [ReasonEnrichFailed]. Its errors mean
	// what those of a [Policy] mean. Optional. It must be safe for concurrent use.
	Enrich func(r *http.Request, p Principal) (Principal, error)

	// ErrorBody writes the bodies of refusals in the application's format, such
	// as problem+json. The request is a copy without credentials and body, with
	// context, method, path, pattern and the headers Accept, Accept-Language and
	// Sec-Fetch-*. The path is "/" where the URL contains a credential. The zero Body means the default, {"error",
	// "error_description"}. Optional. It must be safe for concurrent use.
	ErrorBody func(r *http.Request, refusal Refusal) Body
}

// Gate lets requests of authenticated callers in and answers all others. It is
// safe for concurrent use.
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
}

// New makes a gate. It reports all mistakes in the configuration at once.
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
	// RFC 6750 §3 (auth-param): the scheme "MUST be followed by one or more
	// auth-param values". The realm is the one that is always there.
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
		g.authenticators = append(g.authenticators, checked{a, reads.explicit()})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	g.reads.done(g.params)
	return g, nil
}

// Handler returns a handler that calls next for requests of authenticated
// callers, with the [Principal] in the context and without the credential, and
// answers all others itself. Public routes are mounted outside of it.
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

// Optional is like [Gate.Handler] and also calls next for requests without
// credentials, as anonymous: [FromContext] then finds no caller. An explicit
// credential that is invalid is still rejected; an expired session counts as no
// credential, and its cookie is cleared. [Require] behind it answers anonymous
// requests with 401.
func (g *Gate) Optional(next http.Handler) http.Handler {
	if next == nil {
		panic("gatehouse: Gate.Optional: nil handler")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.serve(w, r, next, nil, true)
	})
}

// serve decides on r and has next serve it, or refuses it.
//
// Implements ASVS 5.0 §14.3.2.
func (g *Gate) serve(w http.ResponseWriter, r *http.Request, next http.Handler, policies []Policy, optional bool) {
	if a := admittedBy(r.Context()); a != nil && a.gate != nil {
		g.serveNested(w, r, a, next, policies, optional)
		return
	}
	inner, header, err := g.admit(r, policies, optional)
	for name, values := range header {
		// The values are cloned: handlers append to theirs, and many requests may
		// share one proof.
		w.Header()[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	if err != nil {
		g.writeError(w, r, inner, err)
		return
	}
	// RFC 9111 §3.5: "A shared cache MUST NOT use a cached response to a request
	// with an Authorization header field". There is no such rule for a cookie, for
	// another header or for a client certificate.
	private := !inner.principal.IsZero() || len(header) > 0
	if private && !inner.authorization && len(w.Header()["Cache-Control"]) == 0 {
		w.Header().Set("Cache-Control", "no-store")
	}
	g.serveAdmitted(w, r, inner, next)
}

// serveAdmitted has next serve r with the context a and without credentials, and
// copies the pattern that a mux behind the gate has matched, so that middleware
// outside sees it, also after a panic.
func (g *Gate) serveAdmitted(w http.ResponseWriter, r *http.Request, a *admitted, next http.Handler) {
	inner := r.WithContext(a)
	inner.Header = g.reads.without(r.Header)
	defer func() {
		if inner.Pattern != "" {
			r.Pattern = inner.Pattern
		}
	}()
	next.ServeHTTP(w, inner)
}

// serveNested serves a request that a gate has let in already: the credential
// has been removed, so this gate cannot authenticate again.
func (g *Gate) serveNested(w http.ResponseWriter, r *http.Request, a *admitted, next http.Handler, policies []Policy, optional bool) {
	switch {
	case a.gate != g:
		g.refuse(w, r, a, &Error{Code: CodeMissingCredentials, Reason: ReasonOutsideGate}, time.Now())
	case optional && a.principal.IsZero(), a.require(w, r, policies):
		next.ServeHTTP(w, r)
	}
}
