// SPDX-License-Identifier: Apache-2.0

package gatehouse

import (
	"encoding/json"
	"errors"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Roles is an immutable set of role names. A name is any text without control
// characters: providers put spaces in them. Equal sets are equal with ==. The
// zero value is the empty set.
type Roles struct {
	// s holds the names sorted, without duplicates, one newline between.
	s string
}

// NewRoles returns a set of role names. It returns an error if a name is empty,
// is not UTF-8 or contains a control character.
func NewRoles(names ...string) (Roles, error) {
	for _, name := range names {
		if name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
			return Roles{}, errors.New("gatehouse: malformed role")
		}
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return Roles{strings.Join(slices.Compact(names), "\n")}, nil
}

// Has reports whether the set holds exactly this name.
func (r Roles) Has(name string) bool {
	for role := range r.All() {
		if role == name {
			return true
		}
	}
	return false
}

// All yields the names in ascending order.
func (r Roles) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		if r.s == "" {
			return
		}
		for name := range strings.SplitSeq(r.s, "\n") {
			if !yield(name) {
				return
			}
		}
	}
}

// Len returns the number of names in the set.
func (r Roles) Len() int {
	if r.s == "" {
		return 0
	}
	return strings.Count(r.s, "\n") + 1
}

// String returns the names in ascending order, separated by a comma and a space. The
// result is ambiguous if a name contains them; use MarshalJSON to parse the names again.
func (r Roles) String() string { return strings.ReplaceAll(r.s, "\n", ", ") }

// MarshalJSON returns an array of the names in ascending order.
func (r Roles) MarshalJSON() ([]byte, error) {
	names := slices.AppendSeq([]string{}, r.All())
	return json.Marshal(names)
}

// UnmarshalJSON reads an array of names like [NewRoles].
func (r *Roles) UnmarshalJSON(data []byte) (err error) {
	var names []string
	if json.Unmarshal(data, &names) != nil {
		return errors.New("gatehouse: roles: not a JSON array of strings")
	}
	*r, err = NewRoles(names...)
	return err
}
