// SPDX-License-Identifier: Apache-2.0

package cookie

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/safeurl"
)

const (
	defaultTokenName   = "token"
	defaultTokenMaxAge = 15 * time.Minute
	tokenPurpose       = "access token"
)

// Verifier verifies an access token that came by another way than the
// Authorization header. It is what an authenticator of the package jwtauth is.
// It must be safe for concurrent use, and its errors are those of a
// [gatehouse.Authenticator].
type Verifier interface {
	Verify(ctx context.Context, token string) (*gatehouse.Principal, error)
}

// AccessTokenConfig configures an [AccessToken].
type AccessTokenConfig struct {
	// Verifier verifies the tokens. Required.
	Verifier Verifier

	// TrustedOrigins are the origins of other pages that may call the API with
	// the cookie: see [CrossSiteConfig]. Optional.
	TrustedOrigins []string

	// Name is the name of the cookie without its prefix, "token" if empty.
	// Cookies do not know ports: two servers on one host need two names.
	Name string

	// MaxAge is how long the browser keeps the cookie, 15 minutes if zero: in
	// whole seconds, at most 400 days. The token's own expiry holds in any case.
	MaxAge time.Duration

	// Keys, if set, seal the token, so that it is not written to the disk of
	// the user in a form that could be used as a Bearer token, and lets it be
	// larger than a cookie.
	//
	//	RFC 10017 §6.1.3.2: "when using client-side sessions that contain access
	//	tokens ... the BFF SHOULD encrypt its cookie contents."
	Keys *Keyring

	// Login is where a person can log in, a path on this host or an https URL.
	// A navigation that is refused with 401 is redirected there. Optional.
	Login string
}

// AccessToken is the cookie in which an API that serves its own pages keeps the
// access token of a user, and the [gatehouse.Authenticator] that reads it. No
// script can read the cookie. It is SameSite=Strict: a page of another site
// cannot cause any request with it, not even by a link, so that somebody who
// follows one arrives without it.
//
// Of a request that carries the cookie, it asks [CrossSite] before anything
// else. A token that is not good is refused with 401 and invalid_token and never
// ignored. It is safe for concurrent use.
type AccessToken struct {
	verifier Verifier
	sites    *CrossSite
	cookie   *Cookie
	sealed   *Sealed // the same cookie where there are keys, nil where there are none
	login    string
}

var (
	_ gatehouse.Authenticator = (*AccessToken)(nil)
	_ gatehouse.CookieReader  = (*AccessToken)(nil)
)

// NewAccessToken makes the cookie and its authenticator. All mistakes in the
// configuration are reported at once.
func NewAccessToken(config AccessTokenConfig) (*AccessToken, error) {
	const field = "AccessTokenConfig"
	if config.Name == "" {
		config.Name = defaultTokenName
	}
	if config.MaxAge == 0 {
		config.MaxAge = defaultTokenMaxAge
	}
	var errs []error
	if config.Verifier == nil {
		errs = append(errs, fmt.Errorf("cookie: %s.Verifier: required", field))
	}
	sites, err := newCrossSite(config.TrustedOrigins, field)
	errs = append(errs, err)
	cookie, err := newCookie(Config{Name: config.Name, SameSite: http.SameSiteStrictMode, MaxAge: config.MaxAge}, field)
	errs = append(errs, err)
	if err := safeurl.CheckLogin(config.Login); err != nil {
		errs = append(errs, fmt.Errorf("cookie: %s.Login: %w", field, err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	a := &AccessToken{verifier: config.Verifier, sites: sites, cookie: cookie, login: config.Login}
	if config.Keys != nil {
		a.sealed = seal(cookie, config.Keys, tokenPurpose, config.MaxAge)
	}
	return a, nil
}

// Set puts the token into the response. It must be called before the first byte
// of the body. The error is [ErrTooLarge] if the token does not fit, and another
// one if it has octets that a cookie cannot carry.
func (a *AccessToken) Set(w http.ResponseWriter, r *http.Request, token string) error {
	if a.sealed != nil {
		return a.sealed.Set(w, r, []byte(token))
	}
	return a.cookie.Set(w, token)
}

// Clear has the browser forget the token, which ends nothing but what this
// browser can do with it: revoke it where the issuer lets you.
func (a *AccessToken) Clear(w http.ResponseWriter, r *http.Request) {
	if a.sealed != nil {
		a.sealed.Clear(w, r)
		return
	}
	a.cookie.Clear(w)
}

// CookieNames returns the name of the cookie, which the gate takes off the
// request.
func (a *AccessToken) CookieNames() []string { return []string{a.cookie.name} }

// Authenticate verifies the token in the cookie. It returns
// [gatehouse.ErrNoCredentials] if there is none, or if the request carries an
// explicit credential.
func (a *AccessToken) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	if gatehouse.HasExplicitCredential(r) {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	token, err := a.read(r)
	if errors.Is(err, http.ErrNoCookie) {
		return gatehouse.Proof{}, a.absent()
	}
	// Whatever is in the cookie, a page of others learns nothing about it.
	if err := a.sites.Check(r); err != nil {
		return gatehouse.Proof{}, err
	}
	if err != nil {
		return gatehouse.Proof{}, a.invite(err)
	}
	p, err := a.verifier.Verify(r.Context(), token)
	if err != nil {
		return gatehouse.Proof{}, a.invite(err)
	}
	return gatehouse.Proof{Principal: p, Source: gatehouse.SourceCookie, Name: a.cookie.name}, nil
}

func (a *AccessToken) read(r *http.Request) (string, error) {
	if a.sealed == nil {
		return a.cookie.Read(r)
	}
	token, err := a.sealed.Open(r)
	return string(token), err
}

// absent says that there is no cookie, and where to get one.
func (a *AccessToken) absent() error {
	if a.login == "" {
		return gatehouse.ErrNoCredentials
	}
	return &gatehouse.Error{
		Code: gatehouse.CodeMissingCredentials, Reason: gatehouse.ReasonNoCredentials,
		Login: a.login, Cause: gatehouse.ErrNoCredentials,
	}
}

// invite returns a refusal with where to log in. A verifier that says that this
// is no credential of its kind has refused it: nobody else reads the cookie.
func (a *AccessToken) invite(err error) error {
	if errors.Is(err, gatehouse.ErrNoCredentials) {
		err = &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonUnclaimed}
	}
	e, _ := errors.AsType[*gatehouse.Error](err)
	if e == nil || a.login == "" {
		return err
	}
	invited := *e
	invited.Login = a.login
	return &invited
}
