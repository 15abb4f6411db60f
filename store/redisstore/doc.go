// SPDX-License-Identifier: Apache-2.0

// Package redisstore stores the records of Gatehouse in Redis, and notifies other
// processes of changes of API keys by publish and subscribe.
//
// Create a go-redis client with ContextTimeoutEnabled, then call [New] and
// [Store.Check], which reports settings that let the server lose acknowledged changes.
// Then pass [Store.APIKeys] to apikey.Config, as the Watcher too if there is a cache,
// [Store.Sessions] to session.Config, [Store.Families] to refresh.Config,
// [Store.Revocations] to revocation.Config, [Store.Replays] to dpop.Config,
// [Store.Agents] to agent.Config, [Store.Approvals] to approval.Config, [Store.Budgets]
// to budget.Config and [Store.Upstreams] to upstream.RotatorConfig.
//
// Redis keeps all data in memory and by default loses the last minutes in a crash. Set
// appendonly yes, appendfsync always and maxmemory-policy noeviction. Even so, after a
// failover the new primary may lack the last changes: a key that was just revoked is then
// valid again. If that is not acceptable, use package sqlstore with PostgreSQL.
//
// Each change is one script, which the server executes atomically. It is sent once:
// without a response, the caller must find out whether the change was made. In a cluster,
// all keys of one kind are in one hash slot, except budgets, which have 32 slots, and
// replays. The server must be Redis 7 or newer; compatible servers are not tested.
//
// The store rejects clients that ignore deadlines or read from replicas, and
// records that it cannot read. Every error other than the sentinel errors of a
// store contract means that the store is unavailable, and the gate answers 503.
//
// Secrets are stored as hashes or sealed. Times are those of the server.
//
// The application must protect the server with a password, TLS and a private
// network.
package redisstore
