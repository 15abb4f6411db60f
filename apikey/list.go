// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/base64url"
)

const (
	defaultPage = 50
	maxPage     = 1000
)

// Filter selects keys by tenant and owner. The zero Filter selects the keys
// without a tenant.
type Filter struct {
	Tenant    string // this tenant, "" for keys without a tenant
	AnyTenant bool   // all tenants; Tenant must be empty
	Owner     string // this owner, "" for any
}

// Query asks for a page of keys, ordered by Created, then ID.
type Query struct {
	Filter

	// ExpiresWithin, if greater than zero, selects only keys that are not
	// revoked and whose Expires is after now and at most now + ExpiresWithin.
	// The order is then Expires, then ID.
	ExpiresWithin time.Duration

	// After is the position of the last key of the previous page, zero for the
	// first page.
	After Position

	// Limit is the maximum number of keys, at least 1.
	Limit int
}

// Position is the place of a key in the order of a [Query].
type Position struct {
	Time time.Time // Created, or Expires if ExpiresWithin is set
	ID   string
}

// Page is one page of a list of keys.
type Page struct {
	Keys []Key
	// Next is the cursor of the next page, "" on the last page. It is safe in a
	// URL.
	Next string
}

// Describe returns a key, also a revoked or expired one.
func (k *Keys) Describe(ctx context.Context, id string) (Key, error) {
	record, err := k.store.Find(ctx, id)
	if err != nil {
		return Key{}, k.failed("describe", err)
	}
	return record.Key, nil
}

// List returns a page of the keys that match, also revoked and expired ones,
// ordered by creation. With ExpiresWithin it returns the keys that are due for
// rotation, ordered by expiry.
//
// Cursor is "" or Page.Next of the previous page and replaces Query.After.
// Limit is 50 if zero and at most 1000. Keys that are created or rotated
// between two calls may be missing from the list. All other keys are listed
// exactly once.
func (k *Keys) List(ctx context.Context, q Query, cursor string) (Page, error) {
	var errs []error
	if err := q.check(); err != nil {
		errs = append(errs, err)
	}
	if q.Limit = orElse(q.Limit, defaultPage); q.Limit < 0 || q.Limit > maxPage {
		errs = append(errs, fmt.Errorf("apikey: Query.Limit: got %d, must be 1 to %d", q.Limit, maxPage))
	}
	if q.ExpiresWithin < 0 {
		errs = append(errs, fmt.Errorf("apikey: Query.ExpiresWithin: got %v, must not be negative", q.ExpiresWithin))
	}
	if cursor != "" {
		var ok bool
		if q.After, ok = parseCursor(cursor); !ok {
			errs = append(errs, errors.New("apikey: list: invalid cursor: must be Next of the previous page"))
		}
	}
	if err := invalidArgument(errs...); err != nil {
		return Page{}, err
	}
	limit := q.Limit
	q.Limit++ // one more shows whether there is a next page
	records, err := k.store.List(ctx, q)
	if err != nil {
		return Page{}, k.failed("list", err)
	}
	var page Page
	if len(records) > limit {
		records = records[:limit]
		page.Next = q.position(&records[limit-1]).cursor()
	}
	page.Keys = make([]Key, len(records))
	for i := range records {
		page.Keys[i] = records[i].Key
	}
	return page, nil
}

func (f Filter) check() error {
	if f.AnyTenant && f.Tenant != "" {
		return fmt.Errorf("apikey: Filter.Tenant: got %q with AnyTenant: set one of them", f.Tenant)
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

func (p Position) compare(other Position) int {
	return cmp.Or(p.Time.Compare(other.Time), strings.Compare(p.ID, other.ID))
}

// cursor encodes a position as text that clients treat as opaque.
func (p Position) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.Time.UnixMicro(), 10) + " " + p.ID))
}

func parseCursor(cursor string) (Position, bool) {
	if len(cursor) > 128 {
		return Position{}, false
	}
	text, err := base64url.Decode(nil, cursor)
	if err != nil {
		return Position{}, false
	}
	micros, id, _ := strings.Cut(string(text), " ")
	n, err := strconv.ParseInt(micros, 10, 64)
	if err != nil || len(id) != idChars || !isBase62(id) {
		return Position{}, false
	}
	return Position{time.UnixMicro(n).UTC(), id}, true
}
