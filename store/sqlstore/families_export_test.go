// SPDX-License-Identifier: Apache-2.0

package sqlstore

import "github.com/gatehouse-go/gatehouse/jwtauth"

// FindSQL is the statement of Find, whose argument is the id.
func (f *Families) FindSQL() string { return f.sql.find }

// RotateSQL is the statement of Rotate.
func (f *Families) RotateSQL() string { return f.sql.rotate }

// EndAllSQL is the statement of EndAll and its arguments.
func (f *Families) EndAllSQL(filter jwtauth.FamilyFilter, limit int) (string, []any) {
	s := f.endAllStatement(filter, limit)
	return s.text.String(), s.args
}

// FindSQL is the statement of Find and its arguments.
func (r *Revocations) FindSQL(asked []jwtauth.Revocation) (string, []any) {
	s := r.findStatement(asked)
	return s.text.String(), s.args
}
