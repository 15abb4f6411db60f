// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/gatehouse-go/gatehouse/internal/strictjson"
)

// maxNames bounds the claims that one Issuer names in addition to those that
// claims.parse reads.
const maxNames = 32

// selector locates a claim that an Issuer names.
type selector struct {
	name  string   // in the configuration
	index int      // of the top-level member: in claims.raw, and beyond its end in claims.extra
	steps []string // member names from there into nested objects

	seen, reported atomic.Bool // see issuer.reportMissing
}

// selectors makes the selectors of one Issuer.
type selectors struct {
	extra []string // the names of claims.extra
}

// add returns the selector for a name, which is a member or an RFC 6901 pointer.
func (b *selectors) add(name string) (*selector, error) {
	path, err := parsePointer(name)
	if err != nil {
		return nil, err
	}
	s := &selector{name: name, steps: path[1:]}
	if s.index = slices.Index(claimNames[:], path[0]); s.index >= 0 {
		return s, nil
	}
	n := slices.Index(b.extra, path[0])
	if n < 0 {
		folds := func(other string) bool { return strictjson.Fold(other) == strictjson.Fold(path[0]) }
		switch {
		case claimTable.Has(path[0]) || slices.ContainsFunc(b.extra, folds):
			return nil, fmt.Errorf("%q differs from another claim only in case", name)
		case len(b.extra) == maxNames:
			return nil, fmt.Errorf("more than %d different claims", maxNames)
		}
		n = len(b.extra)
		b.extra = append(b.extra, path[0])
	}
	s.index = claimCount + n
	return s, nil
}

// parsePointer returns the member names of a pointer.
//
// Implements RFC 6901 §3, §4.
func parsePointer(name string) ([]string, error) {
	if !isIdentifier(name) {
		return nil, fmt.Errorf("must be 1 to %d bytes of UTF-8 without control characters", maxText)
	}
	if name[0] != '/' {
		return []string{name}, nil
	}
	path := strings.Split(name[1:], "/")
	if len(path) >= maxDepth {
		return nil, fmt.Errorf("%q is a pointer with more than %d steps", name, maxDepth-1)
	}
	for n, step := range path {
		if step == "" {
			return nil, fmt.Errorf("%q is a pointer with an empty step", name)
		}
		// RFC 6901 §3: escaped = "~" ( "0" / "1" )
		if rest := strings.ReplaceAll(strings.ReplaceAll(step, "~0", ""), "~1", ""); strings.Contains(rest, "~") {
			return nil, fmt.Errorf("%q is a pointer with a ~ that is not ~0 or ~1", name)
		}
		// RFC 6901 §4: "first transforming any occurrence of the sequence '~1' to
		// '/', and then transforming any occurrence of the sequence '~0' to '~'."
		path[n] = strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")
	}
	return path, nil
}

// value returns the raw value of a claim, "" if the token does not have it.
func (c *claims) value(s *selector) string {
	value, _ := c.walk(s)
	return value
}

// walk returns the raw value of a claim and the innermost object on the way to it.
func (c *claims) walk(s *selector) (value, object string) {
	object = c.text
	if s.index < claimCount {
		value = c.raw[s.index]
	} else {
		value = c.extra[s.index-claimCount]
	}
	for _, step := range s.steps {
		if !strings.HasPrefix(value, "{") {
			return "", object
		}
		object = value
		value = member(object, step)
	}
	return value, object
}

var errFound = errors.New("found")

// member returns the raw value of a member of a checked object, "" if the object does not
// have the member.
func member(object, name string) string {
	var found string
	_ = strictjson.Object(object, jsonLimits, func(n, value string) error {
		if n == name {
			found = value
			return errFound
		}
		return nil
	})
	return found
}
