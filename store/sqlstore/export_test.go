// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"context"
	"io/fs"

	"github.com/gatehouse-go/gatehouse/apikey"
)

// MigrateFrom is Migrate with other files.
func (s *Store) MigrateFrom(ctx context.Context, files fs.FS) error { return s.migrate(ctx, files) }

// FindSQL is the statement of Find, whose argument is the id.
func (a *APIKeys) FindSQL() string { return a.sql.find }

// ListSQL is the statement of List and its arguments.
func (a *APIKeys) ListSQL(q apikey.Query) (string, []any) {
	s := a.listStatement(q)
	return s.text.String(), s.args
}

// RevokeAllSQL is the statement of RevokeAll and its arguments.
func (a *APIKeys) RevokeAllSQL(f apikey.Filter, limit int) (string, []any) {
	s := a.revokeAllStatement(f, limit)
	return s.text.String(), s.args
}
