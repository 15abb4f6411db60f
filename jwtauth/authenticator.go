// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
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
	cache       *cache // nil for none
	revocations Revocations
	maxBytes    int // the largest that any issuer may have
	headers     headers
}

// issuer is an Issuer that has been checked, with its keys.
type issuer struct {
	Issuer
	keys keySource
	skew time.Duration
}

var (
	_ gatehouse.Authenticator = (*Authenticator)(nil)
	_ gatehouse.Challenger    = (*Authenticator)(nil)
)

// New makes an authenticator. It reports all mistakes in the configuration at
// once, and makes no network call: see [Authenticator.Ready].
func New(config Config) (*Authenticator, error) {
	errs := []error{config.check()}
	a := &Authenticator{issuers: make(map[string]*issuer), revocations: config.Revocations}
	if config.CacheEntries > 0 {
		a.cache = newCache(config.CacheEntries)
	}
	for n, i := range config.Issuers {
		a.maxBytes = max(a.maxBytes, i.MaxTokenBytes)
		if i.Keys == nil {
			continue
		}
		keys, err := i.Keys.open(i, config)
		if err != nil {
			errs = append(errs, fmt.Errorf("jwtauth: Config.Issuers[%d].%w", n, err))
			continue
		}
		a.issuers[i.URL] = &issuer{Issuer: i, keys: keys, skew: config.Skew}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return a, nil
}

// Close ends the fetches under way and waits for them. Tokens are refused as
// undecidable where a fetch would have been needed afterwards.
func (a *Authenticator) Close() error {
	for _, i := range a.issuers {
		i.keys.close()
	}
	return nil
}

// Ready returns nil when the keys of every issuer are at hand, and otherwise an
// error for each that is missing. It starts the first fetch and waits for it as
// long as ctx lets it: call it at start, to be warm for the first request, and
// in a readiness probe.
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

// Challenge invites with Bearer, RFC 6750.
func (a *Authenticator) Challenge() gatehouse.Challenge { return gatehouse.Challenge{Scheme: "Bearer"} }

// Authenticate verifies the Bearer token of a request if it has the shape of a
// JWT, two dots, and leaves every other one to other authenticators.
func (a *Authenticator) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	token, err := gatehouse.Authorization(r, "Bearer")
	if err != nil {
		return gatehouse.Proof{}, err
	}
	if len(token) <= a.maxBytes && !looksLike(token) {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	p, err := a.Verify(r.Context(), token)
	if err != nil {
		return gatehouse.Proof{}, err
	}
	return gatehouse.Proof{Principal: p, Source: gatehouse.SourceHeader, Name: "Authorization"}, nil
}

// Verify verifies a compact token that came by another way than HTTP. The
// principal may be shared and must not be changed. The error is a
// [*gatehouse.Error].
func (a *Authenticator) Verify(ctx context.Context, token string) (*gatehouse.Principal, error) {
	// Before anything else looks at it: what is too long costs nothing.
	if len(token) > a.maxBytes {
		return nil, refuse(gatehouse.ReasonTokenOversized, nil, nil)
	}
	now := time.Now()
	var name fingerprint
	if a.cache != nil {
		var room [1024]byte // a conversion would be an allocation
		name = sha256.Sum256(append(room[:0], token...))
		if v := a.cache.get(name); v != nil {
			set, err := v.issuer.keys.current(now)
			if err == nil && set.generation == v.generation && now.Before(v.ends) {
				return a.unlessRevoked(ctx, v)
			}
			a.cache.remove(name)
		}
	}
	v, err := a.verify(ctx, token, now)
	if err != nil {
		return nil, err
	}
	if a.cache != nil {
		a.cache.put(name, v)
	}
	return a.unlessRevoked(ctx, v)
}

func (a *Authenticator) unlessRevoked(ctx context.Context, v *verified) (*gatehouse.Principal, error) {
	if a.revocations == nil {
		return &v.principal, nil
	}
	revoked, err := a.revocations.Revoked(ctx, v.token)
	switch {
	case err != nil:
		return nil, cannotTell(gatehouse.ReasonRevocationsUnavailable, v.issuer, 0, err)
	case revoked:
		e := refuse(gatehouse.ReasonTokenRevoked, v.issuer, fmt.Errorf("jwtauth: of the subject %q, the client %q and the family %q", v.token.Subject, v.token.Client, v.token.Family))
		e.Credential = v.token.ID
		return nil, e
	}
	return &v.principal, nil
}

// verify does the whole work for a token that is not in the cache.
func (a *Authenticator) verify(ctx context.Context, token string, now time.Time) (*verified, error) {
	t, err := read(token, a.maxBytes, &a.headers)
	if err != nil {
		return nil, err
	}
	i, ok := a.issuers[t.claims.issuer]
	switch {
	case !ok:
		return nil, a.refuseIssuer(t.claims.issuer)
	case len(token) > i.MaxTokenBytes, len(t.header) > i.MaxTokenBytes/4:
		return nil, refuse(gatehouse.ReasonTokenOversized, i, nil)
	case !isAccessTokenType(t.head.typ, i.Profile):
		return nil, refuse(gatehouse.ReasonTokenType, i, errors.New("typ is not at+jwt; where the issuer sends JWT or nothing, set Profile: Compatible"))
	case t.head.x5t && i.Profile != Compatible:
		return nil, refuse(gatehouse.ReasonTokenHeader, i, errForbidden)
	}
	set, err := i.check(ctx, &t, i.judge(&t.claims, now), now)
	if err != nil {
		return nil, err
	}
	p, err := i.principal(&t.claims)
	if err != nil {
		e := refuse(gatehouse.ReasonTokenClaims, i, err)
		e.Credential = t.claims.id
		return nil, e
	}
	a.headers.remember(&t)
	v := &verified{principal: p, issuer: i, generation: set.generation, ends: p.Expires.Add(i.skew), token: Token{
		Issuer: i.URL, ID: t.claims.id, Subject: t.claims.subject, Client: t.claims.client, Family: t.claims.session,
	}}
	if t.claims.issued.present {
		v.token.IssuedAt = time.Unix(t.claims.issued.seconds, 0)
	}
	return v, nil
}

// refuseIssuer says that an iss is that of nobody. Operators who wait in vain for
// the first good token have most often put one slash too many, or too few.
func (a *Authenticator) refuseIssuer(iss string) *gatehouse.Error {
	near, ok := strings.CutSuffix(iss, "/")
	if !ok {
		near += "/"
	}
	if i := a.issuers[near]; i != nil {
		return refuse(gatehouse.ReasonTokenIssuer, i, errors.New("claim iss differs from Issuer.URL by a slash at the end"))
	}
	return refuse(gatehouse.ReasonTokenIssuer, nil, nil)
}

// check verifies the signature of a token that has been read, and returns the
// key set that it was verified with. v is what the claims say: it is judged
// before, because that is cheap and because only a token that would be good may
// cause a fetch; but it is only said once the signature has shown that the
// issuer says it.
func (i *issuer) check(ctx context.Context, t *token, v verdict, now time.Time) (*keySet, error) {
	if !slices.Contains(i.Algorithms, t.head.algorithm) {
		return nil, refuse(gatehouse.ReasonTokenAlgorithm, i, fmt.Errorf("alg is none of %v", i.Algorithms))
	}
	signature, err := decode(nil, t.signature)
	if err != nil {
		return nil, refuse(gatehouse.ReasonTokenMalformed, i, fmt.Errorf("signature: %w", err))
	}
	set, keys, err := i.choose(ctx, t.head, v.reason == "", now)
	switch {
	case err != nil:
		return nil, err
	case set == nil:
		return nil, refuse(v.reason, i, fmt.Errorf("%w; the signature was not checked, there are no keys yet", v.cause))
	case keys[0] == nil:
		return nil, refuse(gatehouse.ReasonTokenKey, i, errors.New("the issuer has no key of this kid for this alg"))
	case !keys.verify(t.head.algorithm, t.signingInput, signature):
		return nil, refuse(gatehouse.ReasonTokenSignature, i, fmt.Errorf("by the key %q", keys[0].id))
	case v.reason != "":
		e := refuse(v.reason, i, v.cause)
		e.Credential = t.claims.id
		return nil, e
	}
	return set, nil
}

// choose returns the keys that may have signed: those of the set at hand or, if
// it has none and the token is worth a fetch, of a newer one. The set is nil if
// there is none and the token was not worth a fetch.
func (i *issuer) choose(ctx context.Context, h header, fetch bool, now time.Time) (*keySet, candidates, error) {
	set, err := i.keys.current(now)
	missing := "" // the kid that the set lacks, if there is one
	if err == nil {
		found := set.candidates(h.kid, h.algorithm)
		if found[0] != nil || !fetch {
			return set, found, nil
		}
		missing = h.kid
	} else if !fetch {
		return nil, candidates{}, nil
	}
	if set, err = i.keys.renewed(ctx, missing); err != nil {
		return nil, candidates{}, cannotTell(gatehouse.ReasonKeysUnavailable, i, i.keys.retryAfter(), err)
	}
	return set, set.candidates(h.kid, h.algorithm), nil
}

func refuse(reason gatehouse.Reason, i *issuer, cause error) *gatehouse.Error {
	e := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: reason, Cause: cause}
	if i != nil {
		e.Issuer = i.URL
	}
	return e
}

func cannotTell(reason gatehouse.Reason, i *issuer, retry time.Duration, cause error) *gatehouse.Error {
	return &gatehouse.Error{
		Code: gatehouse.CodeTemporarilyUnavailable, Reason: reason, Issuer: i.URL, RetryAfter: retry, Cause: cause,
	}
}
