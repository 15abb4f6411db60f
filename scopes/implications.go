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

// Implications says which scopes of an application imply which others. It is
// immutable, and safe for concurrent use. The zero value implies nothing.
type Implications struct {
	// by has, for each scope that is implied, those that imply it.
	by map[string][]string
}

// NewImplications reads implications: a scope, and the scopes that it implies.
// What those imply is implied too. That a scope implies itself, directly or by
// way of others, is an error, and so are malformed scopes and wildcards.
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
				errs = append(errs, fmt.Errorf("scopes: implications of %q: it implies itself", scope))
			}
			i.by[name] = append(i.by[name], scope)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Implications{}, err
	}
	return i, nil
}

// reach returns all that scope implies.
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

// Grants reports whether the scopes held have the scope, or one that implies it.
func (i Implications) Grants(held gatehouse.Scopes, scope string) bool {
	if held.Has(scope) {
		return true
	}
	return hasAny(held, i.by[scope])
}

// sufficient returns the scopes of which each is as good as scope.
func (i Implications) sufficient(scope string) []string {
	return append([]string{scope}, i.by[scope]...)
}

// checkName refuses what is no scope, and what somebody might take for many.
func checkName(name string) error {
	if _, err := gatehouse.NewScopes(name); err != nil {
		return fmt.Errorf("%q is malformed", name)
	}
	if strings.Contains(name, "*") {
		return fmt.Errorf("%q has a wildcard, and there are none", name)
	}
	return nil
}
