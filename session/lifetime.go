// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"
	"time"
)

// Lifetime is how long a session lasts. In a [Login], a zero duration stands for that
// of [Config].
type Lifetime struct {
	// Idle and Absolute are the timeouts, as in [Config]. An Idle above Absolute is
	// Absolute.
	Idle, Absolute time.Duration

	// Persistent keeps the cookie when the browser is closed. If a Login has an Idle or
	// an Absolute, its Persistent replaces Config.Persistent.
	Persistent bool
}

// or returns l with each zero duration replaced by that of otherwise.
func (l Lifetime) or(otherwise Lifetime) Lifetime {
	if l == (Lifetime{}) {
		l.Persistent = otherwise.Persistent
	}
	if l.Absolute == 0 {
		l.Absolute = otherwise.Absolute
	}
	if l.Idle == 0 {
		l.Idle = otherwise.Idle
	}
	l.Idle = min(l.Idle, l.Absolute)
	return l
}

// Check returns the errors of a lifetime. A zero duration stands for the default of
// [Config].
func (l Lifetime) Check() error {
	return l.or(Lifetime{Idle: defaultIdle, Absolute: defaultAbsolute}).check("Lifetime.")
}

// check returns the errors of a lifetime without zero durations. field is the prefix of
// the field names.
func (l Lifetime) check(field string) error {
	var errs []error
	if l.Idle < minIdle {
		errs = append(errs, fmt.Errorf("session: %sIdle: must be at least %v", field, minIdle))
	}
	if l.Absolute < minIdle || l.Absolute > maxAbsolute {
		errs = append(errs, fmt.Errorf("session: %sAbsolute: must be from %v to 400 days", field, minIdle))
	}
	return errors.Join(errs...)
}
