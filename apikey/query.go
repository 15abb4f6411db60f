// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"cmp"
	"errors"
	"strings"
	"time"
)

// Filter chooses keys by whom they belong to. The zero Filter chooses those
// that belong to no tenant.
type Filter struct {
	Tenant    string // exactly this one, "" for keys of no tenant
	AnyTenant bool   // whatever the tenant; Tenant must be empty
	Owner     string // exactly this one, "" for any
}

// Query asks for a page of keys in the order of Created, then ID.
type Query struct {
	Filter

	// ExpiresWithin, if greater than zero, asks only for keys that are not
	// revoked and whose Expires is after now and not after now +
	// ExpiresWithin. The order is that of Expires, then ID.
	ExpiresWithin time.Duration

	// After is the position of the last key of the page before, zero for the
	// first page.
	After Position

	// Limit is the greatest number of records, at least 1.
	Limit int
}

// Position is the place of a key in the order of a [Query].
type Position struct {
	Time time.Time // Created, or Expires where ExpiresWithin is set
	ID   string
}

func (f Filter) check() error {
	if f.AnyTenant && f.Tenant != "" {
		return errors.New("apikey: Filter: has both Tenant and AnyTenant")
	}
	return nil
}

func (f Filter) match(k *Key) bool {
	return (f.AnyTenant || f.Tenant == k.Tenant) && (f.Owner == "" || f.Owner == k.Owner)
}

func (q Query) match(r *Record, now time.Time) bool {
	if !q.Filter.match(&r.Key) {
		return false
	}
	return q.ExpiresWithin <= 0 ||
		r.Revoked.IsZero() && r.Expires.After(now) && !r.Expires.After(now.Add(q.ExpiresWithin))
}

func (q Query) position(r *Record) Position {
	if q.ExpiresWithin > 0 {
		return Position{r.Expires, r.ID}
	}
	return Position{r.Created, r.ID}
}

func (p Position) before(other Position) bool {
	return cmp.Or(p.Time.Compare(other.Time), strings.Compare(p.ID, other.ID)) < 0
}
