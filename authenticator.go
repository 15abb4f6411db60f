// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"net/http"
)

// ErrNoCredentials says that a request carries no credential of the kind that
// an [Authenticator] reads. It is not a refusal: the next one is asked.
var ErrNoCredentials = errors.New("gatehouse: no credentials of this kind")

// Authenticator settles who is calling. It has three outcomes, never two:
//
//   - a [Proof]: this is who;
//   - an error that is [ErrNoCredentials]: no credential of my kind is here;
//   - any other error: refused, or cannot tell now. An [*Error] says which;
//     any other error means that it cannot tell, and the answer is 503.
//
// An authenticator claims a credential by its shape alone, two dots or a key
// prefix, so that several can share the Bearer scheme. Once it has claimed one
// it must not say ErrNoCredentials: bad never becomes anonymous.
//
// To say where a person without credentials can log in, an authenticator
// returns an Error with Login set whose Cause is ErrNoCredentials.
//
// One that reads an ambient credential, which the browser or the connection
// sends unasked, returns ErrNoCredentials where [HasExplicitCredential] is
// true.
//
// Authenticate must be safe for concurrent use and must not change the
// request. Its errors must carry no part of the credential.
type Authenticator interface {
	Authenticate(r *http.Request) (Proof, error)
}

// AuthenticatorFunc is a function that is an [Authenticator].
type AuthenticatorFunc func(*http.Request) (Proof, error)

// Authenticate calls f.
func (f AuthenticatorFunc) Authenticate(r *http.Request) (Proof, error) { return f(r) }

// Challenger is implemented by an [Authenticator] that can be invited: the
// [Gate] puts its challenge into the answer to a request without credentials.
// A gate none of whose authenticators is a Challenger invites with Bearer.
type Challenger interface {
	Challenge() Challenge
}

// Inspector is implemented by an [Authenticator] that has a say in requests
// whose credential is not its own: where a secret of its kind stands in the
// URL, say. The [Gate] asks it before it asks any authenticator who is calling,
// and refuses the request if it returns an error.
type Inspector interface {
	Inspect(r *http.Request) error
}

// Proof is what a successful [Authenticator] returns.
type Proof struct {
	// Principal is who is calling. It may be shared by many requests and must
	// not be changed once it is returned.
	Principal *Principal

	// Source says where the credential was.
	Source Source

	// Name is the name of the header or the cookie.
	Name string

	// Header is what the response must carry, such as a DPoP nonce. Optional.
	Header http.Header
}

// Source is the part of a request in which a credential was found.
type Source uint8

// The sources. A credential in a header is explicit; a cookie and a connection
// are ambient.
const (
	SourceHeader Source = iota + 1
	SourceCookie
	SourceConnection
)
