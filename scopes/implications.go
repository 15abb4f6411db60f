// SPDX-License-Identifier: Apache-2.0

package scopes

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gatehouse-go/gatehouse"
)

// Implications list which scopes of an application imply which others. The zero
// value lists none. A value is immutable and safe for concurrent use.
type Implications struct {
	// by has, for each implied scope, the scopes that imply it.
	by map[string][]string
}

// NewImplications returns the implications of a map from a scope to the scopes that it
// implies. Implications are transitive. It returns an error for a scope that implies
// itself, directly or through others, for a malformed scope and for a wildcard. It
// reports all errors at once.
//
//	NewImplications(map[string][]string{
//		"data:admin": {"data:write"},
//		"data:write": {"data:read"},
//	})
func NewImplications(implied map[string][]string) (Implications, error) {
	var errs []error
	for _, scope := range slices.Sorted(maps.Keys(implied)) {
		for _, name := range append([]string{scope}, implied[scope]...) {
			if err := checkName(name); err != nil {
				errs = append(errs, fmt.Errorf("scopes: implications of %q: %w", scope, err))
			}
		}
	}
	i := Implications{by: make(map[string][]string)}
	for _, scope := range slices.Sorted(maps.Keys(implied)) {
		for name := range reach(implied, scope) {
			if name == scope {
				errs = append(errs, fmt.Errorf("scopes: implications of %q: implies itself", scope))
			}
			i.by[name] = append(i.by[name], scope)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Implications{}, err
	}
	return i, nil
}

// reach returns all scopes that scope implies.
func reach(implied map[string][]string, scope string) map[string]bool {
	reached := make(map[string]bool)
	next := implied[scope]
	for len(next) > 0 {
		var further []string
		for _, name := range next {
			if !reached[name] {
				reached[name] = true
				further = append(further, implied[name]...)
			}
		}
		next = further
	}
	return reached
}

// Grants reports whether held contains the scope or a scope that implies it.
func (i Implications) Grants(held gatehouse.Scopes, scope string) bool {
	return held.Has(scope) || hasAny(held, i.by[scope])
}

// checkName rejects malformed scopes, and scopes that look like a pattern.
func checkName(name string) error {
	if _, err := gatehouse.NewScopes(name); err != nil {
		return fmt.Errorf("%q is not one scope of RFC 6749, section 3.3", name)
	}
	if strings.Contains(name, "*") {
		return fmt.Errorf("%q has a wildcard: name each scope", name)
	}
	return nil
}
