// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
)

// Reads implements [gatehouse.Authenticator]: the Bearer scheme, the headers of
// Issuer.Header, and what the confirmers read.
func (a *Authenticator) Reads() gatehouse.Reads {
	reads := gatehouse.Reads{Rechecks: true}
	for _, name := range a.carrier {
		reads.Headers = append(reads.Headers, gatehouse.Header{Name: name, Invalid: CodeInvalidTokenHeader})
	}
	if a.bearer {
		reads.Schemes = []gatehouse.Scheme{{Name: "Bearer"}}
	}
	return a.confirmers.Reads(reads)
}

// Authenticate verifies the token of the Authorization header, or of a header of
// Issuer.Header, if it has the format of a JWT: two dots. For any other token it
// returns gatehouse.ErrNoCredentials, so that other authenticators can verify it.
func (a *Authenticator) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	for _, name := range a.carrier {
		if values := r.Header[name]; len(values) > 0 {
			return a.authenticateHeader(r, name, values)
		}
	}
	scheme, token, err := a.confirmers.Token(r)
	if err != nil {
		return gatehouse.Proof{}, err
	}
	if len(token) <= a.maxBytes && !isCompact(token) {
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	return a.VerifyRequest(r, scheme, token)
}

// authenticateHeader verifies the token of a header other than Authorization. It rejects
// an invalid token with 403, because HTTP has no challenge for such a header.
func (a *Authenticator) authenticateHeader(r *http.Request, name string, values []string) (gatehouse.Proof, error) {
	switch {
	case len(values) > 1 || len(r.Header["Authorization"]) > 0:
		return gatehouse.Proof{}, &gatehouse.Error{Code: gatehouse.CodeInvalidRequest, Reason: gatehouse.ReasonSeveralCredentials}
	case len(values[0]) <= a.maxBytes && !isCompact(values[0]):
		return gatehouse.Proof{}, gatehouse.ErrNoCredentials
	}
	proof, err := a.verifyRequest(r, "", name, values[0])
	if e, ok := errors.AsType[*gatehouse.Error](err); ok && e.Code == gatehouse.CodeInvalidToken {
		rejected := *e // an Error is immutable
		rejected.Code = CodeInvalidTokenHeader
		return gatehouse.Proof{}, &rejected
	}
	return proof, err
}

// carrierError returns an error that names the header in which tokens of this issuer are
// accepted.
func (i *issuer) carrierError() error {
	if i.Header == "" {
		return errors.New("tokens of this issuer are accepted in the Authorization header only: set Issuer.Header for another one")
	}
	return fmt.Errorf("tokens of this issuer are accepted in the header %s only", i.Header)
}
