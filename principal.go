// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Principal is the authenticated caller of a request. It is a comparable value
// with immutable fields: it can be copied, kept after the request, and used by
// several goroutines. It contains no secrets.
//
// To store or compare callers, use [Principal.Key]. The zero Principal stands
// for the absence of a caller and has no scopes.
type Principal struct {
	// Kind is the kind of caller: a user, a service or an AI agent.
	Kind Kind `json:"kind,omitempty"`

	// Subject identifies the caller within Issuer. The same Subject at two Issuers is two
	// different callers: see [Principal.Key].
	Subject string `json:"subject,omitempty"`

	// Issuer is the namespace of Subject: the iss claim of a token, or the issuer
	// name in the configuration of another authenticator.
	//
	// Implements OIDC Core §5.7.
	Issuer string `json:"issuer,omitempty"`

	// Tenant is the customer on whose behalf the caller acts, "" for none.
	Tenant string `json:"tenant,omitempty"`

	// Environment is where the credential is valid, such as "live" or "test".
	Environment string `json:"environment,omitempty"`

	// Client is the OAuth client_id of the application that sent the request,
	// "" for none.
	Client string `json:"client,omitempty"`

	// Method is the kind of credential that authenticated the caller. Required: a
	// Principal without a Method stands for no caller.
	Method Method `json:"method,omitempty"`

	// Credential is the public identifier of the credential: a jti, a key ID, a
	// certificate thumbprint. It is not a secret and is safe to log.
	Credential string `json:"credential,omitempty"`

	// Scopes are the scopes of the credential.
	Scopes Scopes `json:"scope,omitzero"`

	// Roles are the roles of the caller, as the issuer states them.
	Roles Roles `json:"roles,omitzero"`

	// Actors is the delegation chain of RFC 8693 section 4.1: the parties that act
	// on behalf of Subject, the current actor first. It is empty if Subject itself
	// is calling.
	Actors Actors `json:"act,omitzero"`

	// Binding is the kind of key to which the credential is bound, after the proof of
	// possession was checked. It is "" for a bearer credential.
	Binding Binding `json:"binding,omitempty"`

	// AuthTime is the time of the user's last authentication, zero if unknown.
	//
	// Implements ASVS 5.0 §10.3.4.
	AuthTime time.Time `json:"auth_time,omitzero"`

	// Expires is the expiry of the credential, in whole seconds.
	Expires time.Time `json:"expires,omitzero"`

	// Claims are the verified claims of a token, or the metadata of an API key.
	Claims Claims `json:"claims,omitzero"`
}

// IsZero reports whether p stands for no caller: its Method is empty.
func (p Principal) IsZero() bool { return p.Method == "" }

// Key returns the pair that identifies the caller.
func (p Principal) Key() Key { return Key{p.Issuer, p.Subject} }

// LogValue returns the fields that identify the caller and the credential. It
// omits Claims, which often contain personal data.
func (p Principal) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, 11)
	for _, field := range [...]struct{ name, value string }{
		{"kind", string(p.Kind)},
		{"issuer", p.Issuer},
		{"subject", p.Subject},
		{"tenant", p.Tenant},
		{"environment", p.Environment},
		{"client", p.Client},
		{"method", string(p.Method)},
		{"credential", p.Credential},
		{"scope", p.Scopes.String()},
		{"roles", p.Roles.String()},
		{"act", p.Actors.String()},
		{"binding", string(p.Binding)},
	} {
		if field.value != "" {
			attrs = append(attrs, slog.String(field.name, field.value))
		}
	}
	return slog.GroupValue(attrs...)
}

// Key identifies a caller: a Subject is unique only within its Issuer. It is
// comparable and can be a map key.
type Key struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// String returns Issuer and Subject, each escaped as a path segment, separated by one
// slash. Use it for a database column or a log. [Key.UnmarshalText] parses it.
func (k Key) String() string { return url.PathEscape(k.Issuer) + "/" + url.PathEscape(k.Subject) }

