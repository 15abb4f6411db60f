// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"iter"
	"slices"
)

// Actor is one party that acts on behalf of a subject.
type Actor struct {
	Subject string // sub
	Issuer  string // iss, "" where it is that of the token
	Client  string // client_id, "" where the issuer does not say
}

// Actors is an immutable delegation chain, the act claim of RFC 8693 section
// 4.1 unfolded. The zero value is empty: the subject itself is calling.
type Actors struct{ chain []Actor }

// NewActors makes a chain with the current actor first and the earliest last.
func NewActors(chain ...Actor) Actors { return Actors{slices.Clone(chain)} }

// Current returns who is acting now, and false where nobody but the subject
// is.
//
//	RFC 8693 §4.1: "For the purpose of applying access control policy, the
//	consumer of a token MUST only consider the token's top-level claims and
//	the party identified as the current actor by the act claim."
func (a Actors) Current() (Actor, bool) {
	if len(a.chain) == 0 {
		return Actor{}, false
	}
	return a.chain[0], true
}

// All yields the chain, the current actor first.
func (a Actors) All() iter.Seq[Actor] { return slices.Values(a.chain) }

// Len is the number of actors in the chain.
func (a Actors) Len() int { return len(a.chain) }
