// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"net/http"
)

// ErrNoCredentials is what an [Authenticator] returns for a request without a
// credential of its kind. It is no refusal: the gate asks the next one.
var ErrNoCredentials = errors.New("gatehouse: no credentials of this kind")

// Authenticator verifies one kind of credential.
type Authenticator interface {
	// Reads declares what the authenticator reads of a request. [New] calls it
	// once. What is not declared is not removed from the request that the
	// handler gets, and is no credential to the gate.
	Reads() Reads

	// Authenticate has three outcomes:
	//
	//   - a [Proof]: the caller is authenticated;
	//   - [ErrNoCredentials]: the request has no credential of this kind;
	//   - any other error: the credential is rejected, or a backend is
	//     unavailable. An [*Error] says which, whatever it wraps; any other
	//     error is answered with 503.
	//
	// An authenticator claims a credential by its form alone, such as two dots
	// or a key prefix, so that several can share the Bearer scheme. It must not
	// return ErrNoCredentials for a credential that it has claimed.
	//
	// The gate calls Authenticate for requests with exactly one explicit
	// credential if the authenticator declares explicit ones, and for requests
	// without an explicit credential if it declares ambient ones.
	//
	// Authenticate must be safe for concurrent use and must not change the
	// request. Its errors must carry no part of the credential.
	Authenticate(r *http.Request) (Proof, error)
}

// Proof is the caller that an [Authenticator] has authenticated.
type Proof struct {
	principal *Principal

	// Header is what the response must carry, such as a DPoP nonce. Optional.
	Header http.Header

	// Tenants are the tenants for which the issuer of the credential may speak,
	// nil for all. [Config.Enrich] cannot give the caller another one.
	Tenants []string
}

// NewProof makes a Proof of the caller p, which may be shared by many requests
// and must not be changed afterwards.
func NewProof(p *Principal) Proof { return Proof{principal: p} }

// Principal returns the caller, zero for the zero Proof.
func (p Proof) Principal() Principal {
	if p.principal == nil {
		return Principal{}
	}
	return *p.principal
}
