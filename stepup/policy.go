// SPDX-License-Identifier: Apache-2.0

package stepup

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

const (
	// minMaxAge leaves time for the redirect after the login.
	minMaxAge = 10 * time.Second
	maxMaxAge = 365 * 24 * time.Hour

	// maxAhead is the time by which the clock of the issuer may be ahead.
	maxAhead = time.Minute

	// maxACRValues bounds acr_values, in bytes: package signin ignores longer ones.
	maxACRValues = 256
)

// Requirement is the requirement of a route for the login of the user. At least one field
// is required; if both are set, a login must satisfy both.
type Requirement struct {
	// MaxAge is the maximum age of the login, in whole seconds, from 10 s to 365
	// days. Zero accepts every age.
	MaxAge time.Duration

	// ACRValues are the accepted values of the claim acr, in order of preference, in
	// visible ASCII and together at most 256 bytes long. They are compared character by
	// character. Without them every acr is accepted.
	ACRValues []string
}

// Require returns a policy that allows callers whose login satisfies the requirement. The
// challenge of a refusal contains the whole requirement, so that one login satisfies it.
// List this policy after policies that deny with 403, because a new login does not change
// their decision. It panics if the requirement is empty or invalid.
func Require(requirement Requirement) gatehouse.Policy {
	if err := requirement.check(); err != nil {
		panic("stepup: Require: " + strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	p := policy{maxAge: requirement.MaxAge, acr: slices.Clone(requirement.ACRValues)}
	// RFC 9470 §3 (max_age): "the allowable elapsed time in seconds since the last
	// active authentication event associated with the access token".
	if p.maxAge > 0 {
		p.params = append(p.params, gatehouse.Param{Name: "max_age", Value: strconv.FormatInt(int64(p.maxAge/time.Second), 10)})
	}
	// RFC 9470 §3 (acr_values): "A space-separated string listing the authentication
	// context class reference values in order of preference."
	if len(p.acr) > 0 {
		p.params = append(p.params, gatehouse.Param{Name: "acr_values", Value: strings.Join(p.acr, " ")})
	}
	return p
}

func (r Requirement) check() error {
	var errs []error
	if r.MaxAge == 0 && len(r.ACRValues) == 0 {
		errs = append(errs, errors.New("MaxAge or ACRValues is required"))
	}
	if r.MaxAge != 0 && (r.MaxAge < minMaxAge || r.MaxAge > maxMaxAge || r.MaxAge%time.Second != 0) {
		errs = append(errs, fmt.Errorf("MaxAge: got %v, want whole seconds from %v to %v", r.MaxAge, minMaxAge, maxMaxAge))
	}
	for i, value := range r.ACRValues {
		if !text.IsVisible(value) {
			errs = append(errs, fmt.Errorf("ACRValues[%d]: got %q, want visible ASCII without spaces", i, value))
		}
	}
	if n := len(strings.Join(r.ACRValues, " ")); n > maxACRValues {
		errs = append(errs, fmt.Errorf("ACRValues: got %d bytes with the spaces between, want at most %d", n, maxACRValues))
	}
	return errors.Join(errs...)
}

// policy is a valid requirement and its parameters in a challenge.
type policy struct {
	maxAge time.Duration
	acr    []string
	params []gatehouse.Param
}

// Authorize implements [gatehouse.Policy].
//
// Implements RFC 9470 §3 (both), §6.1; ASVS 5.0 §10.3.4.
func (p policy) Authorize(_ *http.Request, caller gatehouse.Principal) error {
	if p.maxAge > 0 {
		age := time.Since(caller.AuthTime)
		switch {
		case caller.AuthTime.IsZero():
			return p.denied(ReasonAuthTime, errors.New("stepup: the time of the login is unknown: the credential has no auth_time"))
		case age > p.maxAge:
			return p.denied(ReasonAuthTime, fmt.Errorf("stepup: the login is %v old, accepted are %v", age.Truncate(time.Second), p.maxAge))
		case age < -maxAhead:
			return p.denied(ReasonAuthTime, fmt.Errorf("stepup: the login is %v in the future: check the clocks", -age.Truncate(time.Second)))
		}
	}
	if len(p.acr) > 0 {
		var claims struct {
			ACR string `json:"acr"`
		}
		if err := caller.Claims.Decode(&claims); err != nil {
			return p.denied(ReasonACR, fmt.Errorf("stepup: acr: %w", err))
		}
		if !slices.Contains(p.acr, claims.ACR) {
			return p.denied(ReasonACR, fmt.Errorf("stepup: acr is %.64q, accepted are %q", claims.ACR, p.acr))
		}
	}
	return nil
}

// denied returns a step-up challenge. Its level is INFO, because a login that is too old
// is normal.
func (p policy) denied(reason gatehouse.Reason, cause error) *gatehouse.Error {
	return &gatehouse.Error{Code: CodeInsufficientUserAuthentication, Reason: reason, Params: p.params, Level: slog.LevelInfo, Cause: cause}
}