// MarshalText returns the same as String.
func (k Key) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText parses the form that String returns.
func (k *Key) UnmarshalText(text []byte) error {
	issuer, subject, _ := strings.Cut(string(text), "/")
	var read Key
	read.Issuer, _ = url.PathUnescape(issuer)
	read.Subject, _ = url.PathUnescape(subject)
	if read.String() != string(text) { // true also if an escape is malformed
		return errors.New("gatehouse: malformed principal key")
	}
	*k = read
	return nil
}

// Kind is a kind of caller.
type Kind string

// The kinds of caller.
const (
	KindUser    Kind = "user"
	KindService Kind = "service"
	KindAgent   Kind = "agent"
)

// Method is a kind of credential. The package that verifies a credential
// declares its value: a JWT in a cookie has the Method of package jwtauth.
type Method string

// Binding is the kind of key to which a sender-constrained credential is bound.
// The package that confirms the key declares its value. The Binding of a
// credential that is bound to several keys is the sorted list of their values,
// joined by "+".
type Binding string

// includes reports whether other is one of the values of b.
func (b Binding) includes(other Binding) bool {
	return slices.Contains(strings.Split(string(b), "+"), string(other))
}

// Actor is one party that acts on behalf of a subject.
type Actor struct {
	Subject string `json:"sub"`
	Issuer  string `json:"iss,omitempty"`       // "" if it is the issuer of the token
	Client  string `json:"client_id,omitempty"` // "" if unknown
}

// Actors is an immutable delegation chain, the act claim of RFC 8693 section
// 4.1. Equal chains are equal with ==. The zero value is the empty chain,
// without delegation: the subject itself is calling. Its JSON form is the
// nested act object.
type Actors struct{ act string }

// link is one actor of a chain, with the actor that delegated to it.
type link struct {
	Actor
	Act *link `json:"act,omitempty"`
}

// NewActors returns a chain. Its first element is the current actor, its last
// the earliest.
func NewActors(chain ...Actor) Actors {
	var first *link
	for i := len(chain) - 1; i >= 0; i-- {
		first = &link{chain[i], first}
	}
	if first == nil {
		return Actors{}
	}
	act, _ := json.Marshal(first) // cannot fail: there are only strings in it
	return Actors{string(act)}
}

// chain returns the first link, nil if there is none.
func (a Actors) chain() *link {
	if a.act == "" {
		return nil
	}
	var first link
	_ = json.Unmarshal([]byte(a.act), &first) // cannot fail: NewActors wrote it
	return &first
}

// Current returns the party that acts now, and false if the subject itself is
// calling.
//
//	RFC 8693 §4.1: "For the purpose of applying access control policy, the
//	consumer of a token MUST only consider the token's top-level claims and
//	the party identified as the current actor by the act claim."
//
// Implements ASVS 5.0 §8.3.3.
func (a Actors) Current() (Actor, bool) {
	if first := a.chain(); first != nil {
		return first.Actor, true
	}
	return Actor{}, false
}

// All yields the chain, the current actor first.
func (a Actors) All() iter.Seq[Actor] {
	return func(yield func(Actor) bool) {
		for l := a.chain(); l != nil && yield(l.Actor); l = l.Act {
		}
	}
}

// Len returns the number of actors in the chain.
func (a Actors) Len() int {
	n := 0
	for range a.All() {
		n++
	}
	return n
}

// String returns the chain as JSON, "" if it is empty.
func (a Actors) String() string { return a.act }

// MarshalJSON returns the chain as an act claim, null if it is empty.
func (a Actors) MarshalJSON() ([]byte, error) {
	if a.act == "" {
		return []byte("null"), nil
	}
	return []byte(a.act), nil
}

// UnmarshalJSON reads what MarshalJSON returns.
func (a *Actors) UnmarshalJSON(data []byte) error {
	var first *link
	if err := json.Unmarshal(data, &first); err != nil {
		return errors.New("gatehouse: malformed act claim")
	}
	var chain []Actor
	for l := first; l != nil; l = l.Act {
		chain = append(chain, l.Actor)
	}
	*a = NewActors(chain...)
	return nil
}
