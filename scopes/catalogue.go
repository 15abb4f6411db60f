// SPDX-License-Identifier: Apache-2.0

package scopes

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gatehouse-go/gatehouse"
)

// Catalogue is the list of the scopes of an application. It is immutable and safe
// for concurrent use.
type Catalogue struct {
	descriptions map[string]string
}

// NewCatalogue returns a catalogue of at least one scope. descriptions contains, for the
// name of each scope, a description for the users who grant it. It rejects malformed
// names, and names with an asterisk, because a wildcard would also grant scopes that are
// added later. It reports all errors at once.
func NewCatalogue(descriptions map[string]string) (*Catalogue, error) {
	var errs []error
	if len(descriptions) == 0 {
		errs = append(errs, errors.New("scopes: catalogue: at least one scope is required"))
	}
	for _, name := range slices.Sorted(maps.Keys(descriptions)) {
		if err := checkName(name); err != nil {
			errs = append(errs, fmt.Errorf("scopes: catalogue: %w", err))
		}
		if descriptions[name] == "" {
			errs = append(errs, fmt.Errorf("scopes: catalogue: %q: description required", name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Catalogue{maps.Clone(descriptions)}, nil
}

// Parse parses a scope string as [gatehouse.ParseScopes] does, RFC 6749 section 3.3.
// A scope that is not in the catalogue is an error.
func (c *Catalogue) Parse(s string) (gatehouse.Scopes, error) {
	scopes, err := gatehouse.ParseScopes(s)
	if err != nil {
		return gatehouse.Scopes{}, err
	}
	for scope := range scopes.All() {
		if _, ok := c.descriptions[scope]; !ok {
			return gatehouse.Scopes{}, fmt.Errorf("scopes: unknown scope %.64q", scope)
		}
	}
	return scopes, nil
}

// Describe returns the description of a scope, and false if it is unknown.
func (c *Catalogue) Describe(scope string) (string, bool) {
	description, ok := c.descriptions[scope]
	return description, ok
}

// Names returns the names of all scopes, sorted.
func (c *Catalogue) Names() []string {
	return slices.Sorted(maps.Keys(c.descriptions))
}
