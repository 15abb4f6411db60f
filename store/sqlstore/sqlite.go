// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"net/url"
	"path/filepath"
	"strings"
)

// SQLiteDSN returns the name under which [sql.Open] of modernc.org/sqlite opens
// the database file at path with the settings that [Store.Check] asks for:
//
//	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN("keys.db"))
//
// The file is made where it does not exist. It must be on a local disk: the
// locks of SQLite do not work on most network file systems. Beside it SQLite
// keeps two files, named like it with -wal and -shm behind, which belong to it.
func SQLiteDSN(path string) string {
	path = filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" && !strings.HasPrefix(path, "/") {
		path = "/" + path // file:/C:/…
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() +
		"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate"
}
