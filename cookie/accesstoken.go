// SPDX-License-Identifier: Apache-2.0

package cookie

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

const (
	defaultTokenName   = "token"
	defaultTokenMaxAge = 15 * time.Minute
	tokenPurpose       = "access token"
)

// Verifier verifies an access token from a cookie. An authenticator of the
// package jwtauth is a Verifier. It must be safe for concurrent use.
type Verifier interface {
	// VerifyRequest verifies a token of the request r. For a token that is bound to a key
	// of the client, it reads the proof from r, such as the client certificate. The
	// scheme is always "", because the token is in a cookie. The errors are those of
	// [gatehouse.Authenticator].
	VerifyRequest(r *http.Request, scheme, token string) (gatehouse.Proof, error)
}

// AccessTokenConfig configures an [AccessToken].
type AccessTokenConfig struct {
	// Verifier verifies the tokens. Required.
	Verifier Verifier

	// TrustedOrigins are the other origins whose pages may call the API with the
	// cookie: see [CrossSiteConfig]. Optional.
	TrustedOrigins []string

	// Name is the name of the cookie without its prefix, "token" if empty. Cookies
	// do not distinguish ports: two servers on one host need two names.
	Name string

	// MaxAge is the time that the browser keeps the cookie, in whole seconds, at
	// most 400 days: 15 minutes if zero. The token itself may expire earlier.
	MaxAge time.Duration

	// Keys seal the token, so that a stolen cookie file contains no Bearer token. A
	// sealed token that is too large for one cookie is split. Optional.
	//
	//	RFC 10017 §6.1.3.2 (encrypt): "when using client-side sessions that
	//	contain access tokens ... the BFF SHOULD encrypt its cookie contents."
	Keys *Keyring
}

// AccessToken is the cookie in which an API that serves its own pages keeps the
// access token of a user, and the [gatehouse.Authenticator] that reads it. It is
// safe for concurrent use.
//
// No script can read the cookie. It is SameSite=Strict: browsers never send it
// with a cross-site request, so a user who follows a link from another site is
// not logged in on the first page.
//
// For a request with the cookie, the authenticator calls [CrossSite.Check]
// before it verifies the value. It rejects an invalid token with 401 and
// invalid_token.
type AccessToken struct {
	verifier Verifier
	sites    *CrossSite
	cookie   *Cookie
	sealed   *Sealed // the same cookie with keys, nil without
}

var _ gatehouse.Authenticator = (*AccessToken)(nil)

// NewAccessToken returns the cookie and its authenticator. It reports all
// errors in config at once.
//
// Implements RFC 10017 §6.1.3.2 (Strict).
func NewAccessToken(config AccessTokenConfig) (*AccessToken, error) {
	const field = "AccessTokenConfig"
	if config.Name == "" {
		config.Name = defaultTokenName
	}
	if config.MaxAge == 0 {
		config.MaxAge = defaultTokenMaxAge
	}
	var errs []error
	if typednil.Is(config.Verifier) {
		errs = append(errs, fmt.Errorf("cookie: %s.Verifier: required", field))
	}
	sites, err := newCrossSite(config.TrustedOrigins, field)
	errs = append(errs, err)
	cookie, err := newCookie(Config{Name: config.Name, SameSite: http.SameSiteStrictMode, MaxAge: config.MaxAge}, field)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	a := &AccessToken{verifier: config.Verifier, sites: sites, cookie: cookie}
	if config.Keys != nil {
		a.sealed = seal(cookie, config.Keys, tokenPurpose, config.MaxAge)
	}
	return a, nil
}

// Set adds the cookie with the token to the response to r. Call it before the
// first byte of the body. The error is [ErrTooLarge] if the token does not fit,
// and another one if it has characters that a cookie cannot carry.
func (a *AccessToken) Set(w http.ResponseWriter, r *http.Request, token string) error {
	if a.sealed != nil {
		return a.sealed.Set(w, r, []byte(token))
	}
	return a.cookie.Set(w, token)
}

// Clear makes the browser delete the token. The token stays valid until it
// expires: revoke it if the issuer offers that.
func (a *AccessToken) Clear(w http.ResponseWriter, r *http.Request) {
	if a.sealed != nil {
		a.sealed.Clear(w, r)
		return
	}
	a.cookie.Clear(w)
}

// Reads declares the cookie, an ambient credential.
func (a *AccessToken) Reads() gatehouse.Reads {
	return gatehouse.Reads{Cookies: []string{a.cookie.name}, Rechecks: true}
}

// Authenticate verifies the token in the cookie. It returns
// [gatehouse.ErrNoCredentials] if there is none.
func (a *AccessToken) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	token, err := a.read(r)
	if errors.Is(err, http.ErrNoCookie) {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	// Check this first, so that the response to a cross-site request does not depend on
	// the cookie.
	if err := a.sites.Check(r); err != nil {
		return gatehouse.Proof{}, err
	}
	if err != nil {
		return gatehouse.Proof{}, err
	}
	proof, err := a.verifier.VerifyRequest(r, "", token)
	_, decided := errors.AsType[*gatehouse.Error](err)
	switch {
	case !decided && errors.Is(err, gatehouse.ErrNoCredentials):
		// An invalid credential is never treated as missing.
		return gatehouse.Proof{}, &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonUnclaimed}
	case err != nil:
		return gatehouse.Proof{}, err
	}
	return proof, nil
}

func (a *AccessToken) read(r *http.Request) (string, error) {
	if a.sealed == nil {
		return a.cookie.Read(r)
	}
	token, err := a.sealed.Open(r)
	return string(token), err
}
