// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Scopes is an immutable set of scope tokens as RFC 6749 section 3.3 defines
// them. Equal sets are equal with ==, independent of the order of their tokens.
// The zero value is the empty set, which grants no access.
type Scopes struct {
	// s holds the tokens sorted, without duplicates, one space between.
	s string
}

var errScope = errors.New("gatehouse: malformed scope")

// ParseScopes parses a scope string. The empty string is the empty set.
//
//	RFC 6749 §3.3: scope = scope-token *( SP scope-token )
//
// It returns an error for a leading, trailing or double space and for any character
// outside scope-token: such a string shows a defect of the issuer, and a guess could
// grant a wrong permission. Duplicate tokens are merged.
func ParseScopes(s string) (Scopes, error) {
	if s == "" {
		return Scopes{}, nil
	}
	var buffer [16]string // saves an allocation for a set of usual size
	tokens, sorted, last := buffer[:0], true, ""
	for rest, more := s, true; more; {
		var token string
		if token, rest, more = strings.Cut(rest, " "); !validScope(token) {
			return Scopes{}, errScope
		}
		tokens, sorted, last = append(tokens, token), sorted && last < token, token
	}
	if sorted {
		return Scopes{s}, nil
	}
	return joinScopes(tokens), nil
}

// NewScopes returns a set of scope tokens. It returns an error if one is not a
// well-formed token.
func NewScopes(tokens ...string) (Scopes, error) {
	for _, token := range tokens {
		if !validScope(token) {
			return Scopes{}, fmt.Errorf("%w %.64q", errScope, token)
		}
	}
	return joinScopes(slices.Clone(tokens)), nil
}

func joinScopes(tokens []string) Scopes {
	slices.Sort(tokens)
	return Scopes{strings.Join(slices.Compact(tokens), " ")}
}

// RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
//
// Implements RFC 6750 §3 (scope).
func validScope(token string) bool {
	for i := range len(token) {
		if c := token[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return token != ""
}

// Has reports whether scope is in the set. The comparison is exact, without
// wildcards: "a:*" matches only the scope "a:*".
func (s Scopes) Has(scope string) bool {
	for rest := s.s; rest != ""; {
		var token string
		if token, rest, _ = strings.Cut(rest, " "); token == scope {
			return true
		}
	}
	return false
}

// HasAll reports whether every scope of other is in the set.
func (s Scopes) HasAll(other Scopes) bool {
	for scope := range other.All() {
		if !s.Has(scope) {
			return false
		}
	}
	return true
}

// All yields the scopes in ascending order.
func (s Scopes) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		if s.s == "" {
			return
		}
		for token := range strings.SplitSeq(s.s, " ") {
			if !yield(token) {
				return
			}
		}
	}
}

// Len returns the number of scopes in the set.
func (s Scopes) Len() int {
	if s.s == "" {
		return 0
	}
	return strings.Count(s.s, " ") + 1
}

// union returns the scopes of both sets.
func (s Scopes) union(other Scopes) Scopes {
	return joinScopes(slices.AppendSeq(slices.Collect(s.All()), other.All()))
}

// String returns the set as an RFC 6749 scope string, in ascending order.
func (s Scopes) String() string { return s.s }

// MarshalText returns the same as String. The JSON form is the same text.
func (s Scopes) MarshalText() ([]byte, error) { return []byte(s.s), nil }

// UnmarshalText reads a scope string like [ParseScopes].
func (s *Scopes) UnmarshalText(text []byte) (err error) {
	*s, err = ParseScopes(string(text))
	return err
}
