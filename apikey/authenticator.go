// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

const (
	headerName    = "X-Api-Key"
	schemeName    = "ApiKey"
	retryAfter    = 5 * time.Second
	writeDeadline = time.Second
)

// Challenge invites a caller without credentials to send a key.
func (*Keys) Challenge() gatehouse.Challenge { return gatehouse.Challenge{Scheme: schemeName} }

// Inspect refuses a request whose URL holds a key of ours, or a good part of
// one, whatever credential it carries: the key now stands in logs. It is not
// looked up; whether there is such a key, [Keys.Describe] tells.
func (k *Keys) Inspect(r *http.Request) error {
	id := k.find(r.URL.Path)
	if id == "" {
		query := r.URL.RawQuery
		if unescaped, err := url.QueryUnescape(query); err == nil {
			query = unescaped // nothing in a key needs escaping, but some do it
		}
		id = k.find(query)
	}
	if id == "" {
		return nil
	}
	e := &gatehouse.Error{
		Code: gatehouse.CodeMissingCredentials, Reason: gatehouse.ReasonCredentialInURL, Issuer: k.issuer, Credential: id,
	}
	if gatehouse.HasExplicitCredential(r) {
		// RFC 6750 §2: "Clients MUST NOT use more than one method to transmit
		// the token in each request."
		e.Code = gatehouse.CodeInvalidRequest
	}
	return e
}

// Authenticate reads a key from X-API-Key, or from Authorization with the
// scheme Bearer or ApiKey, and from nowhere else. It claims what begins with
// the prefix and an underscore.
//
// A key that does not exist, is malformed, expired, revoked or suspended, and
// a wrong secret, all get the same answer after the same work. The observer
// learns which it was, and the ID.
func (k *Keys) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	text, found := k.credential(r)
	if found.err != nil {
		return gatehouse.Proof{}, found.err
	}
	s := k.hasher.get()
	label, ok := k.read(s, text)
	var p *gatehouse.Principal
	reason := gatehouse.ReasonKeyMalformed
	var err error
	switch {
	case ok && label.Environment != k.environment:
		reason = gatehouse.ReasonKeyEnvironment
	case ok:
		p, reason, err = k.verify(r, s, label.ID)
	}
	k.hasher.put(s)
	switch {
	case err != nil:
		return gatehouse.Proof{}, err
	case p == nil:
		return gatehouse.Proof{}, k.refuse(r, found.scheme, label.ID, reason)
	}
	return gatehouse.Proof{Principal: p, Source: gatehouse.SourceHeader, Name: found.header}, nil
}

// place is where in a request a key was found, or why none was.
type place struct {
	header, scheme string
	err            error
}

// credential returns what may be a key of ours.
func (k *Keys) credential(r *http.Request) (string, place) {
	values, at := r.Header[headerName], place{header: headerName}
	var text string
	switch len(values) {
	case 1:
		text = values[0]
	case 0:
		at = place{header: "Authorization", scheme: "Bearer"}
		if text, at.err = gatehouse.Authorization(r, at.scheme); errors.Is(at.err, gatehouse.ErrNoCredentials) {
			at.scheme = schemeName
			text, at.err = gatehouse.Authorization(r, at.scheme)
		}
	default:
		at.err = &gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Reason: gatehouse.ReasonSeveralCredentials}
	}
	if at.err == nil && !k.claims(text) {
		at.err = gatehouse.ErrNoCredentials
	}
	return text, at
}

// claims reports whether text is meant to be a key of ours.
func (k *Keys) claims(text string) bool { return strings.HasPrefix(text, k.start) }

// find returns the id of the first key of ours in a text, or of what is left of
// one: a key that was cut or mistyped on its way holds most of a secret too. A
// label alone is no secret.
func (k *Keys) find(text string) string {
	const someSecret = 8 // characters
	for {
		i := strings.Index(text, k.start)
		if i < 0 {
			return ""
		}
		text = text[i+len(k.start):]
		environment, rest, _ := strings.Cut(text, "_")
		id, secret, _ := strings.Cut(rest, "_")
		if isName(environment) && len(id) == idChars && isBase62(id) && len(secret) >= someSecret && isBase62(secret[:someSecret]) {
			return id
		}
	}
}

// read checks a text that may be a key of ours and fills s with its hashes. It
// reports false where the shape, the prefix or the checksum is wrong.
func (k *Keys) read(s *scratch, text string) (Label, bool) {
	label, ok := split(text)
	if !ok || label.Prefix != k.prefix {
		return Label{}, false
	}
	n := copy(s.text[:], text) - checksumChars
	if !isChecksum(text[n:], s.text[:n]) {
		return Label{}, false
	}
	k.hasher.hash(s, s.text[:n])
	return label, true
}

