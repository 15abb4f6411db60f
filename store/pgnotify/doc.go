// SPDX-License-Identifier: Apache-2.0

// Package pgnotify hears, over LISTEN and NOTIFY of PostgreSQL, what other
// processes change in the database of package sqlstore, so that a cache can
// drop what it holds of it.
//
// Call [New], give what [Listener.APIKeys] returns to apikey.Config.Watcher, and
// run Keys.Watch for as long as the process runs. The database itself tells, in
// the transaction of the change, and so also of what an operator changes by
// hand.
//
// A notification that is sent while a listener is not connected is lost. Each
// time that a listener has connected, it therefore reports that everything may
// have changed. Until then the bound is the time for which the cache keeps its
// entries: keep that short whatever the listener promises.
package pgnotify
