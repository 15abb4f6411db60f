// SPDX-License-Identifier: Apache-2.0

// Package sqlstore stores the records of Gatehouse in SQL databases: in SQLite,
// which is one file and needs no server, or in PostgreSQL.
//
// Open the database with a driver of your choice; this package imports no driver. Call
// [New], then [Store.Migrate] to create and update the tables, and [Store.Check] to find
// settings with which the engine loses acknowledged changes. Then pass [Store.APIKeys] to
// apikey.Config, [Store.Sessions] to session.Config, [Store.Families] to refresh.Config,
// [Store.Revocations] to revocation.Config, [Store.Replays] to dpop.Config,
// [Store.Agents] to agent.Config, [Store.Approvals] to approval.Config, [Store.Budgets]
// to budget.Config, [Store.Upstreams] to upstream.RotatorConfig, and [Store.Audit] to
// audit.NewRecorder.
//
// For SQLite, open the data source name that [SQLiteDSN] returns with modernc.org/sqlite,
// or give another driver the same settings. Several processes on one machine may share
// the file. For PostgreSQL, use pgx through its package stdlib, connect to the primary
// server, and raise SetMaxIdleConns: with the default of two idle connections, a busy
// service opens a new connection for most requests.
//
// The store rejects a database whose schema is newer than the program, and records that
// it cannot read. Every error except the sentinel errors of a store contract means that
// the store is unavailable: the response of the gate is 503.
//
// Values are passed as parameters, never in the text of a statement. Secrets are
// stored as hashes or sealed. Times are those of the database.
//
// The application must back up the database, keep the clocks of the servers
// correct, and prevent other programs from writing to the tables named
// gatehouse_….
package sqlstore
