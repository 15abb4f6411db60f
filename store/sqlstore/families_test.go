// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/refresh"
	"github.com/gatehouse-go/gatehouse/revocation"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
)

func family(id string) refresh.Record {
	return refresh.Record{Family: refresh.Family{ID: id, Grant: refresh.Grant{Subject: "s", Client: "c"}}}
}

// A statement that had to wait decides by what it then finds, and by the time
// that it then is.
func TestFamiliesWaitPostgres(t *testing.T) {
	server := enginetest.SharedPostgres(t)
	type result struct {
		r       refresh.Record
		outcome refresh.Outcome
		err     error
	}
	// wait makes the family a, changes it, and calls while the change is not
	// yet committed. The change is committed once the call waits for it and,
	// for some, a while has gone by.
	wait := func(t *testing.T, change string, while time.Duration, call func(*sqlstore.Families) result) (got result, before time.Time) {
		t.Helper()
		db := open(t, "pgx", server.Database(t))
		s := newStore(t, db)
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Families().Create(t.Context(), family("a"), time.Hour); err != nil {
			t.Fatal(err)
		}
		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tx.ExecContext(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		done := make(chan result, 1)
		go func() { done <- call(s.Families()) }()
		waits(t, db, 1)
		start := time.Now()
		enginetest.Eventually(t, time.Minute, "a while goes by", func() bool { return time.Since(start) > while })
		if err := db.QueryRowContext(t.Context(), "SELECT clock_timestamp()").Scan(&before); err != nil {
			t.Fatal(err)
		}
		if err := tx.Commit(); err != nil {
			t.Fatal(err)
		}
		return <-done, before
	}
	rotate := func(f *sqlstore.Families) result {
		p := refresh.Presentation{Client: "c", Next: refresh.Hash{1}, Successor: []byte("sealed"), Grace: time.Minute}
		r, outcome, err := f.Rotate(t.Context(), "a", p)
		return result{r, outcome, err}
	}
	end := func(f *sqlstore.Families) result {
		r, err := f.Revoke(t.Context(), "a")
		return result{r: r, err: err}
	}
	const (
		touched  = "UPDATE gatehouse_families SET tenant = 'seen'"
		rotated  = `UPDATE gatehouse_families SET previous_sum = current_sum, current_sum = set_byte(current_sum, 0, 9), successor = 'first', grace_ends = clock_timestamp() + `
		expiring = "UPDATE gatehouse_families SET expires = clock_timestamp() + interval '200 milliseconds'"
	)
	t.Run("time", func(t *testing.T) {
		got, before := wait(t, touched, 0, rotate)
		if got.err != nil || got.outcome != refresh.Rotated || got.r.Tenant != "seen" || got.r.Rotated.Before(before) ||
			!got.r.Rotated.Equal(got.r.AsOf) || !got.r.GraceEnds.Equal(got.r.Rotated.Add(time.Minute)) {
			t.Errorf("%+v, when it still waited at %v", got, before)
		}
		got, before = wait(t, touched, 0, end)
		if got.err != nil || got.r.Tenant != "seen" || got.r.Revoked.Before(before) || !got.r.Revoked.Equal(got.r.AsOf) {
			t.Errorf("%+v, when it still waited at %v", got, before)
		}
		got, before = wait(t, rotated+"interval '200 milliseconds'", 300*time.Millisecond, rotate)
		if got.outcome != refresh.Reused || got.r.Revoked.Before(before) || got.r.Successor != nil {
			t.Errorf("%+v, when it still waited at %v", got, before)
		}
	})
	for name, test := range map[string]struct {
		change string
		while  time.Duration
		want   refresh.Outcome
		err    error
	}{
		"rotated":             {rotated + "interval '1 minute'", 0, refresh.Replayed, nil},
		"rotated, no grace":   {rotated + "interval '0'", 0, refresh.Reused, nil},
		"ended":               {"UPDATE gatehouse_families SET revoked = clock_timestamp()", 0, refresh.Revoked, nil},
		"expires meanwhile":   {expiring, 300 * time.Millisecond, refresh.Revoked, nil},
		"of another client":   {"UPDATE gatehouse_families SET client = 'd'", 0, refresh.Reused, nil},
		"of another key":      {"UPDATE gatehouse_families SET key_sum = set_byte(key_sum, 31, 9)", 0, "", refresh.ErrNotFound},
		"removed":             {"DELETE FROM gatehouse_families", 0, "", refresh.ErrNotFound},
		"removed, made again": {"UPDATE gatehouse_families SET id = 'b'", 0, "", refresh.ErrNotFound},
	} {
		t.Run("rotate, "+name, func(t *testing.T) {
			got, _ := wait(t, test.change, test.while, rotate)
			if got.outcome != test.want || !errors.Is(got.err, test.err) {
				t.Errorf("%+v, want %s, %v", got, test.want, test.err)
			}
			if test.want == refresh.Replayed && string(got.r.Successor) != "first" {
				t.Errorf("the successor is %q", got.r.Successor)
			}
		})
	}
}

// Those who end many and meet each other in different orders do not wait for
// each other in a ring.
func TestEndAllTakesTurns(t *testing.T) {
	server := enginetest.SharedPostgres(t)
	url := server.Database(t)
	// How a question is gone about decides on the order: here by the rows of
	// the table, there by an index in the reverse order.
	db := open(t, "pgx", url+"&enable_indexscan=off&enable_bitmapscan=off")
	other := newStore(t, open(t, "pgx", url+"&enable_seqscan=off&enable_bitmapscan=off")).Families()
	s := newStore(t, db)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	families := s.Families()
	for i := range 9 {
		r := family(string(rune('a' + i)))
		r.Client = string(rune('i' - i)) // the second part of the index
		if _, err := families.Create(t.Context(), r, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	// One comes from the first and one from the last, and in the middle they
	// both have to wait. Each then holds what the other one wants.
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), "UPDATE gatehouse_families SET tenant = 'x' WHERE id = 'e'"); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	var ended atomic.Int64
	for i, families := range []*sqlstore.Families{families, other} {
		both.Go(func() {
			records, err := families.RevokeAll(t.Context(), refresh.Filter{Subject: "s"}, 100)
			if err != nil {
				t.Error(err)
			}
			ended.Add(int64(len(records)))
		})
		waits(t, db, i+1)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	both.Wait()
	if n := ended.Load(); n != 9 {
		t.Errorf("%d families were ended", n)
	}
}

// Whoever adds something removes up to ten that are over, and nothing else.
func TestFamiliesAndRevocationsAreSwept(t *testing.T) {
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		db := open(t, driver, dsn)
		s := newStore(t, db)
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		add := func(name string, lifetime time.Duration) {
			t.Helper()
			_, err := s.Families().Create(t.Context(), family(name), lifetime)
			what := revocation.Target{Kind: revocation.Token, Issuer: "i", Value: name}
			if err := errors.Join(err, s.Revocations().Revoke(t.Context(), what, lifetime)); err != nil {
				t.Fatal(err)
			}
		}
		left := func() (counts [2]int) {
			t.Helper()
			for i, query := range []string{"SELECT count(*) FROM gatehouse_families", "SELECT count(*) FROM gatehouse_revocations"} {
				if err := db.QueryRowContext(t.Context(), query).Scan(&counts[i]); err != nil {
					t.Fatal(err)
				}
			}
			return counts
		}
		for i := range 25 {
			add(fmt.Sprint("over", i), time.Hour)
		}
		past := map[string]string{"pgx": "now() - interval '1 microsecond'", "sqlite": "unixepoch() * 1000000 - 1000000"}[driver]
		execute(t, db, "UPDATE gatehouse_families SET expires = "+past, "UPDATE gatehouse_revocations SET expires = "+past)
		if got := left(); got != [2]int{25, 25} {
			t.Fatalf("%v before", got)
		}
		for i, want := range []int{16, 7, 3, 4} {
			add(fmt.Sprint("new", i), time.Hour)
			if got := left(); got != [2]int{want, want} {
				t.Errorf("after number %d there are %v, want %d", i+1, got, want)
			}
		}
		for _, name := range []string{"new0", "new1", "new2", "new3"} {
			if _, err := s.Families().Find(t.Context(), name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Where the clock was set back, or another one has read it later, a revocation
// stays where it was.
func TestRevocationsNeverMoveBack(t *testing.T) {
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		db := open(t, driver, dsn)
		s := newStore(t, db)
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		what := revocation.Target{Kind: revocation.Subject, Issuer: "i", Value: "a"}
		revoke := func() {
			t.Helper()
			if err := s.Revocations().Revoke(t.Context(), what, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		find := func() time.Time {
			t.Helper()
			times, err := s.Revocations().Find(t.Context(), []revocation.Target{what})
			if err != nil {
				t.Fatal(err)
			}
			return times[0]
		}
		revoke()
		execute(t, db, "UPDATE gatehouse_revocations SET revoked = "+map[string]string{
			"pgx": "revoked + interval '30 minutes'", "sqlite": "revoked + 1800000000",
		}[driver])
		before := find()
		revoke()
		if after := find(); !after.Equal(before) {
			t.Errorf("revoked at %v, and before at %v", after, before)
		}
	})
}

// A database that does not answer is one that cannot tell, and so is one
// without tables.
func TestFamiliesDown(t *testing.T) {
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		for _, trouble := range []string{"no tables", "closed"} {
			driver, dsn := database(t)
			db := open(t, driver, dsn)
			s := newStore(t, db)
			if trouble == "closed" {
				if err := errors.Join(s.Migrate(t.Context()), db.Close()); err != nil {
					t.Fatal(err)
				}
			}
			what := revocation.Target{Kind: revocation.Token, Issuer: "i", Value: "a"}
			_, err1 := s.Families().Create(t.Context(), family("b"), time.Hour)
			_, err2 := s.Families().Find(t.Context(), "a")
			_, outcome, err3 := s.Families().Rotate(t.Context(), "a", refresh.Presentation{Client: "c"})
			_, err4 := s.Families().Revoke(t.Context(), "a")
			_, err5 := s.Families().RevokeAll(t.Context(), refresh.Filter{Subject: "s"}, 1)
			err6 := s.Revocations().Revoke(t.Context(), what, time.Hour)
			times, err7 := s.Revocations().Find(t.Context(), []revocation.Target{what})
			for n, err := range []error{err1, err2, err3, err4, err5, err6, err7} {
				if err == nil || errors.Is(err, refresh.ErrNotFound) {
					t.Errorf("%s: call %d: %v", trouble, n+1, err)
				}
			}
			if outcome != "" || times != nil {
				t.Errorf("%s: %q, %v", trouble, outcome, times)
			}
		}
	})
}

// What serves requests needs no right to make or drop anything.
func TestFamiliesLeastPrivilege(t *testing.T) {
	server := enginetest.SharedPostgres(t)
	url := server.Database(t)
	db := open(t, "pgx", url)
	if err := newStore(t, db).Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	execute(t, db, "CREATE ROLE families_app", "GRANT SELECT, INSERT, UPDATE, DELETE ON gatehouse_families, gatehouse_revocations TO families_app")
	app := newStore(t, open(t, "pgx", url+"&role=families_app"))
	if err := app.Migrate(t.Context()); err == nil {
		t.Error("the role may migrate, so this shows nothing")
	}
	families := app.Families()
	what := revocation.Target{Kind: revocation.Token, Issuer: "i", Value: "a"}
	_, err1 := families.Create(t.Context(), family("a"), time.Hour)
	_, err2 := families.Find(t.Context(), "a")
	_, _, err3 := families.Rotate(t.Context(), "a", refresh.Presentation{Client: "c"})
	_, err4 := families.Revoke(t.Context(), "a")
	_, err5 := families.RevokeAll(t.Context(), refresh.Filter{Subject: "s"}, 1)
	err6 := app.Revocations().Revoke(t.Context(), what, time.Hour)
	_, err7 := app.Revocations().Find(t.Context(), []revocation.Target{what})
	if err := errors.Join(err1, err2, err3, err4, err5, err6, err7); err != nil {
		t.Error(err)
	}
}

// Each question of a request is answered from the primary key, however much is
// revoked, and what many families have in common is found by an index.
func TestFamilyPlans(t *testing.T) {
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		db := open(t, driver, dsn)
		s := newStore(t, db)
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		execute(t, db, populateFamiliesSQL[driver]...)
		asked := []revocation.Target{
			{Kind: "jti", Issuer: "i", Value: "a"}, {Kind: "sid", Issuer: "i", Value: "b"}, {Kind: "sub", Issuer: "i", Value: "c"}, {Kind: "client_id", Issuer: "i", Value: "d"},
		}
		revocation, key := "USING PRIMARY KEY (issuer=? AND kind=? AND value=?)", "USING PRIMARY KEY (id=?)"
		if driver == "pgx" {
			revocation, key = "Index Scan using gatehouse_revocations_pkey", "Index Scan using gatehouse_families_pkey"
		}
		check := func(what, want string, times int, query string, args ...any) {
			t.Helper()
			plan := explain(t, driver, db, query, args...)
			t.Logf("%s:\n%s", what, plan)
			if n := strings.Count(plan, want); n < times {
				t.Errorf("%s: the plan says %q %d times, want %d:\n%s", what, want, n, times, plan)
			}
			if strings.Contains(plan, "Seq Scan on gatehouse") || strings.Contains(plan, "SCAN gatehouse") {
				t.Errorf("%s: the plan reads a whole table:\n%s", what, plan)
			}
		}
		query, args := s.Revocations().FindSQL(asked)
		check("revocations", revocation, len(asked), query, args...)
		find, rotate := s.Families().FindSQL(), s.Families().RotateSQL()
		check("find", key, 1, find, "id-7")
		check("rotate", key, 1, rotate, "id-7", `\x`, `\x`, "c", `\x`, `\x`, 1)
		for name, filter := range map[string]refresh.Filter{
			"gatehouse_families_subject": {Subject: "subject-7"}, "gatehouse_families_client": {Client: "client-7"},
		} {
			query, args := s.Families().RevokeAllSQL(filter, 10)
			check("end all", name, 1, query, args...)
		}
	})
}

// populateFamiliesSQL makes 5,000 families of 1,000 people at 500 clients, and
// as many revocations.
var populateFamiliesSQL = map[string][]string{
	"pgx": {`
INSERT INTO gatehouse_families (id, subject, client, tenant, scopes, metadata, created, expires, generation, outcome, key_sum, current_sum)
SELECT 'id-' || n, 'subject-' || n % 1000, 'client-' || n % 500, '', '', '{}', now(), now() + interval '1 hour', 1, '',
	sha256(n::text::bytea), sha256(n::text::bytea)
FROM generate_series(1, 5000) AS n`, `
INSERT INTO gatehouse_revocations SELECT 'i', 'sub', n::text, now(), now() + interval '1 hour' FROM generate_series(1, 5000) AS n`, "ANALYZE"},
	"sqlite": {`
INSERT INTO gatehouse_families (id, subject, client, tenant, scopes, metadata, created, expires, generation, outcome, key_sum, current_sum)
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 5000)
SELECT 'id-' || n, 'subject-' || n % 1000, 'client-' || n % 500, '', '', '{}', 1, 9000000000000000, 1, '', randomblob(32), randomblob(32)
FROM series`, `
INSERT INTO gatehouse_revocations
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < 5000)
SELECT 'i', 'sub', CAST(n AS TEXT), 1, 9000000000000000 FROM series`, "ANALYZE"},
}
