// SPDX-License-Identifier: Apache-2.0

package mtls

import (
	"context"
	"errors"
	"hash/maphash"
	"net/http"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/navigation"
)

// Authenticator authenticates callers by their client certificate, and confirms
// tokens that are bound to one. It is safe for concurrent use.
type Authenticator struct {
	config   Config
	subjects map[string]*gatehouse.Principal // by SAN
	cache    cache
	origins  http.CrossOriginProtection
}

var (
	_ gatehouse.Authenticator = (*Authenticator)(nil)
	_ gatehouse.Confirmer     = (*Authenticator)(nil)
)

// New returns an authenticator. It reports all configuration errors at once.
func New(config Config) (*Authenticator, error) {
	subjects, err := config.check()
	if err != nil {
		return nil, err
	}
	config.Subjects = nil
	return &Authenticator{config: config, subjects: subjects, cache: cache{seed: maphash.MakeSeed()}}, nil
}

// Reads implements [gatehouse.Authenticator]: the certificate of the connection,
// and with Config.Proxies the headers of RFC 9440.
func (a *Authenticator) Reads() gatehouse.Reads {
	return gatehouse.Reads{Connection: true, Companions: a.companions(), Rechecks: true}
}

func (a *Authenticator) companions() []string {
	if len(a.config.Proxies) == 0 {
		return nil
	}
	return []string{certHeader, chainHeader}
}

// Authenticate returns the caller of the certificate. A certificate is not a credential
// if it matches no row of Config.Subjects, or several, and Config.Principal returns no
// caller for it. The certificate of a caller is rejected with 401 if it is untrusted,
// expired, revoked or not for TLS clients.
//
// Browsers also send the certificate with cross-origin requests. Such requests are
// refused with 403, unless they are navigations. The gate adds Cache-Control: no-store to
// the response.
//
// Implements RFC 9440 §2.4 (cache).
func (a *Authenticator) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	c, e := a.certificate(r) //nolint:contextcheck // the events of Roots belong to no request
	switch {
	case e != nil:
		return gatehouse.Proof{}, e
	case c == nil, c.rows > 1, c.rows == 0 && a.config.Principal == nil:
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	if e := a.checkCertificate(c, time.Now()); e != nil {
		return gatehouse.Proof{}, e
	}
	p := c.principal
	if p == nil {
		mapped, err := a.mapped(r.Context(), c)
		if err != nil {
			return gatehouse.Proof{}, err
		}
		p = &mapped
	}
	if a.isCrossSite(r) {
		return gatehouse.Proof{}, refuse(gatehouse.CodeAccessDenied, ReasonCrossSite, errors.New("mtls: a page of another origin caused the request"))
	}
	if e := a.checkRevocation(r.Context(), c); e != nil {
		return gatehouse.Proof{}, e
	}
	return gatehouse.NewProof(p), nil
}

// mapped calls Config.Principal for the caller.
func (a *Authenticator) mapped(ctx context.Context, c *certificate) (gatehouse.Principal, error) {
	p, err := a.config.Principal(ctx, c.leaf)
	if e, ok := errors.AsType[*gatehouse.Error](err); ok && e != nil {
		return gatehouse.Principal{}, e
	}
	if errors.Is(err, gatehouse.ErrNoCredentials) {
		return gatehouse.Principal{}, gatehouse.ErrNoCredentials
	}
	if err == nil && p.Subject == "" {
		err = errors.New("mtls: Config.Principal: returned a caller without a Subject")
	}
	if err != nil {
		return gatehouse.Principal{}, a.unavailable(c, ReasonPrincipalUnavailable, err)
	}
	if p.Issuer == "" {
		p.Issuer = a.config.Issuer
	}
	p.Method, p.Binding, p.Credential, p.Expires = Method, Binding, c.thumbprint, c.until
	return p, nil
}

// isCrossSite reports whether a page of another origin caused the request.
func (a *Authenticator) isCrossSite(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return !navigation.Is(r)
	}
	return a.origins.Check(r) != nil
}

