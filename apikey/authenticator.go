// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/clientaddr"
)

const (
	headerName   = "X-Api-Key"
	schemeName   = "ApiKey"
	retryAfter   = 5 * time.Second
	writeTimeout = time.Second
)

// Challenge returns the challenge of a 401 response: scheme ApiKey.
func (*Keys) Challenge() gatehouse.Challenge { return gatehouse.Challenge{Scheme: schemeName} }

// Inspect rejects a request whose URL contains a key of this prefix, or the
// beginning of one with 8 characters of the secret, whatever other credential
// the request carries: URLs are logged, so the key has leaked. It does not look
// the key up; use [Keys.Describe] for that.
func (k *Keys) Inspect(r *http.Request) error {
	id := k.find(r.URL.Path)
	if id == "" {
		query := r.URL.RawQuery
		if unescaped, err := url.QueryUnescape(query); err == nil {
			query = unescaped // keys need no escaping, but some clients escape "_"
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

// find returns the ID of the first key of this prefix in a text, "" for none. A
// label with 8 characters of the secret counts as a key, because a truncated or
// mistyped key still reveals most of a secret. A label alone is not secret.
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

// decision is the result of looking at one key.
type decision struct {
	id      string
	address netip.Addr // of the client, invalid if unknown or not needed
	record  Record     // zero if the key was not found
	expires time.Time  // of the secret
	reason  gatehouse.Reason
}

// Authenticate reads a key from the header X-API-Key, or from the header
// Authorization with scheme Bearer or ApiKey. It claims texts that begin with
// [Config].Prefix and an underscore.
//
// An unknown, malformed, expired, revoked or suspended key and a wrong secret get
// the same response after the same work. The reason and the ID are in the event.
func (k *Keys) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	text, found := k.credential(r)
	if found.err != nil {
		return gatehouse.Proof{}, found.err
	}
	var d decision
	now, err := k.decide(r.Context(), text, &d)
	if err != nil {
		return gatehouse.Proof{}, k.unavailable(d.id, err)
	}
	if limited := len(d.record.Networks) > 0; limited || k.alarm != nil {
		d.address = k.proxies.Client(r)
		if d.reason == "" && limited && !clientaddr.Contains(d.record.Networks, d.address) {
			d.reason = gatehouse.ReasonKeyNetwork
		}
	}
	if err := k.watch(r.Context(), &d); err != nil {
		return gatehouse.Proof{}, err
	}
	if d.reason != "" {
		return gatehouse.Proof{}, k.reject(found.scheme, &d)
	}
	use := k.usage.of(d.id)
	use.count(r.Context(), k.store, &d.record, now)
	return gatehouse.Proof{
		Principal: use.principalOf(k, &d.record, d.expires), Source: gatehouse.SourceHeader, Name: found.header,
	}, nil
}

// place is where a request carries a key, or the error of reading it.
type place struct {
	header, scheme string
	err            error
}

// credential returns the text that may be a key.
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
	if at.err == nil && !strings.HasPrefix(text, k.start) {
		at.err = gatehouse.ErrNoCredentials
	}
	return text, at
}

// decide looks a key up and fills in the decision, all but the check of its
// networks. It returns the store's time. An error means that the store is
// unavailable.
func (k *Keys) decide(ctx context.Context, text string, d *decision) (now time.Time, err error) {
	s := k.hasher.get()
	defer k.hasher.put(s)
	label, ok := k.read(s, text)
	d.id = label.ID
	switch {
	case !ok:
		d.reason = gatehouse.ReasonKeyMalformed
		return now, nil
	case label.Environment != k.environment:
		d.reason = gatehouse.ReasonKeyEnvironment
		return now, nil
	}
	now, err = k.lookup(ctx, d.id, &d.record)
	missing := errors.Is(err, ErrNotFound)
	if err != nil && !missing {
		return now, err
	}
	current, previous := k.match(s, &d.record) // the zero record matches no secret
	d.expires = d.record.Expires
	if !current {
		d.expires = d.record.GraceEnds
	}
	switch {
	case missing:
		d.reason = gatehouse.ReasonKeyUnknown
	case !current && !previous:
		d.reason = gatehouse.ReasonKeySecret
	case !d.record.Revoked.IsZero():
		d.reason = gatehouse.ReasonKeyRevoked
	case !d.record.Suspended.IsZero():
		d.reason = gatehouse.ReasonKeySuspended
	case !current && !now.Before(d.expires):
		d.reason = gatehouse.ReasonKeyRotated
	case !now.Before(d.expires):
		d.reason = gatehouse.ReasonKeyExpired
	}
	return now, nil
}

// read checks a text that may be a key of this prefix and fills s with its hashes.
// It reports false if the format, the prefix or the checksum is wrong.
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

// match reports which secrets of the record s contains. It always compares with
// both.
func (k *Keys) match(s *scratch, record *Record) (current, previous bool) {
	return k.hasher.match(s, &record.Current), k.hasher.match(s, &record.Previous)
}

// reject returns the error for a rejected key.
func (k *Keys) reject(scheme string, d *decision) error {
	e := &gatehouse.Error{Code: gatehouse.CodeInvalidAPIKey, Reason: d.reason, Issuer: k.issuer, Credential: d.id}
	switch {
	case d.reason == gatehouse.ReasonKeyEnvironment || d.reason == gatehouse.ReasonKeyNetwork:
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

// detached returns a context for writes and events that continue when the client
// hangs up.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
}
