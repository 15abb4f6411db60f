// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Config configures a [Gate].
type Config struct {
	// Authenticators are asked in this order. At least one is required.
	Authenticators []Authenticator

	// Realm names what is protected, in every challenge. Required, printable
	// ASCII.
	Realm string

	// Metadata is the RFC 9728 metadata of the protected resource, to which
	// every challenge then points. Optional.
	Metadata *Metadata

	// Observer is told of every decision. Optional, but without it nobody
	// learns why a request was refused: [Log] is the shortest one.
	Observer Observer
}

// Gate lets requests in whose caller is known, and speaks HTTP to the others.
// It is safe for concurrent use.
type Gate struct {
	authenticators []Authenticator
	observer       Observer
	realm          string
	metadata       string
	invitations    []Challenge
	inspectors     []Inspector
	cookies        []string
}

// New makes a gate. All mistakes in the configuration are reported at once.
func New(config Config) (*Gate, error) {
	g := &Gate{
		authenticators: slices.Clone(config.Authenticators),
		observer:       config.Observer,
		realm:          config.Realm,
	}
	var errs []error
	if len(g.authenticators) == 0 {
		errs = append(errs, errors.New("gatehouse: Config.Authenticators: at least one is required"))
	}
	// RFC 6750 §3: the scheme "MUST be followed by one or more auth-param
	// values". The realm is the one that is always there.
	if g.realm == "" {
		errs = append(errs, errors.New("gatehouse: Config.Realm: required"))
	} else if strings.ContainsFunc(g.realm, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
		errs = append(errs, errors.New("gatehouse: Config.Realm: has characters outside printable ASCII"))
	}
	if config.Metadata != nil {
		g.metadata = config.Metadata.URL
		if g.metadata == "" {
			errs = append(errs, errors.New("gatehouse: Config.Metadata: not made by NewMetadata"))
		}
	}
	for i, a := range g.authenticators {
		if isNil(a) {
			errs = append(errs, fmt.Errorf("gatehouse: Config.Authenticators[%d]: is nil", i))
			continue
		}
		if c, ok := a.(Challenger); ok {
			invitation := c.Challenge()
			same := func(c Challenge) bool { return strings.EqualFold(c.Scheme, invitation.Scheme) }
			if !slices.ContainsFunc(g.invitations, same) {
				g.invitations = append(g.invitations, invitation)
			}
		}
		if i, ok := a.(Inspector); ok {
			g.inspectors = append(g.inspectors, i)
		}
		if c, ok := a.(CookieReader); ok {
			g.cookies = append(g.cookies, c.CookieNames()...)
		}
	}
	if len(g.invitations) == 0 {
		g.invitations = []Challenge{{Scheme: "Bearer"}}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return g, nil
}

// isNil also finds the nil pointer of an authenticator whose constructor has
// failed, and whose error nobody has looked at.
func isNil(a Authenticator) bool {
	v := reflect.ValueOf(a)
	switch v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Interface:
		return v.IsNil()
	}
	return false
}

// Handler returns a handler that calls next for requests whose caller is
// known, with the [Principal] in the context and the credential taken off the
// request, and answers all others itself. Routes that are open to everyone
// are mounted outside of it.
//
// What next answers to a caller without an Authorization header is marked
// no-store, unless somebody has said or says something else about caching.
func (g *Gate) Handler(next http.Handler) http.Handler {
	if next == nil {
		panic("gatehouse: Gate.Handler: nil handler")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var start time.Time
		if g.observer != nil {
			start = time.Now()
		}
		proof, e := g.authenticate(r)
		if e != nil {
			g.conclude(w, r, NewEvent(r, e, start), e)
			return
		}
		if g.observer != nil {
			err := g.observer.Observe(r.Context(), Event{
				Decision:   Allowed,
				Principal:  *proof.Principal,
				Issuer:     proof.Principal.Issuer,
				Credential: proof.Principal.Credential,
				Method:     r.Method,
				Host:       r.Host,
				Path:       r.URL.Path,
				Duration:   time.Since(start),
			})
			if err != nil {
				g.writeError(w, r, unobserved)
				return
			}
		}
		setHeader(w.Header(), proof.Header)
		keepPrivate(w.Header(), proof)
		next.ServeHTTP(w, g.admit(r, proof))
	})
}

var unobserved = &Error{Code: CodeTemporarilyUnavailable, Reason: ReasonObserverFailed}

// Authenticate settles who is calling without answering, for transports other
// than the one that [Gate.Handler] speaks. The error is an [*Error]; the
// observer is not told.
func (g *Gate) Authenticate(r *http.Request) (Proof, error) {
	proof, e := g.authenticate(r)
	if e != nil {
		return Proof{}, e
	}
	return proof, nil
}

func (g *Gate) authenticate(r *http.Request) (Proof, *Error) {
	// Before all else, so that no other refusal reports a path with a key in it.
	for _, i := range g.inspectors {
		if err := i.Inspect(r); err != nil {
			return Proof{}, unavailable(err)
		}
	}
	if e := checkExplicit(r, false); e != nil {
		return Proof{}, e
	}
	login := ""
	for _, a := range g.authenticators {
		proof, err := a.Authenticate(r)
		switch {
		case err == nil && (proof.Principal == nil || proof.Principal.IsZero() || proof.Source == 0):
			return Proof{}, &Error{
				Code: CodeTemporarilyUnavailable, Reason: ReasonAuthenticatorFailed,
				Cause: fmt.Errorf("gatehouse: %T returned neither a proof nor an error", a),
			}
		case err == nil && proof.Source != SourceHeader && HasExplicitCredential(r):
			continue // an ambient credential beside an explicit one says nothing
		case err == nil:
			return proof, nil
		case errors.Is(err, ErrNoCredentials):
			if e := asError(err); e != nil && login == "" {
				login = e.Login
			}
			continue
		}
		if e := checkExplicit(r, true); e != nil {
			return Proof{}, e
		}
		return Proof{}, unavailable(err)
	}
	if e := checkExplicit(r, true); e != nil {
		return Proof{}, e
	}
	// A credential that nobody claims is a bad one, not an absent one.
	for _, scheme := range knownSchemes {
		if _, err := Authorization(r, scheme); err == nil {
			e := &Error{Code: CodeInvalidToken, Reason: ReasonUnclaimed, Scheme: scheme}
			if scheme == "ApiKey" {
				e.Code = CodeInvalidAPIKey
			}
			return Proof{}, e
		}
	}
	if r.Header.Get(headerAPIKey) != "" {
		return Proof{}, &Error{Code: CodeInvalidAPIKey, Reason: ReasonUnclaimed}
	}
	e := &Error{Code: CodeMissingCredentials, Reason: ReasonNoCredentials, Login: login}
	if tokenInQuery(r) {
		e.Reason = ReasonCredentialInURL
	}
	return Proof{}, e
}

// conclude reports a refusal and then, and only then, writes it.
func (g *Gate) conclude(w http.ResponseWriter, r *http.Request, event Event, e *Error) {
	if g.observer != nil {
		if err := g.observer.Observe(r.Context(), event); err != nil {
			e = unobserved
		}
	}
	g.writeError(w, r, e)
}

// admit returns the request that the next handler sees.
func (g *Gate) admit(r *http.Request, proof Proof) *http.Request {
	next := r.WithContext(&admitted{r.Context(), proof.Principal, g})
	next.Header = g.strip(r.Header, proof)
	return next
}