// checkCertificate refuses a certificate that is untrusted, expired, revoked or not for
// TLS clients.
func (a *Authenticator) checkCertificate(c *certificate, now time.Time) *gatehouse.Error {
	if c.problem != nil {
		return c.problem
	}
	return a.checkTime(c, now)
}

func (a *Authenticator) checkRevocation(ctx context.Context, c *certificate) *gatehouse.Error {
	if a.config.Revoked == nil {
		return nil
	}
	revoked, err := a.config.Revoked(ctx, c.leaf)
	switch {
	case err != nil:
		return a.unavailable(c, ReasonRevocationUnavailable, err)
	case revoked:
		return a.invalid(c, ReasonRevoked, "it is revoked")
	}
	return nil
}

func (a *Authenticator) unavailable(c *certificate, reason gatehouse.Reason, cause error) *gatehouse.Error {
	e := refuse(gatehouse.CodeTemporarilyUnavailable, reason, cause)
	e.Issuer, e.Credential = a.config.Issuer, c.thumbprint
	return e
}

// Confirms implements [gatehouse.Confirmer]: the member x5t#S256 of RFC 8705.
func (a *Authenticator) Confirms() gatehouse.Confirms {
	return gatehouse.Confirms{Member: "x5t#S256", Binding: Binding, Companions: a.companions(), Rechecks: true}
}

// Confirm checks that the token is bound to the certificate of r, and that the
// certificate is trusted, valid, not revoked and for TLS clients. It does not read the
// names in the certificate. See Config.AllowUnverifiedCertificates for self-signed ones.
//
//	RFC 8705 §3 (mismatch): "If they do not match, the resource access attempt
//	MUST be rejected with an error, per [RFC6750], using an HTTP 401 status code
//	and the "invalid_token" error code."
//
// Implements RFC 8705 §3 (TLS layer), §3.1, §6.2.
func (a *Authenticator) Confirm(r *http.Request, _, member string, now time.Time) (http.Header, error) {
	c, e := a.certificate(r) //nolint:contextcheck // the events of Roots belong to no request
	switch {
	case e != nil:
		return nil, e
	case c == nil:
		return nil, refuse(gatehouse.CodeInvalidToken, ReasonNoCertificate, errors.New("mtls: the token is bound to a certificate and the request has none"))
	case c.thumbprint != member: // the sender knows both
		return nil, refuse(gatehouse.CodeInvalidToken, ReasonThumbprint, errors.New("mtls: the token is bound to another certificate than "+c.thumbprint))
	}
	e = a.checkCertificate(c, now)
	if a.config.AllowUnverifiedCertificates && c.isUnverified() {
		e = a.checkTime(c, now)
	}
	if e == nil {
		e = a.checkRevocation(r.Context(), c)
	}
	if e != nil {
		return nil, e
	}
	return nil, nil //nolint:nilnil // no header, and no error
}

// HeaderGuard returns an authenticator that accepts no credential. It refuses requests
// with a malformed Client-Cert header, or with one from a peer that is not in
// Config.Proxies, even if they carry an unbound token or an API key. Put it first in
// gatehouse.Config.Authenticators. Without HeaderGuard, such a header is ignored and
// removed in a request with an unbound token.
func (a *Authenticator) HeaderGuard() gatehouse.Authenticator { return guard{a} }

type guard struct{ a *Authenticator }

// Reads declares a scheme that each gate reads, so that the gate calls the guard for
// requests with an explicit credential.
func (g guard) Reads() gatehouse.Reads {
	return gatehouse.Reads{Schemes: []gatehouse.Scheme{{Name: "Bearer", Silent: true}}, Companions: g.a.companions()}
}

func (g guard) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	proxy, e := g.a.fromProxy(r)
	if proxy {
		_, e = g.a.certificate(r)
	}
	if e != nil {
		return gatehouse.Proof{}, e
	}
	return gatehouse.Proof{}, gatehouse.ErrNoCredentials
}
