// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Admit decides on a request without writing a response, for adapters to transports other
// than net/http. It authenticates the caller, evaluates the policies, and reports the
// decision to the observer. The returned request is for the handler: it has the
// [Principal] in its context and no credential. The response must contain the returned
// headers, even if Admit returns an error. The error is an [*Error].
func (g *Gate) Admit(r *http.Request, policies ...Policy) (*http.Request, http.Header, error) {
	inner, _, header, e := g.admit(r, checkPolicies("Gate.Admit", policies), false)
	header = header.Clone() // many requests may share one proof
	if e != nil {
		return nil, header, e
	}
	return inner, header, nil
}

// admit decides on r and reports the decision. It returns the request for the handler,
// Enrich and the policies, and the context of that request, which is never nil. It
// returns the header of the proof even if a policy denies, because the header may contain
// the nonce for the next request.
func (g *Gate) admit(r *http.Request, policies []Policy, optional bool) (*http.Request, *admitted, http.Header, *Error) {
	var start time.Time
	if g.observer != nil {
		start = time.Now()
	}
	sent := g.reads.find(r)
	a := &admitted{Context: r.Context(), gate: g, scheme: sent.scheme, explicit: sent.explicit > 0, authorization: len(sent.authorization) > 0}
	proof, by, e := g.authenticate(r, &sent)
	header := proof.Header
	if e != nil && optional && !a.explicit && e.Code.Status() == http.StatusUnauthorized && e.Reason != ReasonCredentialInURL {
		// RFC 9110 §11.6.2: a resource may be served without credentials.
		header, proof, e = e.Header, Proof{principal: new(Principal)}, nil
	}
	if e != nil {
		return nil, a, nil, g.report(r, a, e, start)
	}
	a.principal, a.by, a.request = proof.principal, by, r
	inner := r.WithContext(a) //nolint:contextcheck // a wraps the context of r
	inner.Header = g.reads.without(r.Header)
	if !a.principal.IsZero() {
		if e = g.complete(inner, a, proof.Tenants); e == nil {
			e = authorize(inner, a.principal, policies)
		}
		if e != nil {
			if e = g.report(r, a, e, start); e == unobserved {
				header = nil
			}
			return nil, a, header, e
		}
	}
	if g.observer != nil {
		event := requestEvent(r, start)
		if a.principal.IsZero() {
			event.Decision = Anonymous
		}
		event.Principal, event.Issuer, event.Credential = *a.principal, a.principal.Issuer, a.principal.Credential
		if err := observe(r.Context(), g.observer, event); err != nil {
			return nil, a, nil, unobserved
		}
	}
	return inner, a, header, nil
}

var unobserved = &Error{Code: CodeTemporarilyUnavailable, Reason: ReasonObserverFailed}

// authenticate returns the proof of the one authenticator that accepts r.
func (g *Gate) authenticate(r *http.Request, sent *credentials) (Proof, *checked, *Error) {
	if e := g.reads.checkURL(r, sent); e != nil {
		return Proof{}, nil, e
	}
	if e := g.reads.checkNumber(r, sent); e != nil {
		return Proof{}, nil, e
	}
	for i := range g.authenticators {
		a := &g.authenticators[i]
		if a.explicit != (sent.explicit > 0) {
			continue // an explicit credential takes precedence over an ambient one
		}
		proof, err := a.Authenticate(r)
		switch {
		case err == nil && (proof.principal == nil || proof.principal.IsZero()):
			return Proof{}, nil, &Error{
				Code: CodeTemporarilyUnavailable, Reason: ReasonAuthenticatorFailed,
				Cause: fmt.Errorf("gatehouse: %T returned no error and no Principal with a Method", a.Authenticator),
			}
		case err == nil:
			return proof, a, nil
		case errors.Is(err, ErrNoCredentials) && asError(err) == nil: // an *Error rejects the credential, even if it wraps ErrNoCredentials
			continue
		}
		if e := g.reads.checkForm(r); e != nil {
			return Proof{}, nil, e
		}
		return Proof{}, nil, asRefusal(err)
	}
	return Proof{}, nil, g.reads.unclaimed(r)
}

// complete calls Config.Enrich and checks that Enrich returns the same caller without
// additional scopes.
func (g *Gate) complete(r *http.Request, a *admitted, tenants []string) *Error {
	if g.enrich == nil {
		return nil
	}
	proved := a.principal
	failed := func(cause error) *Error {
		return &Error{
			Code: CodeTemporarilyUnavailable, Reason: ReasonEnrichFailed, Issuer: proved.Issuer, Credential: proved.Credential,
			Cause: fmt.Errorf("gatehouse: Config.Enrich: %w", cause),
		}
	}
	p, err := g.enrich(r, *proved)
	if e := asError(err); e != nil {
		return e
	} else if err != nil {
		return failed(err)
	}
	same := p
	same.Roles, same.Claims, same.Scopes = proved.Roles, proved.Claims, proved.Scopes
	if proved.Tenant == "" {
		same.Tenant = ""
	}
	var cause string
	switch {
	case same != *proved:
		cause = "changed more than Roles, Claims, Scopes and an empty Tenant"
	case !proved.Scopes.HasAll(p.Scopes):
		cause = "added a scope"
	case !p.Claims.extend(proved.Claims):
		cause = "changed or removed a claim"
	case p.Tenant != proved.Tenant && tenants != nil && !slices.Contains(tenants, p.Tenant):
		cause = "set a tenant that is not in Proof.Tenants"
	default:
		a.principal = &p
		return nil
	}
	return failed(errors.New(cause))
}

// report reports the refusal e. It returns the refusal to write: e, or a 503 if the
// observer fails.
func (g *Gate) report(r *http.Request, a *admitted, e *Error, start time.Time) *Error {
	if g.observer == nil {
		return e
	}
	event := refusalEvent(r, e, start)
	if a.principal != nil && !a.principal.IsZero() {
		event.Principal, event.Issuer, event.Credential = *a.principal, a.principal.Issuer, a.principal.Credential
		if event.Decision == Rejected {
			event.Decision = Denied
		}
	}
	if err := observe(r.Context(), g.observer, event); err != nil {
		return unobserved
	}
	return e
}

// refuse reports a refusal first and then writes it.
func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, a *admitted, e *Error, start time.Time) {
	g.writeError(w, r, a, g.report(r, a, e, start))
}
