// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
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
	//     unavailable. An [*Error] says which; any other error is answered
	//     with 503.
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

// Reads is what an [Authenticator] reads of a request. A credential is explicit
// if the client adds it on purpose, and ambient if the browser or the connection
// sends it unasked. An authenticator reads explicit credentials (Schemes,
// Headers) or ambient ones (Cookies, Connection), never both.
//
// The gate derives from it which credentials compete, which challenges a 401
// carries, and what it removes from the request before a handler gets it.
type Reads struct {
	// Schemes are the schemes of the Authorization header.
	Schemes []Scheme

	// Headers are other headers that carry an explicit credential.
	Headers []Header

	// Cookies are the names of cookies that carry a credential. A cookie whose
	// name continues with a dot and digits is a part of the same one.
	Cookies []string

	// Connection says that the credential belongs to the connection: a client
	// certificate.
	Connection bool

	// Companions are headers that go with a credential and are none by
	// themselves, such as Client-Cert. The gate removes them.
	Companions []string

	// InURL finds a credential of this kind in a URL, where it must not be
	// because URLs are logged, and returns its issuer and its public identifier,
	// "" if there is none. The gate refuses such a request. Optional.
	InURL func(*url.URL) (issuer, credential string)
}

// Scheme is one scheme of the Authorization header, RFC 9110 section 11.1.
type Scheme struct {
	// Name is the name of the scheme, such as "Bearer". Case does not matter.
	Name string

	// Params are parameters of its challenge beside the realm, such as algs.
	Params []Param

	// Companions are headers that go with this scheme only, such as DPoP. The
	// gate removes them, and answers 400 where one comes beside another scheme.
	Companions []string

	// Invalid is the code for a credential that no authenticator claims,
	// [CodeInvalidToken] if it is zero.
	Invalid Code

	// Silent leaves the scheme out of challenges: it is read and not advertised.
	Silent bool

	// Always adds the challenge of this scheme to each 401, also to one whose
	// error is in the challenge of another scheme.
	Always bool
}

// Header is a header beside Authorization that carries an explicit credential.
type Header struct {
	Name    string // case does not matter
	Invalid Code   // for a credential that no authenticator claims, [CodeInvalidToken] if zero
}

func (r Reads) explicit() bool { return len(r.Schemes)+len(r.Headers) > 0 }
func (r Reads) ambient() bool  { return len(r.Cookies) > 0 || r.Connection }

// check returns what is wrong with a declaration.
func (r Reads) check() error {
	if r.explicit() == r.ambient() {
		return errors.New("Reads: must declare explicit credentials (Schemes, Headers) or ambient ones (Cookies, Connection), and not both")
	}
	names := slices.Concat(r.Companions, r.Cookies)
	for _, s := range r.Schemes {
		names = append(append(names, s.Name), s.Companions...)
	}
	for _, h := range r.Headers {
		names = append(names, h.Name)
	}
	for _, name := range names {
		if name == "" || strings.TrimFunc(name, func(r rune) bool { return r < 0x80 && isTokenChar(byte(r)) }) != "" {
			return fmt.Errorf("Reads: %q is not a token of RFC 9110", name)
		}
	}
	return nil
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

// isNil also finds the nil pointer of a constructor that has failed and whose
// error the program does not check.
func isNil(v any) bool {
	value := reflect.ValueOf(v)
	switch value.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Slice, reflect.Chan, reflect.Interface:
		return value.IsNil()
	}
	return false
}
