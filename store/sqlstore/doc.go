// SPDX-License-Identifier: Apache-2.0

// Package sqlstore keeps in SQL databases what the rooms of Gatehouse keep: in
// SQLite, which is one file and needs no server, or in PostgreSQL.
//
// Open the database with a driver of your own; this package imports none. Call
// [New], then [Store.Migrate], which makes and updates the tables, and
// [Store.Check], which tells of settings under which the engine would lose what
// it has acknowledged. Then hand [Store.APIKeys] to apikey.Config.Store,
// [Store.Sessions] to session.Config.Store, [Store.Families] to
// refresh.Config.Store, and [Store.Revocations] to
// revocation.Config.Store.
//
// For SQLite open the name that [SQLiteDSN] returns with modernc.org/sqlite, or
// give another driver the same settings. Several processes on one machine may
// share the file. For PostgreSQL use pgx through its package stdlib, connect to
// the primary server, and raise SetMaxIdleConns: with the two connections that
// database/sql keeps by default, a busy service makes a new one for most
// requests.
//
// Refused are a database whose schema is newer than the program, and records
// that cannot be read as they were written. Every error but those of the
// room's contract means that the store cannot tell now, and the gate answers
// with 503.
//
// All values are passed beside the statements, never in them. What is stored of
// a secret is its hash. The database decides what time it is.
//
// The application still has to back the database up, to keep its own clocks
// and that of the server in order, and to see to it that nobody else writes to
// the tables named gatehouse_….
package sqlstore
