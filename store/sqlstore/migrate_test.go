// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
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

// TestMain lets the test run itself again as another process, which migrates
// the database that it is told of and ends.
func TestMain(m *testing.M) {
	if name := os.Getenv("GATEHOUSE_TEST_MIGRATE"); name != "" {
		if err := migrateFromEnv(name, os.Getenv("GATEHOUSE_TEST_DSN")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	enginetest.Main(m)
}

func migrateFromEnv(driverName, dsn string) error {
	db, err := sql.Open(driverName, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := sqlstore.New(sqlstore.Config{DB: db})
	if err != nil {
		return err
	}
	// Together with the other processes, as far as that goes: each says that
	// it is there and waits for the word.
	fmt.Println("ready")
	if _, err := fmt.Scanln(); err != nil && err.Error() != "unexpected newline" {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return s.Migrate(ctx)
}

func TestMigrateBySeveralProcesses(t *testing.T) {
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driverName, dsn := database(t)
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		var processes sync.WaitGroup
		start := make(chan struct{})
		var waiting sync.WaitGroup
		for range 6 {
			waiting.Add(1)
			processes.Go(func() {
				cmd := exec.CommandContext(t.Context(), self)
				cmd.Env = append(os.Environ(), "GATEHOUSE_TEST_MIGRATE="+driverName, "GATEHOUSE_TEST_DSN="+dsn)
				var stderr strings.Builder
				cmd.Stderr = &stderr
				stdin, err := cmd.StdinPipe()
				if err != nil {
					t.Error(err)
				}
				stdout, err := cmd.StdoutPipe()
				if err != nil {
					t.Error(err)
				}
				if err := cmd.Start(); err != nil {
					t.Error(err)
				}
				var word string
				if _, err := fmt.Fscanln(stdout, &word); err != nil || word != "ready" {
					t.Errorf("%q, %v", word, err)
				}
				waiting.Done()
				<-start
				fmt.Fprintln(stdin)
				if err := cmd.Wait(); err != nil {
					t.Errorf("%v\n%s", err, stderr.String())
				}
			})
		}
		waiting.Wait()
		close(start)
		processes.Wait()

		db := open(t, driverName, dsn)
		var applied, once int
		query := "SELECT count(*), count(DISTINCT room || '/' || version) FROM gatehouse_migrations"
		if err := db.QueryRowContext(t.Context(), query).Scan(&applied, &once); err != nil {
			t.Fatal(err)
		}
		if applied == 0 || applied != once {
			t.Errorf("%d migrations were applied, %d different ones", applied, once)
		}
		if err := newStore(t, db).Migrate(t.Context()); err != nil {
			t.Errorf("nothing is left to do: %v", err)
		}
	})
}

// files are the migrations of one room, the same for each engine.
func files(steps ...string) fstest.MapFS {
	fs := fstest.MapFS{}
	for i, step := range steps {
		for _, dialect := range []string{"sqlite", "postgres"} {
			fs[fmt.Sprintf("migrations/%s/room/%04d_step.sql", dialect, i+1)] = &fstest.MapFile{Data: []byte(step)}
		}
	}
	return fs
}

func tables(t *testing.T, db *sql.DB, names ...string) {
	t.Helper()
	for _, name := range names {
		want := true
		if rest, ok := strings.CutPrefix(name, "no "); ok {
			want, name = false, rest
		}
		_, err := db.ExecContext(t.Context(), "SELECT * FROM "+name)
		if got := err == nil; got != want {
			t.Errorf("table %s exists: %v", name, got)
		}
	}
}

func TestMigrateStepByStep(t *testing.T) {
	const (
		one   = "CREATE TABLE gatehouse_one (a INTEGER); CREATE TABLE gatehouse_uno (a INTEGER);"
		two   = "CREATE TABLE gatehouse_two (a INTEGER)"
		wrong = "CREATE TABLE gatehouse_three (a INTEGER); CREATE TABLE gatehouse_one (a INTEGER);"
	)
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driverName, dsn := database(t)
		db := open(t, driverName, dsn)
		s := newStore(t, db)
		migrate := func(want string, steps ...string) {
			t.Helper()
			err := s.MigrateFrom(t.Context(), files(steps...))
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("error %v, want %q", err, want)
			}
		}
		migrate("", one)
		tables(t, db, "gatehouse_one", "gatehouse_uno", "no gatehouse_two")
		migrate("room, version 3", one, two, wrong)
		tables(t, db, "no gatehouse_two", "no gatehouse_three") // all or nothing
		migrate("", one, two)
		migrate("", one, two)
		tables(t, db, "gatehouse_two")

		// A newer schema than the program knows. Nothing is changed, neither in
		// that room nor in another.
		older := files(one)
		older["migrations/sqlite/hall/0001_x.sql"] = &fstest.MapFile{Data: []byte("CREATE TABLE gatehouse_hall (a INTEGER)")}
		older["migrations/postgres/hall/0001_x.sql"] = older["migrations/sqlite/hall/0001_x.sql"]
		err := s.MigrateFrom(t.Context(), older)
		if err == nil || !strings.Contains(err.Error(), "room: the database is at version 2 and this program knows versions up to 1") {
			t.Errorf("error %v", err)
		}
		tables(t, db, "no gatehouse_hall")

		// A gap in the numbers is a mistake in the program.
		gap := files(one, two)
		for _, dialect := range []string{"sqlite", "postgres"} {
			gap["migrations/"+dialect+"/room/0004_x.sql"] = &fstest.MapFile{Data: []byte(two)}
		}
		if err := s.MigrateFrom(t.Context(), gap); err == nil || !strings.Contains(err.Error(), "is not number 3") {
			t.Errorf("error %v", err)
		}

		// The real ones, and then a newer program has been here.
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), "INSERT INTO gatehouse_migrations (room, version) VALUES ('apikey', 9999)"); err != nil {
			t.Fatal(err)
		}
		for name, call := range map[string]func(context.Context) error{"Migrate": s.Migrate, "Check": s.Check} {
			if err := call(t.Context()); err == nil || !strings.Contains(err.Error(), "apikey: the database is at version 9999") {
				t.Errorf("%s: error %v", name, err)
			}
		}
	})
}

// A migration that is given up leaves nothing behind, and no connection in the
// middle of a transaction.
func TestMigrateGivenUp(t *testing.T) {
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driverName, dsn := database(t)
		db := open(t, driverName, dsn)
		db.SetMaxOpenConns(1)
		s := newStore(t, db)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Migrate(ctx); err == nil {
			t.Error("a context that is over does not matter")
		}
		if err := s.MigrateFrom(t.Context(), files("CREATE TABLE gatehouse_one (a INTEGER)", "nonsense")); err == nil {
			t.Error("nonsense is SQL")
		}
		tables(t, db, "no gatehouse_one")
		if err := s.Migrate(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
