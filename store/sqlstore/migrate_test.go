// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

// TestMain runs the tests, or migrates the database that the environment names
// in a process that TestMigrateConcurrentProcesses has started, or rotates in one of
// TestRotationSurvivesKilledProcesses.
func TestMain(m *testing.M) {
	var err error
	if config := os.Getenv("GATEHOUSE_TEST_ROTATE"); config != "" {
		err = rotate(config)
	} else if name := os.Getenv("GATEHOUSE_TEST_MIGRATE"); name != "" {
		err = migrateFromEnv(name, os.Getenv("GATEHOUSE_TEST_DSN"))
	} else {
		enginetest.Main(m)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// openStore opens a database in another process than that of the test.
func openStore(driverName, dsn string) (*sqlstore.Store, error) {
	db, err := sql.Open(driverName, dsn)
	if err != nil {
		return nil, err
	}
	return sqlstore.New(sqlstore.Config{DB: db, Timeout: time.Minute})
}

// migrateFromEnv reports that it is ready and waits for a line, so that all processes
// start together.
func migrateFromEnv(driverName, dsn string) error {
	s, err := openStore(driverName, dsn)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := fmt.Scanln(); err != nil && err.Error() != "unexpected newline" {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return s.Migrate(ctx)
}

// process starts this program with a variable of the environment.
func process(t *testing.T, env ...string) (cmd *exec.Cmd, stdin io.WriteCloser, stdout io.Reader) {
	t.Helper()
	self := must(os.Executable())(t)
	cmd = exec.CommandContext(t.Context(), self)
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), &strings.Builder{}
	stdin, errIn := cmd.StdinPipe()
	stdout, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	return cmd, stdin, stdout
}

func TestMigrateConcurrentProcesses(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driverName, dsn := database(t)
		dsn = strings.Replace(dsn, "busy_timeout(5000)", "busy_timeout(60000)", 1) // on a busy machine one process can write for long
		var starts []io.Writer
		var processes sync.WaitGroup
		for range 6 {
			cmd, stdin, stdout := process(t, "GATEHOUSE_TEST_MIGRATE="+driverName, "GATEHOUSE_TEST_DSN="+dsn)
			starts = append(starts, stdin)
			var line string
			if _, err := fmt.Fscanln(stdout, &line); err != nil || line != "ready" {
				t.Errorf("the process writes %q, %v, want ready", line, err)
			}
			processes.Go(func() {
				if err := cmd.Wait(); err != nil {
					t.Errorf("Migrate in another process: %v\n%s", err, cmd.Stderr)
				}
			})
		}
		for _, start := range starts {
			fmt.Fprintln(start)
		}
		processes.Wait()

		db := open(t, driverName, dsn)
		applied := query[int](t, db, "SELECT count(*) FROM gatehouse_migrations")
		if distinct := query[int](t, db, "SELECT count(DISTINCT package || '/' || version) FROM gatehouse_migrations"); applied == 0 || applied != distinct {
			t.Errorf("applied %d migrations, %d of them distinct, want equal numbers over 0", applied, distinct)
		}
		wantError(t, "Migrate of a migrated database", newStore(t, db).Migrate(t.Context()), "")
	})
}

// addMigration adds a migration of a package for each dialect.
func addMigration(files fstest.MapFS, name, text string) {
	for _, dialect := range []string{"sqlite", "postgres"} {
		files["migrations/"+dialect+"/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
}

// migrationsOf returns the migrations of a package named steps.
func migrationsOf(texts ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for i, text := range texts {
		addMigration(files, fmt.Sprintf("steps/%04d_step.sql", i+1), text)
	}
	return files
}

// checkTables checks which tables exist: a name that begins with "no " must not.
func checkTables(t *testing.T, db *sql.DB, names ...string) {
	t.Helper()
	for _, name := range names {
		name, absent := strings.CutPrefix(name, "no ")
		_, err := db.ExecContext(t.Context(), "SELECT * FROM "+name)
		if got := err == nil; got == absent {
			t.Errorf("table %s exists: %v, want %v", name, got, !absent)
		}
	}
}

func TestMigrateAppliesMissingVersions(t *testing.T) {
	t.Parallel()
	const (
		one   = "CREATE TABLE gatehouse_one (a INTEGER); CREATE TABLE gatehouse_uno (a INTEGER);"
		two   = "CREATE TABLE gatehouse_two (a INTEGER)"
		wrong = "CREATE TABLE gatehouse_three (a INTEGER); CREATE TABLE gatehouse_one (a INTEGER);"
	)
	older := migrationsOf(one)
	addMigration(older, "another/0001_x.sql", "CREATE TABLE gatehouse_another (a INTEGER)")
	gap := migrationsOf(one, two)
	addMigration(gap, "steps/0004_x.sql", two)
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driverName, dsn := database(t)
		db := open(t, driverName, dsn)
		s := newStore(t, db)
		for _, test := range []struct {
			name   string
			files  fstest.MapFS
			err    string
			tables []string
		}{
			{"first version", migrationsOf(one), "", []string{"gatehouse_one", "gatehouse_uno", "no gatehouse_two"}},
			{"failure rolls all versions back", migrationsOf(one, two, wrong), "steps, version 3", []string{"no gatehouse_two", "no gatehouse_three"}},
			{"second version", migrationsOf(one, two), "", []string{"gatehouse_two"}},
			{"nothing to do", migrationsOf(one, two), "", []string{"gatehouse_two"}},
			{"database is newer", older, "steps: the database is at version 2 and this program knows versions up to 1", []string{"no gatehouse_another"}},
			{"gap in the numbers", gap, "steps/0004_x.sql: want number 3", nil},
		} {
			wantError(t, test.name, s.MigrateFrom(t.Context(), test.files), test.err)
			checkTables(t, db, test.tables...)
		}

		// The real migrations, then one of a newer program.
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		execute(t, db, "INSERT INTO gatehouse_migrations (package, version) VALUES ('apikey', 9999)")
		wantError(t, "Migrate of a newer database", s.Migrate(t.Context()), "apikey: the database is at version 9999")
		wantError(t, "Check of a newer database", s.Check(t.Context()), "apikey: the database is at version 9999")
	})
}

// A failed migration leaves no tables, and no connection inside a transaction.
func TestMigrateRollsBack(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driverName, dsn := database(t)
		db := open(t, driverName, dsn)
		db.SetMaxOpenConns(1)
		s := newStore(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantError(t, "Migrate with a canceled context", s.Migrate(ctx), "context canceled")
		if err := s.MigrateFrom(t.Context(), migrationsOf("CREATE TABLE gatehouse_one (a INTEGER)", "nonsense")); err == nil {
			t.Error("MigrateFrom() of invalid SQL: error = nil")
		}
		checkTables(t, db, "no gatehouse_one")
		wantError(t, "Migrate after a failure", s.Migrate(t.Context()), "")
	})
}
