// SPDX-License-Identifier: Apache-2.0

package gatehouse

import "time"

// Principal is who is calling, as one authenticator has proved it. It is a
// value: its fields are of immutable types, so a copy is cheap, shares nothing
// that can change, and may be kept and used by any number of goroutines.
// Nothing in it is secret.
//
// The zero Principal is nobody and has no scopes.
type Principal struct {
	// Kind says whether a person, a service or an AI agent is calling.
	Kind Kind

	// Subject is the caller within Issuer. The same Subject under two Issuers
	// is two callers: use both together as a key.
	Subject string

	// Issuer is the namespace of Subject: the iss claim of a token, or the
	// name that another authenticator was configured with.
	Issuer string

	// Tenant is the customer on whose behalf the call is made, "" for none.
	Tenant string

	// Environment is where the credential is good, such as "live" or "test".
	Environment string

	// Client is the OAuth client_id through which the caller came, "" for none.
	Client string

	// Method is how the caller proved who it is.
	Method Method

	// Credential is the public identifier of the credential: a jti, a key ID,
	// a certificate thumbprint. It is safe to log and proves nothing.
	Credential string

	// Scopes is what the credential may be used for.
	Scopes Scopes

	// Roles is what the issuer says the caller is.
	Roles Roles

	// Actors is the delegation chain, RFC 8693 section 4.1: who acts on behalf
	// of Subject, most recent first. It is empty when Subject calls itself.
	Actors Actors

	// Binding says what key, if any, the credential is bound to and was shown
	// to hold in this request.
	Binding Binding

	// AuthTime is when the person behind the call last logged in, zero if the
	// issuer does not say.
	AuthTime time.Time

	// Expires is when the credential ends, to the second.
	Expires time.Time

	// Claims is what else the issuer says: the verified claims of a token, or
	// the metadata of an API key.
	Claims Claims
}

// IsZero reports whether p is nobody.
func (p Principal) IsZero() bool { return p.Method == "" }

// Kind says what sort of caller a [Principal] is.
type Kind string

// The kinds of caller.
const (
	KindUser    Kind = "user"
	KindService Kind = "service"
	KindAgent   Kind = "agent"
)

// Method is how a caller proved who it is. A JWT carried by a cookie is still
// [MethodJWT].
type Method string

// The methods of proof.
const (
	MethodJWT           Method = "jwt"
	MethodAPIKey        Method = "api_key"
	MethodMTLS          Method = "mtls"
	MethodSession       Method = "session"
	MethodIntrospection Method = "introspection"
)

// Binding is the kind of key that a credential is bound to.
type Binding string

// The bindings: none, RFC 9449 (DPoP) and RFC 8705 (mutual TLS).
const (
	BindingNone Binding = ""
	BindingDPoP Binding = "dpop"
	BindingMTLS Binding = "mtls"
)
