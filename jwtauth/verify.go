// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// issuer verifies the JWTs of one configured [Issuer] with its keys and its
// algorithms. It is the common part of [Authenticator] and [Verifier].
type issuer struct {
	Issuer
	keys     keySource
	skew     time.Duration
	observer gatehouse.Observer
	maxAge   time.Duration // see VerifierConfig.MaxAge

	// The claims that Issuer names, nil for the default ones.
	subject, client, scope, roles []*selector
	tenant                        *selector
	watched                       []*selector // the claims that reportMissing looks for
	require, refuse, services     []mark
	extra                         *strictjson.Table // of claims.extra, nil if there are none
	extraCount                    int
}

// newIssuer checks an issuer and opens its keys. field is the prefix of the
// fields in its errors; longest bounds MaxLifetime.
func newIssuer(field string, i Issuer, c *Config, longest time.Duration) (*issuer, error) {
	if i.Err != nil {
		return &issuer{Issuer: i}, fmt.Errorf("%s: %w", strings.TrimSuffix(field, "."), i.Err)
	}
	errs := i.check(longest)
	v := &issuer{Issuer: i, skew: c.Skew, observer: c.Observer}
	errs = append(errs, v.compile()...)
	if i.Keys != nil {
		keys, err := i.Keys.open(i, *c)
		v.keys, errs = keys, append(errs, err)
	}
	for n, err := range errs {
		if err != nil {
			errs[n] = fmt.Errorf("%s%w", field, err)
		}
	}
	return v, errors.Join(errs...)
}

// compile checks the names of claims and creates their selectors.
func (i *issuer) compile() []error {
	var errs []error
	var b selectors
	for _, l := range []struct {
		field string
		names []string
		to    *[]*selector
	}{
		{"SubjectClaims", i.SubjectClaims, &i.subject},
		{"ClientClaims", i.ClientClaims, &i.client},
		{"ScopeClaims", i.ScopeClaims, &i.scope},
		{"RolesClaims", i.RolesClaims, &i.roles},
	} {
		for n, name := range l.names {
			s, err := b.add(name)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s[%d]: %w", l.field, n, err))
			}
			*l.to = append(*l.to, s)
		}
	}
	i.watched = slices.Concat(i.scope, i.roles)
	if i.TenantClaim != "" {
		s, err := b.add(i.TenantClaim)
		if err != nil {
			errs = append(errs, fmt.Errorf("TenantClaim: %w", err))
		}
		i.tenant, i.watched = s, append(i.watched, s)
	}
	for _, l := range []struct {
		field string
		marks []Mark
		to    *[]mark
	}{
		{"Require", i.Require, &i.require},
		{"Refuse", i.Refuse, &i.refuse},
		{"Services", i.Services, &i.services},
	} {
		for n, m := range l.marks {
			checked, err := b.addMark(m)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s[%d]: %w", l.field, n, err))
			}
			*l.to = append(*l.to, checked)
		}
	}
	if i.extraCount = len(b.extra); i.extraCount > 0 {
		i.extra = strictjson.NewTable(b.extra...)
	}
	return errs
}

// verify verifies the algorithm and the signature of a parsed token, and returns the key
// set that contains the key. invalid is the result of validating the claims. The caller
// validates first, so that only a token with valid claims causes a fetch of the key set.
// If the signature is invalid too, that is the reason of the rejection, because an
// attacker can write any claims.
func (i *issuer) verify(ctx context.Context, t *token, invalid rejection, now time.Time) (*keySet, error) {
	if !slices.Contains(i.Algorithms, t.head.algorithm) {
		return nil, reject(ReasonAlgorithm, i, fmt.Errorf("alg: not one of %v", i.Algorithms))
	}
	if t.Signature == "SIGNATURE_REMOVED_BY_GOOGLE" {
		return nil, reject(ReasonSignature, i, errors.New("signature: removed by Google Cloud, which verified the token itself; "+
			"have the client send that token in X-Serverless-Authorization and the one for this service in Authorization, or allow unauthenticated invocations"))
	}
	signature, err := base64url.Decode(nil, t.Signature)
	if err != nil {
		return nil, reject(ReasonMalformed, i, fmt.Errorf("signature: %w", err))
	}
	set, keys, err := i.candidates(ctx, t.head, invalid.reason == "", now)
	switch {
	case err != nil:
		return nil, err
	case set == nil:
		return nil, reject(invalid.reason, i, fmt.Errorf("%w; the signature was not verified, because no keys were fetched yet", invalid.cause))
	case keys[0] == nil:
		return nil, reject(ReasonKey, i, errors.New("the key set has no key with the kid and alg of the token"))
	case !keys.verify(t.head.algorithm, t.SigningInput, signature):
		return nil, reject(ReasonSignature, i, fmt.Errorf("signature: invalid for key %q", keys[0].id))
	case invalid.reason != "":
		e := reject(invalid.reason, i, invalid.cause)
		e.Credential = t.claims.id
		return nil, e
	}
	return set, nil
}

// reject returns an invalid_token error. i is nil while the issuer is unknown.
//
// Implements RFC 6750 §3.1 (invalid_token); RFC 9068 §4 (error).
func reject(reason gatehouse.Reason, i *issuer, cause error) *gatehouse.Error {
	e := &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: reason, Cause: cause}
	if i != nil {
		e.Issuer = i.URL
	}
	return e
}

// unavailable returns a temporarily_unavailable error: fail closed with 503.
func unavailable(reason gatehouse.Reason, i *issuer, retry time.Duration, cause error) *gatehouse.Error {
	return &gatehouse.Error{
		Code: gatehouse.CodeTemporarilyUnavailable, Reason: reason, Issuer: i.URL, RetryAfter: retry, Cause: cause,
	}
}
