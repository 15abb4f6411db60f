// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/session"
)

// MigrateFrom is Migrate with other files.
func (s *Store) MigrateFrom(ctx context.Context, files fs.FS) error { return s.migrate(ctx, files) }

// Plan is a statement whose cost must not grow with the number of rows.
type Plan struct {
	Query   string
	Args    []any
	Index   string // that its plan uses, without gatehouse_
	Lookups int    // the number of its uses
}

// Plans returns statements by name.
func (s *Store) Plans() map[string]Plan {
	keys, families, sessions := s.APIKeys(), s.Families(), s.Sessions()
	plans := map[string]Plan{
		"find a key":       {keys.sql.find, []any{"a"}, "apikeys_pkey", 1},
		"find a family":    {families.sql.find, []any{"id-7"}, "families_pkey", 1},
		"rotate a family":  {families.sql.rotate, []any{"id-7", `\x`, `\x`, "c", `\x`, `\x`, 1}, "families_pkey", 1},
		"get a session":    {sessions.sql.get, []any{"id-7"}, "sessions_pkey", 1},
		"touch a session":  {sessions.sql.touch, []any{"id-7", 60_000_000}, "sessions_pkey", 1},
		"swap a session":   {sessions.sql.swap, []any{"id-7", 1, "id-x", "{}", "sealed", 0}, "sessions_pkey", 1},
		"create a session": {sessions.sql.create, []any{"id-x", "i", "s", "d", "", 1, 1, "{}", ""}, "sessions_swept", 1},
	}
	if s.dialect == SQLite {
		delete(plans, "create a session") // a trigger sweeps, which no plan shows
	}
	add := func(name, index string, lookups int, query *statement) {
		plans[name] = Plan{query.text.String(), query.args, index, lookups}
	}
	all, tenant, owner := apikey.Filter{AnyTenant: true}, apikey.Filter{Tenant: "tenant7"}, apikey.Filter{Tenant: "tenant7", Owner: "owner7"}
	after := apikey.Position{Time: time.Now(), ID: "0123456789abcdef"}
	for index, q := range map[string]apikey.Query{
		"apikeys_created": {Filter: all}, "apikeys_tenant": {Filter: tenant}, "apikeys_owner": {Filter: owner},
		"apikeys_due": {Filter: all, ExpiresWithin: time.Hour}, "apikeys_tenant_due": {Filter: tenant, ExpiresWithin: time.Hour},
	} {
		q.After, q.Limit = after, 50
		add("list keys by "+index, index+" ", 1, keys.listStatement(q))
	}
	add("revoke all keys", "apikeys_", 1, keys.revokeAllStatement(tenant, 500))
	add("revoke all families of a subject", "families_subject", 1, families.revokeAllStatement(refresh.Filter{Subject: "subject-7"}, 10))
	add("revoke all families of a client", "families_client", 1, families.revokeAllStatement(refresh.Filter{Client: "client-7"}, 10))
	add("list families", "families_subject", 1, families.listStatement(refresh.Filter{Subject: "subject-8"}, 10))
	for _, sel := range []session.Selector{{Subject: "subject7"}, {SID: "sid7"}, {Subject: "subject7", SID: "sid7"}} {
		index := "sessions_sid"
		if sel.SID == "" {
			index = "sessions_subject"
		}
		sel.Issuer = "issuer"
		add(fmt.Sprintf("list sessions %+v", sel), index, 1, sessions.listStatement(sel, 50))
		add(fmt.Sprintf("delete all sessions %+v", sel), index, 1, sessions.deleteAllStatement(sel))
	}
	targets := []revocation.Target{
		{Kind: "jti", Issuer: "i", Value: "a"},
		{Kind: "sid", Issuer: "i", Value: "b"},
		{Kind: "sub", Issuer: "i", Value: "c"},
		{Kind: "client_id", Issuer: "i", Value: "d"},
	}
	add("find revocations", "revocations_pkey", len(targets), s.Revocations().findStatement(targets))
	return plans
}
