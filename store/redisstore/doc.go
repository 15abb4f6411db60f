// SPDX-License-Identifier: Apache-2.0

// Package redisstore keeps in Redis what the rooms of Gatehouse keep, and tells
// other processes of changes over publish and subscribe.
//
// Make a client of go-redis with ContextTimeoutEnabled set, call [New], and
// [Store.Check], which tells of settings under which the server would lose what
// it has acknowledged. Then hand [Store.APIKeys] to apikey.Config.Store, and to
// apikey.Config.Watcher where a cache is on, [Store.Sessions] to
// session.Config.Store, [Store.Families] to refresh.Config.Store, and
// [Store.Revocations] to revocation.Config.Store.
//
// Redis keeps everything in memory and, as it comes, forgets the last minutes
// in a crash. Set appendonly yes, appendfsync always and maxmemory-policy
// noeviction. Even so, a replica that takes over may not have the last changes
// of the server that failed, and a key that was revoked a moment before is then
// good again. Where that must not be, use package sqlstore with PostgreSQL.
//
// Each change is one script, which the server carries out as a whole, and which
// is sent once: whether a change that got no answer was made is for the caller
// to find out. In a cluster all keys of one kind are in one slot. Servers must
// be of version 7 or newer; this is tested with Redis.
//
// Refused are clients that ignore deadlines or read from replicas, and records
// that cannot be read as they were written. Every error but those of the
// room's contract means that the store cannot tell now, and the gate answers
// with 503.
//
// What is stored of a secret is its hash. The server decides what time it is.
//
// The application still has to protect the server: with a password and TLS, and
// from everybody who has no business with keys.
package redisstore
