// SPDX-License-Identifier: Apache-2.0

// Package pgnotify reports, by LISTEN and NOTIFY of PostgreSQL, the changes that
// other processes make in the database of package sqlstore, so that caches can
// delete the entries.
//
// Call [New], set apikey.Config.Watcher to [Listener.APIKeys], and run apikey.Keys.Watch
// while the process runs. A trigger of the database sends the notification in the
// transaction of the change, even for a manual change by an operator.
//
// Notifications are lost while the listener is not connected. Each time it connects, it
// therefore reports that all keys may have changed. Until then, revoked keys stay valid
// for the TTL of the cache: keep it short.
package pgnotify
