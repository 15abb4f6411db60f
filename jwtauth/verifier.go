// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// VerifierConfig configures a [Verifier].
type VerifierConfig struct {
	// Issuer issues the JWTs. Only URL, Audiences, Algorithms, Keys, PlainHTTPHosts,
	// MaxLifetime and MaxTokenBytes are used. Audiences are the audiences of the JWTs,
	// such as a client_id for ID tokens. Required.
	Issuer Issuer

	// MaxAge accepts a JWT without exp until MaxAge after its iat. Zero requires exp. Set
	// it only for kinds of JWTs without exp, such as introspection responses, RFC 9701.
	MaxAge time.Duration

	// Skew, Transport and Observer are as in [Config].
	Skew      time.Duration
	Transport http.RoundTripper
	Observer  gatehouse.Observer
}

// Verifier verifies JWTs of one issuer that are not access tokens: ID tokens and
// logout tokens. It parses and selects keys as strictly as [Authenticator], and
// is safe for concurrent use.
//
// It does not check the purpose of a JWT. The caller must check the type, so that one
// kind of JWT is not accepted as another. The caller must also check the claims that bind
// the JWT to a request, such as nonce.
type Verifier struct{ issuer *issuer }

// VerifiedJWT is a JWT that a [Verifier] has verified.
type VerifiedJWT struct {
	Type    string // typ, "" if the header has none
	Subject string // sub, "" if the JWT has none
	Claims  gatehouse.Claims
}

// NewVerifier returns a verifier. It reports all configuration errors at once
// and makes no network call.
func NewVerifier(config VerifierConfig) (*Verifier, error) {
	c := Config{Skew: config.Skew, Transport: config.Transport, Observer: config.Observer}
	const field = "jwtauth: VerifierConfig."
	shared := c.checkShared(field)
	if config.MaxAge < 0 || config.MaxAge > maxMaxLifetime {
		shared = errors.Join(shared, fmt.Errorf("%sMaxAge: got %v, want 0 to %v", field, config.MaxAge, maxMaxLifetime))
	}
	i, err := newIssuer(field+"Issuer.", config.Issuer, &c, maxMaxLifetime)
	if err := errors.Join(shared, err); err != nil {
		return nil, err
	}
	i.reportPlainHTTP()
	i.maxAge = config.MaxAge
	return &Verifier{i}, nil
}

// Close cancels running fetches of the key set and waits for them.
func (v *Verifier) Close() error {
	v.issuer.keys.close()
	return nil
}

// Ready returns nil if the keys of the issuer are available: see [Authenticator.Ready].
func (v *Verifier) Ready(ctx context.Context) error { return v.issuer.ready(ctx, time.Now()) }

// Verify verifies a compact JWT: its format, iss, algorithm and signature, that aud
// contains the audience, and that the current time is between iat and exp. iss, aud and
// iat are required, and so is exp unless MaxAge is set. The error is a
// [*gatehouse.Error].
//
// Implements ASVS 5.0 §6.8.2; OIDC Back-Channel Logout §2.4 (claims), §2.6
// (validation); OIDC Core §3.1.3.7 (step 2, step 6); OIDC Discovery §4.3.
func (v *Verifier) Verify(ctx context.Context, text string) (VerifiedJWT, error) {
	return v.verify(ctx, text, false)
}

// VerifyResponse is like [Verifier.Verify], for a JWT that an endpoint of the issuer has
// just sent: iat and exp are optional, but validated if present. Do not call it for a JWT
// from another source.
func (v *Verifier) VerifyResponse(ctx context.Context, text string) (VerifiedJWT, error) {
	return v.verify(ctx, text, true)
}

func (v *Verifier) verify(ctx context.Context, text string, response bool) (VerifiedJWT, error) {
	i, now := v.issuer, time.Now()
	var t token
	if err := t.parse(text, i.MaxTokenBytes, nil, false); err != nil {
		return VerifiedJWT{}, err
	}
	if t.claims.issuer != i.URL {
		return VerifiedJWT{}, reject(ReasonIssuer, i, errors.New("claim iss: not Issuer.URL"))
	}
	if _, err := i.verify(ctx, &t, i.validateJWT(&t.claims, response, now), now); err != nil {
		return VerifiedJWT{}, err
	}
	return VerifiedJWT{Type: t.head.typ, Subject: t.claims.subject, Claims: gatehouse.VerifiedClaims(t.claims.text)}, nil
}
