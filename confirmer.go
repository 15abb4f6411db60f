// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Confirmer checks that the sender of a request holds the key to which a token is bound
// by one member of its cnf claim, RFC 7800 section 3.1. A package implements it to add a
// kind of proof of possession. The configuration of an authenticator lists its
// confirmers.
type Confirmer interface {
	// Confirms declares what the confirmer confirms. [NewConfirmers] calls it
	// once.
	Confirms() Confirms

	// Confirm checks that the sender of r holds the key that the member of cnf names, and
	// returns headers for the response. token is the token that r carries. member is the
	// value of the member: the text of a JSON string, or the JSON of an object. now is
	// the time at which the token was validated: some seconds ago if the request waited
	// for keys or revocations. The response to an error that is not an [*Error] is 503.
	//
	// Confirm is called for each request, even if the token itself is cached. It is
	// called again for the later checks of a long request only if Confirms.Rechecks is
	// true.
	//
	// Confirm must be safe for concurrent use and must not change the request.
	Confirm(r *http.Request, token, member string, now time.Time) (http.Header, error)
}

// Confirms declares which member of cnf a [Confirmer] checks, and where a request carries
// the proof of possession.
type Confirms struct {
	// Member is the name of the member of cnf, such as "jkt". Required.
	Member string

	// Binding is the value of [Principal.Binding] after success. Required.
	Binding Binding

	// Scheme is the authentication scheme of tokens with this binding. Such a token is
	// rejected under any other scheme, and any other token is rejected under this scheme.
	// Use the zero Scheme for a proof that does not depend on the scheme, such as a
	// client certificate.
	Scheme Scheme

	// Companions are headers that carry the proof under any scheme, such as Client-Cert.
	// The handler does not receive them.
	Companions []string

	// Rechecks is true if Confirm may be called again while a request that it has
	// accepted is served: see [UntilCredentialEnds]. Leave it false for a proof that is
	// valid once: a second call would reject it as a replay.
	Rechecks bool
}

// Confirmers are the confirmers of one authenticator. Nil and the zero value contain no
// confirmer and reject every token with a cnf claim. Confirmers is safe for concurrent
// use.
type Confirmers struct {
	all      []Confirmer
	declared []Confirms
}

