// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
)

// FindSQL returns the statement of Find.
func (f *Families) FindSQL() string { return f.sql.find }

// RotateSQL returns the statement of Rotate.
func (f *Families) RotateSQL() string { return f.sql.rotate }

// RevokeAllSQL returns the statement of RevokeAll and its arguments.
func (f *Families) RevokeAllSQL(filter refresh.Filter, limit int) (string, []any) {
	s := f.revokeAllStatement(filter, limit)
	return s.text.String(), s.args
}

// ListSQL returns the statement of List and its arguments.
func (f *Families) ListSQL(filter refresh.Filter, limit int) (string, []any) {
	s := f.listStatement(filter, limit)
	return s.text.String(), s.args
}

// FindSQL returns the statement of Find and its arguments.
func (r *Revocations) FindSQL(targets []revocation.Target) (string, []any) {
	s := r.findStatement(targets)
	return s.text.String(), s.args
}
