// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	defaultPage = 50
	maxPage     = 1000
)

// Page is a part of a list of keys.
type Page struct {
	Keys []Key
	// Next is the cursor of the next page, "" if this is the last one. It is
	// safe in a URL.
	Next string
}

// Describe returns what is known of a key, also of one that is over.
func (k *Keys) Describe(ctx context.Context, id string) (Key, error) {
	record, err := k.store.Find(ctx, id)
	if err != nil {
		return Key{}, fmt.Errorf("apikey: describe: %w", err)
	}
	return record.Key, nil
}

// List returns a page of the keys that match, also of those that are over, in
// the order in which they were made. With ExpiresWithin it returns those that
// are due for rotation, the most urgent first.
//
// The cursor is "" or Page.Next of the page before, and stands in for
// Query.After. Limit is 50 if zero and at most 1000. A key that is made, or
// moves, while somebody turns pages may be missed by them, but no key that
// stays is missed or comes twice.
func (k *Keys) List(ctx context.Context, q Query, cursor string) (Page, error) {
	var errs []error
	if err := q.check(); err != nil {
		errs = append(errs, err)
	}
	if q.Limit = orElse(q.Limit, defaultPage); q.Limit < 0 || q.Limit > maxPage {
		errs = append(errs, fmt.Errorf("apikey: Query.Limit: must be 1 to %d", maxPage))
	}
	if q.ExpiresWithin < 0 {
		errs = append(errs, errors.New("apikey: Query.ExpiresWithin: is negative"))
	}
	if cursor != "" {
		var ok bool
		if q.After, ok = parseCursor(cursor); !ok {
			errs = append(errs, errors.New("apikey: list: not a cursor"))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Page{}, err
	}
	limit := q.Limit
	q.Limit++ // one more tells whether there is a next page
	records, err := k.store.List(ctx, q)
	if err != nil {
		return Page{}, fmt.Errorf("apikey: list: %w", err)
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

// cursor makes a text of a position that nobody is tempted to take apart.
func (p Position) cursor() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.Time.UnixMicro(), 10) + " " + p.ID))
}

func parseCursor(cursor string) (Position, bool) {
	if len(cursor) > 128 {
		return Position{}, false
	}
	text, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
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
