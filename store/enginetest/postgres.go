// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Postgres is a PostgreSQL server of the test's own. Its methods, but for
// Database, are for one goroutine at a time.
type Postgres struct {
	process
	bin       string
	port      string
	password  string
	databases atomic.Int64
}

// StartPostgres makes a new cluster and starts it. Settings are those of
// postgresql.conf, such as "fsync=off" where durability does not matter. The
// server ends with the test.
func StartPostgres(tb testing.TB, settings ...string) *Postgres {
	tb.Helper()
	const install = "install PostgreSQL 15 or newer (Debian: apt-get install postgresql)"
	postgres, ok := find("postgres", "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin")
	if !ok || !supported {
		Missing(tb, "PostgreSQL", install)
	}
	if resolved, err := filepath.EvalSymlinks(postgres); err == nil {
		postgres = resolved
	}
	user, err := unprivileged("postgres", "nobody")
	if err != nil {
		Missing(tb, "an account to run PostgreSQL", err.Error())
	}
	p := &Postgres{bin: filepath.Dir(postgres), password: newPassword()}
	p.path, p.user, p.dir = postgres, user, dataDir(tb, user)
	p.ready = "database system is ready to accept connections"

	pwfile := filepath.Join(p.dir, "pwfile")
	if err := os.WriteFile(pwfile, []byte(p.password+"\n"), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := user.own(pwfile); err != nil {
		tb.Fatal(err)
	}
	data := filepath.Join(p.dir, "data")
	run(tb, user, nil, filepath.Join(p.bin, "initdb"), "--pgdata", data, "--no-sync",
		"--username=gatehouse", "--pwfile", pwfile, "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale")

	p.args = []string{
		"-D", data, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "max_connections=300", "-c", "shared_buffers=64MB",
		"-c", "fsync=on", "-c", "full_page_writes=on", "-c", "synchronous_commit=on",
	}
	for _, setting := range settings {
		p.args = append(p.args, "-c", setting)
	}
	// A port that was free may be taken by the time that the server wants it.
	for range 5 {
		p.port = freePort(tb)
		fixed := p.args
		p.args = append(fixed[:len(fixed):len(fixed)], "-c", "port="+p.port)
		if p.process.start(tb) {
			tb.Cleanup(func() { p.Kill(tb) })
			return p
		}
		p.args = fixed
	}
	tb.Fatalf("PostgreSQL does not start:\n%s", p.Log())
	return nil
}

// Database makes a new, empty database and returns its URL. It may be called
// by several goroutines.
func (p *Postgres) Database(tb testing.TB) string {
	tb.Helper()
	name := "test" + strconv.FormatInt(p.databases.Add(1), 10)
	conn, err := pgx.Connect(tb.Context(), p.url("postgres"))
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = conn.Close(tb.Context()) }()
	if _, err := conn.Exec(tb.Context(), "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		tb.Fatal(err)
	}
	return p.url(name)
}

func (p *Postgres) url(database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("gatehouse", p.password),
		Host: p.Addr(), Path: "/" + database, RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Addr is where the server listens.
func (p *Postgres) Addr() string { return "127.0.0.1:" + p.port }

// Kill ends every process of the server with SIGKILL, in the middle of what
// they are doing. It does nothing where the server is down.
func (p *Postgres) Kill(tb testing.TB) {
	tb.Helper()
	p.process.kill(tb)
}

// Start starts a server that was killed, on the same data and the same port.
func (p *Postgres) Start(tb testing.TB) {
	tb.Helper()
	if !p.process.start(tb) {
		tb.Fatalf("PostgreSQL does not start again:\n%s", p.Log())
	}
}

// Log is all that the server has written to its log.
func (p *Postgres) Log() string { return p.log.String() }

// Dump returns the database as pg_dump writes it, schema and rows.
func (p *Postgres) Dump(tb testing.TB, databaseURL string) string {
	tb.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		tb.Fatal("not a URL of this server")
	}
	return run(tb, p.user, []string{"PGPASSWORD=" + p.password}, filepath.Join(p.bin, "pg_dump"), "--inserts",
		"--host=127.0.0.1", "--port="+p.port, "--username=gatehouse", "--no-password", strings.TrimPrefix(u.Path, "/"))
}

// Via returns the database's URL with another address in it, that of a [Proxy].
func Via(tb testing.TB, engineURL string, proxy *Proxy) string {
	tb.Helper()
	u, err := url.Parse(engineURL)
	if err != nil {
		tb.Fatal("not a URL")
	}
	u.Host = proxy.Addr()
	return u.String()
}
