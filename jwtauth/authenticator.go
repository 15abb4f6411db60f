// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
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
	maxBytes    int // the largest MaxTokenBytes of all issuers
	headers     headerCache
}

var (
	_ gatehouse.Authenticator = (*Authenticator)(nil)
	_ gatehouse.Challenger    = (*Authenticator)(nil)
)

// New returns an authenticator. It reports all configuration errors at once and
// makes no network call: see [Authenticator.Ready].
func New(config Config) (*Authenticator, error) {
	errs := []error{config.check()}
	a := &Authenticator{issuers: make(map[string]*issuer), revocations: config.Revocations}
	if config.CacheEntries > 0 {
		a.cache = newCache(config.CacheEntries)
	}
	for n, i := range config.Issuers {
		field := fmt.Sprintf("jwtauth: Config.Issuers[%d].", n)
		v, err := newIssuer(field, i, &config, config.maxLifetime())
		if a.issuers[i.URL] != nil {
			err = errors.Join(err, fmt.Errorf("%sURL: duplicate of an earlier issuer", field))
		}
		errs = append(errs, err)
		a.maxBytes = max(a.maxBytes, v.MaxTokenBytes)
		a.issuers[i.URL] = v
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return a, nil
}

// Close cancels running fetches of key sets and waits for them. Afterwards a
// token that needs a fetch is answered with 503.
func (a *Authenticator) Close() error {
	for _, i := range a.issuers {
		i.keys.close()
	}
	return nil
}

// Ready returns nil if the keys of every issuer are available, and otherwise an
// error for each issuer whose keys are not. It starts the first fetch and waits
// for it until ctx is done. Call it at start, so that the first request finds
// the keys, and in a readiness probe.
func (a *Authenticator) Ready(ctx context.Context) error {
	now := time.Now()
	errs := make(chan error, len(a.issuers))
	for _, i := range a.issuers {
		go func() {
			_, err := i.keys.current(now)
			if err != nil {
				_, err = i.keys.renewed(ctx, "")
			}
			if err != nil {
				err = fmt.Errorf("jwtauth: issuer %s: %w", i.URL, err)
			}
			errs <- err
		}()
	}
	var all []error
	for range a.issuers {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// Challenge returns the Bearer challenge of RFC 6750 section 3.
func (a *Authenticator) Challenge() gatehouse.Challenge { return gatehouse.Challenge{Scheme: "Bearer"} }

// Authenticate verifies the Bearer token of a request if it has the shape of a
// JWT, two dots. A Bearer token of another shape is left to other authenticators.
func (a *Authenticator) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	token, err := gatehouse.Authorization(r, "Bearer")
	if err != nil {
		return gatehouse.Proof{}, err
	}
	if len(token) <= a.maxBytes && !isCompact(token) {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	p, err := a.Verify(r.Context(), token)
	if err != nil {
		return gatehouse.Proof{}, err
	}
	return gatehouse.Proof{Principal: p, Source: gatehouse.SourceHeader, Name: "Authorization"}, nil
}

// Verify verifies a compact token that did not come in an Authorization header.
// The principal may be shared and must not be changed. The error is a
// [*gatehouse.Error].
func (a *Authenticator) Verify(ctx context.Context, token string) (*gatehouse.Principal, error) {
	// The size comes first, so that an oversized token costs nothing.
	if len(token) > a.maxBytes {
		return nil, reject(gatehouse.ReasonTokenOversized, nil, errOversized)
	}
	now := time.Now()
	var key fingerprint
	if a.cache != nil {
		var buffer [1024]byte // a conversion to []byte allocates
		key = sha256.Sum256(append(buffer[:0], token...))
		if v := a.cache.get(key); v != nil {
			set, err := v.issuer.keys.current(now)
			if err == nil && set.generation == v.generation && now.Before(v.expires) {
				return a.checkRevocation(ctx, v)
			}
			a.cache.remove(key)
		}
	}
	v, err := a.verify(ctx, token, now)
	if err != nil {
		return nil, err
	}
	if a.cache != nil {
		a.cache.put(key, v)
	}
	return a.checkRevocation(ctx, v)
}

func (a *Authenticator) checkRevocation(ctx context.Context, v *verified) (*gatehouse.Principal, error) {
	if a.revocations == nil {
		return &v.principal, nil
	}
	revoked, err := a.revocations.Revoked(ctx, v.token)
	switch {
	case err != nil:
		return nil, unavailableError(gatehouse.ReasonRevocationsUnavailable, v.issuer, 0, err)
	case revoked:
		e := reject(gatehouse.ReasonTokenRevoked, v.issuer, fmt.Errorf("revoked token of subject %q, client %q, family %q", v.token.Subject, v.token.Client, v.token.Family))
		e.Credential = v.token.ID
		return nil, e
	}
	return &v.principal, nil
}

// verify verifies a token that is not in the cache.
func (a *Authenticator) verify(ctx context.Context, token string, now time.Time) (*verified, error) {
	t, err := parse(token, a.maxBytes, &a.headers)
	if err != nil {
		return nil, err
	}
	i, ok := a.issuers[t.claims.issuer]
	switch {
	case !ok:
		return nil, a.rejectIssuer(t.claims.issuer)
	case len(token) > i.MaxTokenBytes, len(t.header) > i.MaxTokenBytes/4:
		return nil, reject(gatehouse.ReasonTokenOversized, i, errOversized)
	case !isAccessTokenType(t.head.typ, i.Profile):
		return nil, reject(gatehouse.ReasonTokenType, i, errors.New("typ is not at+jwt; set Profile: Compatible if the issuer sends JWT or no typ"))
	case t.head.x5t && i.Profile != Compatible:
		return nil, reject(gatehouse.ReasonTokenHeader, i, errForbidden)
	}
	set, err := i.verify(ctx, &t, i.validateAccessToken(&t.claims, now), now)
	if err != nil {
		return nil, err
	}
	p, err := i.principal(&t.claims)
	if err != nil {
		e := reject(gatehouse.ReasonTokenClaims, i, err)
		e.Credential = t.claims.id
		return nil, e
	}
	a.headers.put(&t)
	v := &verified{principal: p, issuer: i, generation: set.generation, expires: p.Expires.Add(i.skew), token: Token{
		Issuer: i.URL, ID: t.claims.id, Subject: t.claims.subject, Client: t.claims.client, Family: t.claims.session,
	}}
	if t.claims.issued.present {
		v.token.IssuedAt = time.Unix(t.claims.issued.seconds, 0)
	}
	return v, nil
}

// rejectIssuer rejects a token whose iss is no configured issuer. The cause
// names the most frequent mistake: a slash at the end, too many or too few.
func (a *Authenticator) rejectIssuer(iss string) *gatehouse.Error {
	near, ok := strings.CutSuffix(iss, "/")
	if !ok {
		near += "/"
	}
	if i := a.issuers[near]; i != nil {
		return reject(gatehouse.ReasonTokenIssuer, i, errors.New("claim iss differs from Issuer.URL by a slash at the end"))
	}
	return reject(gatehouse.ReasonTokenIssuer, nil, errors.New("claim iss is no configured Issuer.URL"))
}
