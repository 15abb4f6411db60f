// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"errors"
	"fmt"
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
	bearer       = "Bearer"
	retryAfter   = 5 * time.Second
	writeTimeout = time.Second
)

// Reads implements [gatehouse.Authenticator]: the header X-API-Key, and the header
// Authorization with the schemes ApiKey and Bearer. Challenges do not advertise
// Bearer.
//
// The gate rejects a request whose URL contains a key of this prefix, or the
// beginning of one with 8 characters of the secret, whatever other credential
// the request carries: URLs are logged, so the key has leaked. The key is not
// looked up; use [Keys.Describe] for that.
func (k *Keys) Reads() gatehouse.Reads {
	return gatehouse.Reads{
		Schemes: []gatehouse.Scheme{{Name: schemeName, Invalid: CodeInvalidKeyScheme}, {Name: bearer, Silent: true}},
		Headers: []gatehouse.Header{{Name: headerName, Invalid: CodeInvalidKey}},
		InURL:   k.inURL,

		Rechecks: true,
	}
}

func (k *Keys) inURL(u *url.URL) (issuer, credential string) {
	id := k.find(u.Path)
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if id != "" {
			break
		}
		if unescaped, err := url.QueryUnescape(pair); err == nil {
			pair = unescaped // keys need no escaping, but some clients escape "_"
		}
		id = k.find(pair)
	}
	return k.issuer, id
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
	record  Record     // of a key that was found
	expires time.Time  // of the secret
	reason  gatehouse.Reason
}

// Authenticate reads a key from the header X-API-Key, or from the header Authorization
// with scheme Bearer or ApiKey. It treats a text that begins with [Config].Prefix and an
// underscore as a key, and returns [gatehouse.ErrNoCredentials] for any other.
//
// The response and the processing time are the same for an unknown, expired, revoked or
// suspended key and for a wrong secret. The reason and the ID are in the event.
func (k *Keys) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	text, invalid, err := k.credential(r)
	if err != nil {
		return gatehouse.Proof{}, err
	}
	var d decision
	now, err := k.decide(r.Context(), text, &d)
	if err != nil {
		return gatehouse.Proof{}, k.unavailable(d.id, err)
	}
	if limited := len(d.record.Networks) > 0; limited || k.alarm != nil {
		d.address = k.proxies.Client(r)
		if d.reason == "" && limited && !clientaddr.Contains(d.record.Networks, d.address) {
			d.reason = ReasonNetwork
		}
	}
	again := gatehouse.IsRecheck(r.Context())
	if !again {
		if err := k.checkThresholds(r.Context(), &d); err != nil {
			return gatehouse.Proof{}, err
		}
	}
	if d.reason != "" {
		return gatehouse.Proof{}, k.reject(invalid, &d)
	}
	use := k.usage.of(d.id)
	if !again {
		use.count(r.Context(), k.store, &d.record, now)
	}
	return gatehouse.NewProof(use.principalOf(k, &d.record, d.expires)), nil
}

// credential returns the text that may be a key, and the code for the case that it
// is invalid.
func (k *Keys) credential(r *http.Request) (text string, invalid gatehouse.Code, err error) {
	switch values := r.Header[headerName]; len(values) {
	case 1:
		text, invalid = values[0], CodeInvalidKey
	case 0:
		// RFC 6750 §3.1 (invalid_token): invalid_token, "The access token
		// provided is expired, revoked, malformed, or invalid for other
		// reasons."
		invalid = gatehouse.CodeInvalidToken
		if text, err = gatehouse.Authorization(r, bearer); errors.Is(err, gatehouse.ErrNoCredentials) {
			invalid = CodeInvalidKeyScheme
			text, err = gatehouse.Authorization(r, schemeName)
		}
	default:
		err = &gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Reason: gatehouse.ReasonSeveralCredentials}
	}
	if err == nil && !strings.HasPrefix(text, k.start) {
		err = gatehouse.ErrNoCredentials
	}
	return text, invalid, err
}

// decide looks a key up and fills in the decision, without checking the networks of the
// key. It returns the time of the store. An error means that the store is unavailable.
func (k *Keys) decide(ctx context.Context, text string, d *decision) (now time.Time, err error) {
	s := k.hasher.get()
	defer k.hasher.put(s)
	label, ok := k.read(s, text)
	d.id = label.ID
	switch {
	case !ok:
		d.reason = ReasonMalformed
		return time.Time{}, nil
	case label.Environment != k.environment:
		d.reason = ReasonEnvironment
		return time.Time{}, nil
	}
	now, found, err := k.lookup(ctx, d.id, &d.record)
	current, previous := k.match(s, &d.record) // the zero record matches no secret
	if err == nil && !found.IsZero() && !current && !previous {
		now, err = k.refill(ctx, d.id, found, &d.record)
		current, previous = k.match(s, &d.record)
	}
	missing := errors.Is(err, ErrNotFound)
	if err != nil && !missing {
		return time.Time{}, err
	}
	d.expires = d.record.Expires
	if !current {
		d.expires = d.record.GraceEnds
	}
	switch {
	case missing:
		d.reason = ReasonUnknown
	case !current && !previous:
		d.reason = ReasonSecret
	case !d.record.Revoked.IsZero():
		d.reason = ReasonRevoked
	case !d.record.Suspended.IsZero():
		d.reason = ReasonSuspended
	case !current && !now.Before(d.expires):
		d.reason = ReasonRotated
	case !now.Before(d.expires):
		d.reason = ReasonExpired
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

// match reports whether the secret in s is the current or the previous one of the record.
// It always compares with both.
func (k *Keys) match(s *scratch, record *Record) (current, previous bool) {
	return k.hasher.match(s, &record.Current), k.hasher.match(s, &record.Previous)
}

// reject returns the error for a rejected key.
func (k *Keys) reject(invalid gatehouse.Code, d *decision) error {
	if d.reason == ReasonEnvironment || d.reason == ReasonNetwork {
		invalid = gatehouse.CodeAccessDenied
	}
	return &gatehouse.Error{Code: invalid, Reason: d.reason, Issuer: k.issuer, Credential: d.id}
}

func (k *Keys) unavailable(id string, err error) error {
	return &gatehouse.Error{
		Code: gatehouse.CodeTemporarilyUnavailable, Reason: ReasonStoreUnavailable, RetryAfter: retryAfter,
		Issuer: k.issuer, Credential: id, Cause: err,
	}
}

// failed returns the error of a method of Keys after a failed call of the store: 503,
// unless err is ErrNotFound or ErrConflict.
func (k *Keys) failed(method string, err error) error {
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrConflict) {
		return fmt.Errorf("apikey: %s: %w", method, err)
	}
	return fmt.Errorf("apikey: %s: %w: %w", method, k.unavailable("", err), err)
}

// detached returns a context for writes and events that must continue after the client
// disconnects.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
}