// match reports which secrets of the record s holds. It always compares with
// both.
func (k *Keys) match(s *scratch, record *Record) (current, previous bool) {
	return k.hasher.match(s, &record.Current), k.hasher.match(s, &record.Previous)
}

// verify looks a key up and returns who is calling, or the reason why not. An
// error means that it cannot be told.
func (k *Keys) verify(r *http.Request, s *scratch, id string) (*gatehouse.Principal, gatehouse.Reason, error) {
	var record Record
	now, err := k.lookup(r.Context(), id, &record)
	missing := errors.Is(err, ErrNotFound)
	if err != nil && !missing {
		return nil, "", k.unavailable(id, err)
	}
	current, previous := k.match(s, &record) // a missing record is zero, and no hash is
	expires := record.Expires
	if !current {
		expires = record.GraceEnds
	}
	switch {
	case missing:
		return nil, gatehouse.ReasonKeyUnknown, nil
	case !current && !previous:
		return nil, gatehouse.ReasonKeySecret, nil
	case !record.Revoked.IsZero():
		if err := k.alarm.usedAfterRevocation(k, r, &record); err != nil {
			return nil, "", unrecorded(id, err)
		}
		return nil, gatehouse.ReasonKeyRevoked, nil
	case !record.Suspended.IsZero():
		return nil, gatehouse.ReasonKeySuspended, nil
	case !current && !now.Before(expires):
		return nil, gatehouse.ReasonKeyRotated, nil
	case !now.Before(expires):
		return nil, gatehouse.ReasonKeyExpired, nil
	}
	if len(record.Networks) > 0 && !contains(record.Networks, k.clientAddr(r)) {
		return nil, gatehouse.ReasonKeyNetwork, nil
	}
	if suspended, err := k.alarm.used(k, r, &record); err != nil {
		return nil, "", err
	} else if suspended {
		return nil, gatehouse.ReasonKeySuspended, nil
	}
	use := k.usage.of(id)
	use.count(r.Context(), k.store, &record, now)
	return k.principal(use, &record, expires), "", nil
}

// principal returns who is calling: the value of the last request where nothing
// has changed since, as it mostly has not.
func (k *Keys) principal(use *keyUsage, record *Record, expires time.Time) *gatehouse.Principal {
	last := use.principal.Load()
	if last != nil && last.Subject == record.Owner && last.Tenant == record.Tenant && last.Environment == record.Environment &&
		last.Scopes == record.Scopes && last.Claims == record.Metadata && last.Expires.Equal(expires) {
		return last
	}
	p := &gatehouse.Principal{
		Kind:        k.kind,
		Subject:     record.Owner,
		Issuer:      k.issuer,
		Tenant:      record.Tenant,
		Environment: record.Environment,
		Method:      gatehouse.MethodAPIKey,
		Credential:  record.ID,
		Scopes:      record.Scopes,
		Expires:     expires,
		Claims:      record.Metadata,
	}
	use.principal.Store(p)
	return p
}

// refuse makes the answer to a key that is not accepted.
func (k *Keys) refuse(r *http.Request, scheme, id string, reason gatehouse.Reason) error {
	if err := k.alarm.failed(k, r); err != nil {
		return unrecorded(id, err)
	}
	e := &gatehouse.Error{Code: gatehouse.CodeInvalidAPIKey, Reason: reason, Issuer: k.issuer, Credential: id}
	switch {
	case reason == gatehouse.ReasonKeyEnvironment || reason == gatehouse.ReasonKeyNetwork:
		e.Code = gatehouse.CodeAccessDenied
	case scheme == "Bearer":
		// RFC 6750 §3.1: invalid_token, "The access token provided is expired,
		// revoked, malformed, or invalid for other reasons."
		e.Code = gatehouse.CodeInvalidToken
	case scheme == schemeName:
		e.Scheme = schemeName
	}
	return e
}

func (k *Keys) unavailable(id string, err error) error {
	return &gatehouse.Error{
		Code: gatehouse.CodeTemporarilyUnavailable, Reason: gatehouse.ReasonKeyStoreUnavailable, RetryAfter: retryAfter,
		Issuer: k.issuer, Credential: id, Cause: err,
	}
}

// detached is the context of a write that a caller who hangs up must not stop.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), writeDeadline)
}
