// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// StartPgBouncer starts PgBouncer in transaction mode in front of a database of
// PostgreSQL, with four connections to it, and returns its URL. pgx needs
// default_query_exec_mode=exec, which is in the URL. The pooler ends with the test.
func StartPgBouncer(tb testing.TB, databaseURL string) string {
	tb.Helper()
	path, ok := find("pgbouncer", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin")
	if !ok || !supported {
		Missing(tb, "PgBouncer", "install PgBouncer 1.18 or newer (Debian: apt-get install pgbouncer)")
	}
	user, err := unprivileged("postgres")
	if err != nil {
		Missing(tb, "an account to run PgBouncer", err.Error())
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		tb.Fatal(errNotURL)
	}
	p := &process{path: path, user: user, ready: "process up"}
	if p.dir, err = dataDir(user); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.remove(); err != nil {
			tb.Error(err)
		}
	})
	password, _ := u.User.Password()
	config := filepath.Join(p.dir, "pgbouncer.ini")
	for range 5 { // a free port may be taken before the pooler binds it
		port, err := freePort()
		if err != nil {
			tb.Fatal(err)
		}
		text := strings.Join([]string{
			"[databases]",
			"* = host=" + u.Hostname() + " port=" + u.Port() + " user=" + u.User.Username() + " password=" + password,
			"[pgbouncer]", "listen_addr = 127.0.0.1", "listen_port = " + port, "unix_socket_dir =", "auth_type = any",
			"pool_mode = transaction", "default_pool_size = 4", "max_client_conn = 200", "ignore_startup_parameters = extra_float_digits",
		}, "\n")
		if err := os.WriteFile(config, []byte(text+"\n"), 0o600); err != nil {
			tb.Fatal(err)
		}
		if err := user.own(config); err != nil {
			tb.Fatal(err)
		}
		p.args = []string{config}
		if started, err := p.start(); err != nil {
			tb.Fatal(err)
		} else if started {
			u.Host, u.RawQuery = "127.0.0.1:"+port, "sslmode=disable&default_query_exec_mode=exec"
			return u.String()
		}
	}
	tb.Fatalf("PgBouncer does not start:\n%s", p.log.String())
	return ""
}
