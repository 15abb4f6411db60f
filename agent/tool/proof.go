// SPDX-License-Identifier: Apache-2.0

package tool

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse"
)

// Kind is a kind of credential of a caller, or the weakest kind that a class of tools
// accepts.
type Kind string

// The kinds of credentials. APIKey and UserToken are the weakest: OwnToken and Delegated
// are stronger than both. Neither of these two satisfies the other: an own token has the
// authority of an agent, a delegated token that of a person.
const (
	// APIKey is an API key or another credential that is not an access token. A class
	// of this kind accepts every kind.
	APIKey Kind = "api_key"
	// UserToken is an access token of a person or a service that is not an agent. A
	// class of this kind accepts every access token.
	UserToken Kind = "user_token"
	// OwnToken is an access token of an agent that acts for itself.
	OwnToken Kind = "own_token"
	// Delegated is an access token with a subject and an actor: an agent acts for a
	// person.
	Delegated Kind = "delegated"
)

// satisfies reports whether a credential of kind k suffices if least is required. An
// unknown kind never suffices.
func (k Kind) satisfies(least Kind) bool {
	switch k {
	case OwnToken, Delegated:
		return k == least || least == UserToken || least == APIKey
	case UserToken:
		return least == UserToken || least == APIKey
	case APIKey:
		return least == APIKey
	}
	return false
}

// Proof is the weakest proof of identity that a class of tools accepts. A class also
// accepts a stronger proof than its own, and never a weaker one.
type Proof struct {
	// Kind is the kind of credential. Required.
	Kind Kind

	// Binding is the key to which the access token must be bound: mtls.Binding for the
	// client certificate of the connection, dpop.Binding for a DPoP key. The token may
	// be bound to other keys as well. Optional.
	Binding gatehouse.Binding

	// Attested requires that the agent is attested, see Facts.Attested.
	Attested bool
}

func (p Proof) check() error {
	if !p.Kind.satisfies(APIKey) {
		return fmt.Errorf("Proof.Kind: %q: want api_key, user_token, own_token or delegated", p.Kind)
	}
	if p.Kind == APIKey && (p.Binding != "" || p.Attested) {
		return errors.New("Proof.Kind: api_key: has neither Binding nor Attested")
	}
	return nil
}

// Facts are data about a caller that its [gatehouse.Principal] does not contain.
type Facts struct {
	// Kind is the kind of the caller's credential. Required: the zero value may call
	// no tool.
	Kind Kind

	// Subject is the party on whose behalf the caller acts: the person, with the person's
	// issuer, or the agent itself. Approvals are bound to Subject, and the person with
	// this [gatehouse.Principal.Key] gives consent. If zero, it is the Key of the
	// principal.
	Subject gatehouse.Key

	// Actor is the agent that acts. If zero, it is Subject.
	Actor gatehouse.Key

	// Attested reports whether evidence shows that the agent runs in the expected
	// place.
	Attested bool

	// Obtainable are the scopes that the caller can request, such as those of the agent's
	// roles. [Table.Visible] treats them like scopes that the caller has.
	Obtainable gatehouse.Scopes
}

// complete sets the defaults of the optional fields.
func (f Facts) complete(p gatehouse.Principal) Facts {
	if f.Subject == (gatehouse.Key{}) {
		f.Subject = p.Key()
	}
	if f.Actor == (gatehouse.Key{}) {
		f.Actor = f.Subject
	}
	return f
}

// possible returns the refusal of a caller that can never call the tools of a class
// with this kind of credential.
func (p Proof) possible(f Facts) *gatehouse.Error {
	switch {
	case !f.Kind.satisfies(p.Kind):
		return refuse(gatehouse.CodeAccessDenied, ReasonProof, fmt.Errorf("tool: the credential is %q, required is %q", f.Kind, p.Kind))
	case p.Attested && !f.Attested:
		return refuse(gatehouse.CodeAccessDenied, ReasonAttestation, errors.New("tool: the agent is not attested"))
	}
	return nil
}

// bound returns the refusal of a credential that is not bound to the required key.
func (p Proof) bound(has gatehouse.Binding) *gatehouse.Error {
	if p.Binding == "" || slices.Contains(strings.Split(string(has), "+"), string(p.Binding)) {
		return nil
	}
	return refuse(gatehouse.CodeInvalidToken, ReasonBinding, fmt.Errorf("tool: the credential has the binding %q, required is %q", has, p.Binding))
}

func refuse(code gatehouse.Code, reason gatehouse.Reason, cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: code, Reason: reason, Cause: cause}
}
