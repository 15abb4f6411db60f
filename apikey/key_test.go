// SPDX-License-Identifier: Apache-2.0

package apikey_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
)

func TestKeyForms(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 11, 28, hour, 0, 0, 0, time.UTC) }
	scopes := must(gatehouse.ParseScopes("reports:read reports:write"))(t)
	sparse := apikey.Key{ID: "0123456789ABCDEF", Owner: "ci", Environment: "live", Lifetime: 1500 * time.Millisecond, Created: at(1), Rotated: at(1), Expires: at(2), Generation: 1}
	full := sparse
	full.Tenant, full.Scopes, full.Networks, full.Metadata = "t1", scopes, prefixes("10.0.0.0/8"), claims(t, `{"name":"nightly"}`)
	full.GraceEnds, full.Revoked, full.Suspended, full.LastUsed, full.Uses = at(3), at(4), at(5), at(6), 7
	for name, test := range map[string]struct {
		key        apikey.Key
		json, slog string
	}{
		"sparse": {
			sparse,
			`{"id":"0123456789ABCDEF","owner":"ci","environment":"live","scopes":"","created":"2026-11-28T01:00:00Z","rotated":"2026-11-28T01:00:00Z","expires":"2026-11-28T02:00:00Z","generation":1,"uses":0,"lifetime":1.5}`,
			`key.id=0123456789ABCDEF key.owner=ci key.environment=live key.scopes="" key.expires=2026-11-28T02:00:00.000Z`,
		},
		"full": {
			full,
			`{"id":"0123456789ABCDEF","owner":"ci","tenant":"t1","environment":"live","scopes":"reports:read reports:write","networks":["10.0.0.0/8"],"metadata":{"name":"nightly"},` +
				`"created":"2026-11-28T01:00:00Z","rotated":"2026-11-28T01:00:00Z","expires":"2026-11-28T02:00:00Z","grace_ends":"2026-11-28T03:00:00Z","revoked":"2026-11-28T04:00:00Z","suspended":"2026-11-28T05:00:00Z",` +
				`"generation":1,"last_used":"2026-11-28T06:00:00Z","uses":7,"lifetime":1.5}`,
			`key.id=0123456789ABCDEF key.owner=ci key.tenant=t1 key.environment=live key.scopes="reports:read reports:write" key.expires=2026-11-28T02:00:00.000Z` +
				` key.grace_ends=2026-11-28T03:00:00.000Z key.revoked=2026-11-28T04:00:00.000Z key.suspended=2026-11-28T05:00:00.000Z`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			record := apikey.Record{Key: test.key, Current: apikey.Hash{Sum: [32]byte{0xab}}}
			for _, v := range []any{test.key, &test.key, record} { // never the hashes
				if diff := cmp.Diff(test.json, string(must(json.Marshal(v))(t))); diff != "" {
					t.Errorf("json.Marshal(%T) (-want +got):\n%s", v, diff)
				}
				var out bytes.Buffer
				slog.New(slog.NewTextHandler(&out, nil)).Info("m", "key", v)
				if _, got, _ := strings.Cut(strings.TrimSpace(out.String()), "msg=m "); got != test.slog {
					t.Errorf("slog of %T (-want +got):\n%s", v, cmp.Diff(test.slog, got))
				}
				if got := fmt.Sprint(v); got != test.key.ID {
					t.Errorf("fmt.Sprint(%T) = %q, want %q", v, got, test.key.ID)
				}
			}
		})
	}
}
