// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"cmp"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
)

func TestList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newKeys(t, nil)
		var keys []apikey.Key // of tenant t1, two of them created at a time
		for i := range 120 {
			r := request()
			r.Lifetime = time.Duration(120-i) * time.Hour
			if i%3 == 0 {
				r.Tenant = "t2"
			}
			key, _ := f.create(t, r)
			if i%3 != 0 {
				keys = append(keys, key)
			}
			advance(time.Duration(i%2) * (time.Second + time.Microsecond))
		}
		idsBy := func(compare func(a, b apikey.Key) int) (ids []string) {
			slices.SortFunc(keys, compare)
			for _, key := range keys {
				ids = append(ids, key.ID)
			}
			return ids
		}
		ids := idsBy(func(a, b apikey.Key) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
		due := idsBy(func(a, b apikey.Key) int { return a.Expires.Compare(b.Expires) })[:7]
		t1 := apikey.Filter{Tenant: "t1"}
		for _, test := range []struct {
			name  string
			query apikey.Query
			want  []string
			pages int
		}{
			{"default limit", apikey.Query{Filter: t1}, ids, 2},
			{"1", apikey.Query{Filter: t1, Limit: 1}, ids, 80},
			{"7", apikey.Query{Filter: t1, Limit: 7}, ids, 12},
			{"79 of 80", apikey.Query{Filter: t1, Limit: 79}, ids, 2},
			{"80 of 80", apikey.Query{Filter: t1, Limit: 80}, ids, 1},
			{"81 of 80", apikey.Query{Filter: t1, Limit: 81}, ids, 1},
			{"largest limit", apikey.Query{Filter: t1, Limit: 1000}, ids, 1},
			{"due", apikey.Query{Filter: t1, ExpiresWithin: 10*time.Hour - 5*time.Second, Limit: 3}, due, 3},
			{"no tenant", apikey.Query{}, nil, 1},
		} {
			var got []string
			pages := 0
			for cursor := ""; pages == 0 || cursor != ""; pages++ {
				page := must(f.List(t.Context(), test.query, cursor))(t)
				for _, key := range page.Keys {
					got = append(got, key.ID)
				}
				cursor = page.Next
			}
			if !slices.Equal(got, test.want) || pages != test.pages {
				t.Errorf("%s: %d keys %q on %d pages, want %d keys %q on %d", test.name, len(got), got, pages, len(test.want), test.want, test.pages)
			}
		}
	})
}

func TestListErrors(t *testing.T) {
	f := newKeys(t, nil)
	for range 2 {
		f.create(t, request())
	}
	page := must(f.List(t.Context(), apikey.Query{Filter: apikey.Filter{Tenant: "t1"}, Limit: 1}, ""))(t)
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	id := page.Keys[0].ID
	must(f.List(t.Context(), apikey.Query{}, encode("0 "+id)))(t)
	twin := []byte(encode("12 " + id))
	twin[len(twin)-1]++ // changes unused bits
	for name, test := range map[string]struct {
		query  apikey.Query
		cursor string
		text   string // of the error
	}{
		"cursor with other bytes":    {cursor: page.Next + "!"},
		"cursor with a suffix":       {cursor: encode("0 "+id) + "!"},
		"cursor, not canonical":      {cursor: string(twin)},
		"cursor, malformed time":     {cursor: encode("x " + id)},
		"cursor without time":        {cursor: encode(id)},
		"cursor without ID":          {cursor: encode("0 ")},
		"cursor with a short ID":     {cursor: encode("0 " + id[1:])},
		"cursor with a malformed ID": {cursor: encode("0 " + id[1:] + "'")},
		"cursor with more base64":    {cursor: page.Next + "AAAA"},
		"cursor of 160 bytes":        {cursor: encode(strings.Repeat("0", 100) + " " + id)},
		"limit":                      {query: apikey.Query{Limit: 1001}},
		"negative limit":             {query: apikey.Query{Limit: -1}},
		"negative ExpiresWithin":     {query: apikey.Query{ExpiresWithin: -1}},
		"two tenants":                {query: apikey.Query{Filter: apikey.Filter{Tenant: "a", Owner: "b", AnyTenant: true}}, text: `got "a"`},
	} {
		if page, err := f.List(t.Context(), test.query, test.cursor); !errors.Is(err, apikey.ErrInvalid) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("List, %s = %+v, %v, want an error with %q", name, page, err, test.text)
		}
	}
}
