// SPDX-License-Identifier: Apache-2.0

package approval

import (
	"errors"
	"fmt"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// Call is the call of a tool. An approval is bound to all of its fields.
type Call struct {
	// Tenant is the tenant of the caller. Required: deciders belong to it.
	Tenant string

	// Subject is the party on whose behalf the tool is called: a person, or the agent
	// itself. Required.
	Subject gatehouse.Key

	// Actor is the party that calls: the agent, or the Subject if it calls itself.
	// Required.
	Actor gatehouse.Key

	// Tool is the name of the tool and Version its version, "" for none. An approval
	// is void when either changes.
	Tool, Version string

	// Arguments are the arguments with which the tool will run, as [Canonical] returns
	// them. Required.
	Arguments string
}

// check returns an error unless the call can be approved.
func (c Call) check(maxArguments int) error {
	var errs []error
	for _, field := range []struct {
		name, value string
		optional    bool
	}{
		{"Tenant", c.Tenant, false},
		{"Subject.Issuer", c.Subject.Issuer, true},
		{"Subject.Subject", c.Subject.Subject, false},
		{"Actor.Issuer", c.Actor.Issuer, true},
		{"Actor.Subject", c.Actor.Subject, false},
		{"Tool", c.Tool, false},
		{"Version", c.Version, true},
	} {
		if field.value == "" && !field.optional || !text.IsClean(field.value, maxText) {
			errs = append(errs, fmt.Errorf("approval: Call.%s: must be 1 to %d bytes of UTF-8 without control characters", field.name, maxText))
		}
	}
	if len(c.Arguments) > maxArguments {
		errs = append(errs, fmt.Errorf("approval: Call.Arguments: %d bytes: at most %d", len(c.Arguments), maxArguments))
	} else if canonical, err := Canonical([]byte(c.Arguments)); err != nil || canonical != c.Arguments {
		errs = append(errs, errors.New("approval: Call.Arguments: not canonical: use Canonical"))
	}
	return errors.Join(errs...)
}

// Rule defines who decides on an approval. A decider is always a user of the same tenant,
// without actors. The zero Rule has no decider.
type Rule struct {
	// Consent means that the subject of the call decides, and no other person. Roles
	// must then be empty, and Count at most 1.
	Consent bool

	// Roles are the roles of deciders: a decider needs one of them. The subject and the
	// actor of the call cannot decide. Required without Consent.
	Roles gatehouse.Roles

	// Count is the number of different persons who must approve: at most 16, 1 if zero.
	// One denial ends the approval.
	Count int
}

// Check returns an error if nothing can be decided by the rule.
func (r Rule) Check() error {
	switch {
	case r.Consent && (r.Roles.Len() > 0 || r.Count > 1):
		return errors.New("approval: Rule.Consent: Roles must be empty and Count at most 1")
	case !r.Consent && r.Roles.Len() == 0:
		return errors.New("approval: Rule.Roles: required without Consent")
	case r.Count < 0 || r.Count > maxCount:
		return fmt.Errorf("approval: Rule.Count: %d is not within 0 and %d", r.Count, maxCount)
	}
	return nil
}

// count is the number of persons who must approve.
func (r Rule) count() int { return max(r.Count, 1) }
