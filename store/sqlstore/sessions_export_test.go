// SPDX-License-Identifier: Apache-2.0

package sqlstore

import "github.com/gatehouse-go/gatehouse/session"

// GetSQL returns the statement of Get, whose argument is the ID.
func (s *Sessions) GetSQL() string { return s.sql.get }

// CreateSQL, SwapSQL and TouchSQL return the statements of those methods.
func (s *Sessions) CreateSQL() string { return s.sql.create }
func (s *Sessions) SwapSQL() string   { return s.sql.swap }
func (s *Sessions) TouchSQL() string  { return s.sql.touch }

// ListSQL returns the statement of List and its arguments.
func (s *Sessions) ListSQL(sel session.Selector, limit int) (string, []any) {
	query := s.listStatement(sel, limit)
	return query.text.String(), query.args
}

// DeleteAllSQL returns the statement of DeleteAll and its arguments.
func (s *Sessions) DeleteAllSQL(sel session.Selector) (string, []any) {
	query := s.deleteAllStatement(sel)
	return query.text.String(), query.args
}
