// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/gatehouse-go/gatehouse"
)

var _ interface {
	gatehouse.Authenticator
	gatehouse.CookieReader
} = (*Manager)(nil)

// CookieNames returns the name of the cookie, which the gate takes off the
// request.
func (m *Manager) CookieNames() []string { return []string{m.cookie.Name()} }

// Authenticate finds the session that the cookie names. It returns
// [gatehouse.ErrNoCredentials] if there is no cookie, or if the request carries
// an explicit credential.
//
// Of a request that carries the cookie it asks [cookie.CrossSite] before anything
// else: see there what the pages of others cannot do. A session that is over is
// refused with 401 and never ignored.
func (m *Manager) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	if gatehouse.HasExplicitCredential(r) {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	id, err := m.presented(r)
	if errors.Is(err, http.ErrNoCookie) {
		return gatehouse.Proof{}, m.absent(r)
	}
	// Whatever is in the cookie, a page of others learns nothing about it.
	if err := m.sites.Check(r); err != nil {
		return gatehouse.Proof{}, err
	}
	if err != nil {
		return gatehouse.Proof{}, invite(err, m.loginFor(r))
	}
	record, err := m.store.Get(r.Context(), id)
	if err != nil {
		return gatehouse.Proof{}, invite(refusal(id, err), m.loginFor(r))
	}
	if record.AsOf.Sub(record.LastSeen) >= m.touch {
		// If this fails the session ends sooner, and never later.
		_, _ = m.store.Touch(r.Context(), id, m.touch)
	}
	p, err := m.known.of(&record)
	if err != nil {
		return gatehouse.Proof{}, unavailable(id, err)
	}
	return gatehouse.Proof{Principal: p, Source: gatehouse.SourceCookie, Name: m.cookie.Name()}, nil
}

// refusal makes a refusal of what a store says.
func refusal(id string, err error) error {
	if errors.Is(err, ErrNotFound) {
		return &gatehouse.Error{Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonSessionUnknown, Credential: id}
	}
	return unavailable(id, err)
}

func unavailable(id string, err error) error {
	return &gatehouse.Error{
		Code: gatehouse.CodeTemporarilyUnavailable, Reason: gatehouse.ReasonSessionStoreUnavailable, Credential: id, Cause: err,
	}
}

// absent says that there is no cookie, and where to get one.
func (m *Manager) absent(r *http.Request) error {
	return &gatehouse.Error{
		Code: gatehouse.CodeMissingCredentials, Reason: gatehouse.ReasonNoCredentials,
		Login: m.loginFor(r), Cause: gatehouse.ErrNoCredentials,
	}
}

// invite adds to a refusal where to log in.
func invite(err error, login string) error {
	e, ok := errors.AsType[*gatehouse.Error](err)
	if !ok {
		return err
	}
	invited := *e
	invited.Login = login
	return &invited
}

// maxReturnTo is how long a way back may be, in octets.
const maxReturnTo = 2048

// loginFor returns where to log in, and to come back from.
func (m *Manager) loginFor(r *http.Request) string {
	back := r.RequestURI
	// An address with a token in it has leaked, and is not told once more.
	if !m.returns || len(back) > maxReturnTo || !strings.HasPrefix(back, "/") || back == "/" || strings.Contains(back, "access_token=") {
		return m.login
	}
	separator := "?"
	if strings.Contains(m.login, "?") {
		separator = "&"
	}
	return m.login + separator + "return_to=" + url.QueryEscape(back)
}
