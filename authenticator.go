// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"net/http"
)

// ErrNoCredentials is the error of an [Authenticator] for a request without a
// credential of its kind. It does not refuse the request: the gate calls the
// next authenticator.
var ErrNoCredentials = errors.New("gatehouse: no credentials of this kind")

// Authenticator verifies one kind of credential.
type Authenticator interface {
	// Reads declares the parts of a request that the authenticator reads. [New] calls it
	// once. The gate does not treat an undeclared header or cookie as a credential: the
	// handler receives it.
	Reads() Reads

	// Authenticate has three outcomes:
	//
	//   - a [Proof]: the caller is authenticated;
	//   - [ErrNoCredentials]: the request has no credential of this kind;
	//   - any other error: the credential is rejected, or a backend is
	//     unavailable. An [*Error] specifies the response, even if it wraps
	//     ErrNoCredentials; the response to any other error is 503.
	//
	// An authenticator recognizes its credentials by their format alone, such as
	// two dots or a key prefix, so that several authenticators can share the Bearer
	// scheme. It must not return ErrNoCredentials for a credential that it
	// recognizes.
	//
	// If the authenticator declares explicit credentials, the gate calls
	// Authenticate for requests with exactly one explicit credential. If it
	// declares ambient credentials, the gate calls Authenticate for requests
	// without an explicit credential.
	//
	// Authenticate must be safe for concurrent use and must not change the request.
	// Its errors must not contain any part of the credential.
	Authenticate(r *http.Request) (Proof, error)
}

// Proof is the result of a successful authentication by an [Authenticator].
type Proof struct {
	principal *Principal

	// Header contains headers for the response, such as DPoP-Nonce. Optional.
	Header http.Header

	// Tenants are the tenants that the issuer of the credential may use, nil for all.
	// [Config.Enrich] can set no other tenant.
	Tenants []string
}

// NewProof returns a Proof for the caller p. Many requests may share p, so it
// must not be changed afterwards.
//
// The gate requires the Method of the caller, and answers 503 without one.
func NewProof(p *Principal) Proof { return Proof{principal: p} }

// Principal returns the caller, zero for the zero Proof.
func (p Proof) Principal() Principal {
	if p.principal == nil {
		return Principal{}
	}
	return *p.principal
}
