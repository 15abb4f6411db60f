// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Postgres is a PostgreSQL server of one test or one package. Its methods other
// than Database are not safe for concurrent use.
type Postgres struct {
	process
	bin       string
	port      string
	password  string
	databases atomic.Int64
}

// StartPostgres creates a cluster and starts its server, which ends with the
// test. Settings are those of postgresql.conf, such as "fsync=off" where
// durability does not matter.
func StartPostgres(tb testing.TB, settings ...string) *Postgres {
	tb.Helper()
	p, err := newPostgres(tb, settings)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.remove(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

var shared struct {
	sync.Mutex
	postgres *Postgres
}

// SharedPostgres returns a server with fsync=off that all tests of the package
// share and that [Main] stops. It is safe for concurrent use. Each test makes a
// database of its own with [Postgres.Database] and must not call Kill.
func SharedPostgres(tb testing.TB) *Postgres {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.postgres == nil {
		p, err := newPostgres(tb, []string{"fsync=off"})
		if err != nil {
			tb.Fatal(err)
		}
		shared.postgres = p
	}
	return shared.postgres
}

func stopShared() error {
	if shared.postgres == nil {
		return nil
	}
	return shared.postgres.remove()
}

func newPostgres(tb testing.TB, settings []string) (_ *Postgres, err error) {
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
	user, err := unprivileged("postgres")
	if err != nil {
		Missing(tb, "an account to run PostgreSQL", err.Error())
	}
	p := &Postgres{bin: filepath.Dir(postgres), password: newPassword()}
	p.path, p.user, p.ready = postgres, user, "database system is ready to accept connections"
	if p.dir, err = dataDir(user); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = p.remove()
		}
	}()

	pwfile := filepath.Join(p.dir, "pwfile")
	if err := os.WriteFile(pwfile, []byte(p.password+"\n"), 0o600); err != nil {
		return nil, err
	}
	if err := user.own(pwfile); err != nil {
		return nil, err
	}
	data := filepath.Join(p.dir, "data")
	if _, err := run(tb.Context(), user, nil, filepath.Join(p.bin, "initdb"), "--pgdata", data, "--no-sync",
		"--username=gatehouse", "--pwfile", pwfile, "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"); err != nil {
		return nil, err
	}
	args := []string{
		"-D", data, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "max_connections=300", "-c", "shared_buffers=64MB",
		"-c", "fsync=on", "-c", "full_page_writes=on", "-c", "synchronous_commit=on",
	}
	for _, setting := range settings {
		args = append(args, "-c", setting)
	}
	// A free port may be taken before the server binds it.
	for range 5 {
		if p.port, err = freePort(); err != nil {
			return nil, err
		}
		p.args = append(args[:len(args):len(args)], "-c", "port="+p.port)
		if started, err := p.start(); err != nil || started {
			return p, err
		}
	}
	return nil, fmt.Errorf("PostgreSQL does not start:\n%s", p.Log())
}

// Database creates an empty database and returns its URL. It is safe for
// concurrent use.
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

// Addr is the host and port on which the server listens.
func (p *Postgres) Addr() string { return "127.0.0.1:" + p.port }

// Kill sends SIGKILL to every process of the server and waits until they have
// ended. It does nothing if the server is down.
func (p *Postgres) Kill(tb testing.TB) {
	tb.Helper()
	if err := p.kill(); err != nil {
		tb.Error(err)
	}
}

// Start starts a killed server on the same data and the same port.
func (p *Postgres) Start(tb testing.TB) {
	tb.Helper()
	p.restart(tb)
}

// Log is the text that the server has logged so far.
func (p *Postgres) Log() string { return p.log.String() }

// Dump returns the database as pg_dump writes it, schema and rows.
func (p *Postgres) Dump(tb testing.TB, databaseURL string) string {
	tb.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		tb.Fatal(errNotURL)
	}
	dump, err := run(tb.Context(), p.user, []string{"PGPASSWORD=" + p.password}, filepath.Join(p.bin, "pg_dump"), "--inserts",
		"--host=127.0.0.1", "--port="+p.port, "--username=gatehouse", "--no-password", strings.TrimPrefix(u.Path, "/"))
	if err != nil {
		tb.Fatal(err)
	}
	return dump
}

// errNotURL does not quote the text, in which there is a password.
var errNotURL = errors.New("enginetest: not the URL of an engine")

// Via returns the URL of an engine with the address of a [Proxy] in it.
func Via(tb testing.TB, engineURL string, proxy *Proxy) string {
	tb.Helper()
	u, err := url.Parse(engineURL)
	if err != nil {
		tb.Fatal(errNotURL)
	}
	u.Host = proxy.Addr()
	return u.String()
}
