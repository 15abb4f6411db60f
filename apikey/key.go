// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"net/netip"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Key is what is known of a key beside its secrets. Nothing in it is secret.
type Key struct {
	// ID is the public part that names the key, safe to log.
	ID string

	// Owner is whom the key speaks for: the Subject of the Principal.
	Owner string
	// Tenant is the customer to whom it belongs, "" for none.
	Tenant string
	// Environment is where it is good, such as "live" or "test".
	Environment string
	// Scopes is what it may be used for.
	Scopes gatehouse.Scopes
	// Networks is from where it may be used, empty for everywhere.
	Networks []netip.Prefix
	// Metadata is what the application has put beside it.
	Metadata gatehouse.Claims

	// Lifetime is for how long a secret of this key is good.
	Lifetime time.Duration

	// Created is when the key was made, Rotated when its newest secret was.
	Created, Rotated time.Time
	// Expires is when the newest secret ends. Rotation moves it.
	Expires time.Time
	// GraceEnds is when the secret before it ends or has ended, zero if there
	// was none.
	GraceEnds time.Time
	// Revoked is when the key was withdrawn for good, zero if it is not.
	Revoked time.Time
	// Suspended is since when the key is out of use until resumed, zero if it
	// is not.
	Suspended time.Time

	// Generation counts the secrets that the key has had: 1 for a new key.
	Generation int64

	// LastUsed is when the key was last used, to about a minute, zero if
	// never. Uses counts how often; what a process has counted since its last
	// write is lost if it ends.
	LastUsed time.Time
	Uses     int64
}
