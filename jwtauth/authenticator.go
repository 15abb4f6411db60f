// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Authenticator accepts the access tokens of configured issuers. It is safe for
// concurrent use.
type Authenticator struct {
	issuers     map[string]*issuer
	cache       *cache // nil if it is switched off
	revocations Revocations
	confirmers  *gatehouse.Confirmers
	maxBytes    int // the largest MaxTokenBytes of all issuers
	headers     *headerCache

	bearer  bool     // at least one issuer has its tokens in the Authorization header
	carrier []string // the other headers with tokens
}

var _ gatehouse.Authenticator = (*Authenticator)(nil)

// New returns an authenticator. It reports all configuration errors at once and
// makes no network call: see [Authenticator.Ready].
func New(config Config) (*Authenticator, error) {
	errs := []error{config.check()}
	confirmers, err := gatehouse.NewConfirmers(config.Confirmers...)
	if err != nil {
		errs = append(errs, fmt.Errorf("jwtauth: Config.Confirmers: %w", err))
	}
	a := &Authenticator{issuers: make(map[string]*issuer), revocations: config.Revocations, confirmers: confirmers, headers: newHeaderCache()}
	if config.CacheEntries > 0 {
		a.cache = newCache(config.CacheEntries)
	}
	for n, i := range config.Issuers {
		field := fmt.Sprintf("jwtauth: Config.Issuers[%d].", n)
		v, err := newIssuer(field, i, &config, config.maxLifetime())
		if a.issuers[i.URL] != nil {
			err = errors.Join(err, fmt.Errorf("%sURL: duplicate of an earlier issuer", field))
		}
		if len(config.Issuers) > 1 && len(i.Tenants) == 0 && !i.AnyTenant && i.Err == nil {
			err = errors.Join(err, fmt.Errorf("%sTenants: required with several issuers, or AnyTenant", field))
		}
		errs = append(errs, err)
		a.maxBytes = max(a.maxBytes, v.MaxTokenBytes)
		if v.Header == "" {
			a.bearer = true
		} else if !slices.Contains(a.carrier, v.Header) {
			a.carrier = append(a.carrier, v.Header)
		}
		a.issuers[i.URL] = v
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, i := range a.issuers {
		i.reportPlainHTTP()
	}
	return a, nil
}

// Close cancels running fetches of key sets and waits for them. Afterwards the response
// to a token that needs a fetch is 503.
func (a *Authenticator) Close() error {
	for _, i := range a.issuers {
		i.keys.close()
	}
	return nil
}

// Ready returns nil if the keys of every issuer are available, otherwise an error that
// names each issuer without keys. It starts the first fetch and waits for it until ctx is
// done. Call it at start, so that the first request does not wait for keys, and in a
// readiness probe.
func (a *Authenticator) Ready(ctx context.Context) error {
	now := time.Now()
	errs := make(chan error, len(a.issuers))
	for _, i := range a.issuers {
		go func() { errs <- i.ready(ctx, now) }()
	}
	var all []error
	for range a.issuers {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// ready waits for the keys of the issuer until ctx is done.
func (i *issuer) ready(ctx context.Context, now time.Time) error {
	_, err := i.keys.current(now)
	if err != nil {
		_, err = i.keys.awaited(ctx, now)
	}
	if err != nil {
		return fmt.Errorf("jwtauth: issuer %s: %w", i.URL, err)
	}
	return nil
}

// VerifyRequest verifies a compact token of the request r. scheme is the authentication
// scheme of the token, "" for a token from a cookie. The confirmers of a
// sender-constrained token receive r and scheme. VerifyRequest rejects a token of an
// issuer with Issuer.Header. The error is a [*gatehouse.Error].
func (a *Authenticator) VerifyRequest(r *http.Request, scheme, token string) (gatehouse.Proof, error) {
	return a.verifyRequest(r, scheme, "", token)
}

// verifyRequest verifies a token from the header with the given name, "" for a token from
// anywhere else.
func (a *Authenticator) verifyRequest(r *http.Request, scheme, name, token string) (gatehouse.Proof, error) {
	now := time.Now()
	v, err := a.verified(r.Context(), token, now)
	if err != nil {
		return gatehouse.Proof{}, err
	}
	if v.issuer.Header != name {
		e := reject(ReasonCarrier, v.issuer, v.issuer.carrierError())
		e.Credential = v.principal.Credential
		return gatehouse.Proof{}, e
	}
	header, err := a.confirm(r, scheme, token, v, now)
	if err != nil {
		return gatehouse.Proof{}, err
	}
	proof := gatehouse.NewProof(&v.principal)
	proof.Header, proof.Tenants = header, v.issuer.Tenants
	return proof, nil
}

// Verify verifies a compact token without a request, from any source. It rejects a
// sender-constrained token, because the proof of possession is in the request. The error
// is a [*gatehouse.Error].
func (a *Authenticator) Verify(ctx context.Context, token string) (gatehouse.Principal, error) {
	v, err := a.verified(ctx, token, time.Now())
	if err != nil {
		return gatehouse.Principal{}, err
	}
	if _, err := a.confirm(nil, "", token, v, time.Time{}); err != nil {
		return gatehouse.Principal{}, err
	}
	return v.principal, nil
}

// verified returns a token from the cache or verifies it, and checks that it is not
// revoked. The caller must then call confirm.
func (a *Authenticator) verified(ctx context.Context, token string, now time.Time) (*verified, error) {
	// Check the size first, so that an oversized token costs nothing.
	if len(token) > a.maxBytes {
		return nil, reject(ReasonOversized, nil, errOversized)
	}
	var hash uint64
	if a.cache != nil {
		hash = a.cache.hash(token)
		if v := a.cache.get(hash, token, now); v != nil {
			if now.Before(v.expires()) {
				set, err := v.issuer.keySet(ctx, now)
				if err != nil {
					return nil, err
				}
				if set.generation == v.generation {
					return v, a.checkRevocation(ctx, v)
				}
			}
			a.cache.remove(hash, v)
		}
	}
	v, err := a.verify(ctx, token, now)
	if err != nil {
		return nil, err
	}
	if a.cache != nil {
		a.cache.put(hash, v)
	}
	return v, a.checkRevocation(ctx, v)
}

func (a *Authenticator) checkRevocation(ctx context.Context, v *verified) error {
	if a.revocations == nil {
		return nil
	}
	revoked, err := a.revocations.Revoked(ctx, *v.token)
	switch {
	case err != nil:
		return unavailable(ReasonRevocationsUnavailable, v.issuer, 0, err)
	case revoked:
		e := reject(ReasonRevoked, v.issuer, fmt.Errorf("revoked token of subject %q, client %q, family %q", v.token.Subject, v.token.Client, v.token.Family))
		e.Credential = v.token.ID
		return e
	}
	return nil
}

// confirm checks the proof of possession of a sender-constrained token. It is called on
// every request, also for cached tokens.
func (a *Authenticator) confirm(r *http.Request, scheme, token string, v *verified, now time.Time) (http.Header, error) {
	header, err := a.confirmers.Confirm(r, scheme, token, v.confirmation, now)
	if e, ok := errors.AsType[*gatehouse.Error](err); ok {
		rejected := *e // an Error is immutable
		rejected.Issuer, rejected.Credential = v.issuer.URL, v.principal.Credential
		return nil, &rejected
	}
	return header, err
}

// verify verifies a token that is not in the cache.
//
// Implements RFC 7515 §4.1.1; RFC 7519 §7.2 (reject); RFC 7800 §3.1; RFC 8725
// §3.1 (algorithms), §3.3; RFC 9068 §4 (iss, alg); ASVS 5.0 §9.1.1.
func (a *Authenticator) verify(ctx context.Context, text string, now time.Time) (*verified, error) {
	var t token
	if err := t.parse(text, a.maxBytes, a.headers, a.cache != nil); err != nil {
		return nil, err
	}
	i, ok := a.issuers[t.claims.issuer]
	switch {
	case !ok:
		return nil, a.rejectIssuer(t.claims.issuer)
	case len(text) > i.MaxTokenBytes, len(t.Header) > i.MaxTokenBytes/4:
		return nil, reject(ReasonOversized, i, errOversized)
	case !isAccessTokenType(t.head.typ, i.Profile):
		return nil, reject(ReasonType, i, i.typeError())
	case t.head.x5t && i.Profile != Compatible:
		return nil, reject(ReasonHeader, i, errForbidden)
	}
	invalid := i.validateAccessToken(&t, now)
	var confirmation gatehouse.Confirmation
	var err error
	if cnf := t.claims.raw[claimCnf]; cnf != "" && invalid.reason == "" {
		if confirmation, err = a.confirmers.Parse(cnf); err != nil {
			invalid = rejection{gatehouse.ReasonUnconfirmed, err}
		}
	}
	set, err := i.verify(ctx, &t, invalid, now)
	if err != nil {
		return nil, err
	}
	p, invalid := i.principal(ctx, &t, confirmation.Binding())
	if invalid.reason != "" {
		e := reject(invalid.reason, i, invalid.cause)
		e.Credential = t.claims.id
		return nil, e
	}
	if t.newHeader {
		a.headers.put(t.Header, t.head)
	}
	v := &verified{text: t.text, principal: p, confirmation: confirmation, issuer: i, generation: set.generation}
	if a.revocations == nil {
		return v, nil
	}
	// The values of the claims, without the changes of Issuer.Principal.
	v.token = &Token{Issuer: i.URL, ID: t.claims.id, Subject: t.claims.subject, Client: t.claims.client, Family: t.claims.session}
	if t.claims.issued.present {
		v.token.IssuedAt = time.Unix(t.claims.issued.seconds, 0)
	}
	return v, nil
}

// typeError returns an error that names the accepted values of typ.
func (i *issuer) typeError() error {
	if i.Profile == Compatible {
		return errors.New("typ: neither at+jwt nor JWT: the token is of another kind")
	}
	return errors.New("typ: not at+jwt: set Profile: Compatible if the issuer sends JWT or no typ")
}

// rejectIssuer rejects a token whose iss is not a configured issuer. The cause names the
// most frequent mistake: an additional or missing slash at the end.
func (a *Authenticator) rejectIssuer(iss string) *gatehouse.Error {
	near, ok := strings.CutSuffix(iss, "/")
	if !ok {
		near += "/"
	}
	if i := a.issuers[near]; i != nil {
		return reject(ReasonIssuer, i, errors.New("claim iss: differs from Issuer.URL only by a trailing slash"))
	}
	return reject(ReasonIssuer, nil, fmt.Errorf("claim iss: not a configured Issuer.URL: %s", list(slices.Sorted(maps.Keys(a.issuers)))))
}