// NewConfirmers returns a set of confirmers. It reports all errors at once: a
// nil confirmer, an incomplete declaration, a duplicate member or scheme.
func NewConfirmers(confirmers ...Confirmer) (*Confirmers, error) {
	c := &Confirmers{all: slices.Clone(confirmers)}
	var errs []error
	for i, confirmer := range c.all {
		if typednil.Is(confirmer) {
			errs = append(errs, fmt.Errorf("confirmer %d: nil", i))
			continue
		}
		d := confirmer.Confirms()
		switch {
		case d.Member == "" || d.Binding == "":
			errs = append(errs, fmt.Errorf("confirmer %d (%T): Confirms: Member and Binding are required", i, confirmer))
		case slices.ContainsFunc(c.declared, func(o Confirms) bool {
			return o.Member == d.Member || d.Scheme.Name != "" && strings.EqualFold(o.Scheme.Name, d.Scheme.Name)
		}):
			errs = append(errs, fmt.Errorf("confirmer %d (%T): duplicate member or scheme", i, confirmer))
		}
		c.declared = append(c.declared, d)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return c, nil
}

// Reads adds the schemes and companions of the confirmers to those of an
// authenticator.
func (c *Confirmers) Reads(r Reads) Reads {
	if c == nil {
		return r
	}
	r.Schemes, r.Companions = slices.Clone(r.Schemes), slices.Clone(r.Companions)
	for _, d := range c.declared {
		if d.Scheme.Name != "" {
			r.Schemes = append(r.Schemes, d.Scheme)
		}
		r.Companions = append(r.Companions, d.Companions...)
	}
	return r
}

// Token returns the token of the [Authorization] header and its scheme: Bearer
// or the scheme of a confirmer. Its errors are those of Authorization.
func (c *Confirmers) Token(r *http.Request) (scheme, token string, err error) {
	token, err = Authorization(r, "Bearer")
	if c == nil || !errors.Is(err, ErrNoCredentials) {
		return "Bearer", token, err
	}
	for i := range c.declared {
		if scheme = c.declared[i].Scheme.Name; scheme == "" {
			continue
		}
		if token, err = Authorization(r, scheme); !errors.Is(err, ErrNoCredentials) {
			return scheme, token, err
		}
	}
	return "", "", ErrNoCredentials
}

// Confirmation is the parsed cnf claim of a verified token, RFC 7800. It is
// immutable and can be cached with the token. The zero value stands for a token
// without the claim.
type Confirmation struct {
	members []string // in the order of the confirmers, "" if cnf lacks the member
	binding Binding
}

// Binding returns the value of [Principal.Binding] for the token.
func (c Confirmation) Binding() Binding { return c.binding }

// Parse reads the cnf claim of a token once, when the token is verified. cnf must be a
// JSON object with at least one member. Every member must occur once, be a JSON object or
// a non-empty string, and have a confirmer. Otherwise Parse returns an error, which
// contains no value of the claim: if it ignored a member, an attacker could use a stolen
// sender-constrained token as a bearer token. Do not call Parse for a token without the
// claim.
//
// Implements RFC 7800 §3.1.
func (c *Confirmers) Parse(cnf string) (Confirmation, error) {
	var confirmation Confirmation
	var bindings []string
	var unknown []string
	limits := strictjson.Limits{Depth: 8, Members: 64}
	err := strictjson.Object(cnf, limits, func(name, value string) error {
		text, _ := strictjson.String(value)
		if strings.HasPrefix(value, "{") {
			text = value
		}
		i := c.index(name)
		if i < 0 || text == "" {
			unknown = append(unknown, name)
			return nil
		}
		if confirmation.members == nil {
			confirmation.members = make([]string, len(c.declared))
		}
		confirmation.members[i] = text
		bindings = append(bindings, string(c.declared[i].Binding))
		return nil
	})
	switch {
	case len(unknown) > 0:
		return Confirmation{}, fmt.Errorf("claim cnf: member %.64q: no confirmer is configured for it, or it is not a string or an object", unknown[0])
	case err != nil || len(bindings) == 0:
		return Confirmation{}, errors.New("claim cnf: not a JSON object with at least one member")
	}
	slices.Sort(bindings)
	confirmation.binding = Binding(strings.Join(bindings, "+"))
	return confirmation, nil
}

// index returns the confirmer of a member of cnf, -1 if there is none.
func (c *Confirmers) index(member string) int {
	if c == nil {
		return -1
	}
	return slices.IndexFunc(c.declared, func(d Confirms) bool { return d.Member == member })
}

// Confirm checks on each request that the sender of r holds each key to which the token
// is bound, and returns headers for the response. Call it after the expiry, the key set
// and the revocation of the token have been checked. In a later check of a long request
// it calls only the confirmers that declare Confirms.Rechecks; it does not check the
// other proofs again. scheme is the authentication scheme of the token, "" for a token
// from a cookie or another header. now is the time at which the token was validated. If r
// is nil, a bound token is rejected.
//
// RFC 9449 §7.1: a bound token is rejected under any scheme but that of its confirmer,
// and an unbound token is rejected under that scheme. So a stolen token cannot be
// downgraded to a Bearer token.
//
// Implements ASVS 5.0 §10.3.5.
func (c *Confirmers) Confirm(r *http.Request, scheme, token string, confirmation Confirmation, now time.Time) (http.Header, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // the token is not bound: no header and no error
	}
	var header http.Header
	for i := range c.declared {
		d := &c.declared[i]
		member := ""
		if confirmation.members != nil {
			member = confirmation.members[i]
		}
		here := d.Scheme.Name != "" && strings.EqualFold(scheme, d.Scheme.Name)
		var cause string
		switch {
		case member == "" && !here:
			continue
		case member == "":
			cause = "scheme " + d.Scheme.Name + ": the cnf claim of the token has no member " + d.Member
		case r == nil:
			cause = "the token is bound by " + d.Member + ": the proof of possession cannot be checked without a request"
		case d.Scheme.Name != "" && !here:
			cause = "the token is bound by " + d.Member + ": the scheme must be " + d.Scheme.Name
		}
		if cause != "" {
			return nil, &Error{Code: CodeInvalidToken, Reason: ReasonUnconfirmed, Scheme: scheme, Cause: errors.New("gatehouse: " + cause)}
		}
		if !d.Rechecks && IsRecheck(r.Context()) {
			continue
		}
		extra, err := c.all[i].Confirm(r, token, member, now)
		if err != nil {
			return nil, asRefusal(err)
		}
		header = mergeHeader(header, extra)
	}
	return header, nil
}

// mergeHeader returns header with the values of extra. It may change header.
func mergeHeader(header, extra http.Header) http.Header {
	if header == nil {
		return extra.Clone()
	}
	for name, values := range extra {
		header[http.CanonicalHeaderKey(name)] = append(header[http.CanonicalHeaderKey(name)], values...)
	}
	return header
}
