// SPDX-License-Identifier: Apache-2.0

package dpop

import (
	"errors"
	"net/http"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Require returns an authenticator that accepts only the sender-constrained tokens of
// a, by DPoP or another binding: a Bearer token without cnf is rejected with 401 and
// gatehouse.CodeInvalidToken. Other authenticators of the gate, such as that of API
// keys, are not affected; gatehouse.Bound is a policy for single routes. Require
// panics if a is nil.
func Require(a gatehouse.Authenticator) gatehouse.Authenticator {
	if typednil.Is(a) {
		panic("dpop: Require: nil authenticator")
	}
	return required{a}
}

type required struct{ gatehouse.Authenticator }

func (a required) Authenticate(r *http.Request) (gatehouse.Proof, error) {
	proof, err := a.Authenticator.Authenticate(r)
	if err != nil {
		return gatehouse.Proof{}, err
	}
	if p := proof.Principal(); p.Binding == "" {
		return gatehouse.Proof{}, &gatehouse.Error{
			Code: gatehouse.CodeInvalidToken, Reason: gatehouse.ReasonUnbound, Issuer: p.Issuer, Credential: p.Credential,
			Cause: errors.New("dpop: Require: the token is not sender-constrained"),
		}
	}
	return proof, nil
}
