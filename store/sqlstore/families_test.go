// SPDX-License-Identifier: Apache-2.0

package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
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

// TestFamilyLockWaitPostgres changes a family in a transaction while a statement
// waits for its lock: the statement must then use the new row and the new time.
func TestFamilyLockWaitPostgres(t *testing.T) {
	t.Parallel()
	s, db := migrated(t, "pgx", enginetest.SharedPostgres(t).Database(t))
	type result struct {
		r       refresh.Record
		outcome refresh.Outcome
		err     error
	}
	call := func(t *testing.T, change string, delay time.Duration, f func(*sqlstore.Families) result) (got result, before time.Time) {
		t.Helper()
		execute(t, db, "DELETE FROM gatehouse_families")
		if _, err := s.Families().Create(t.Context(), family("a"), time.Hour); err != nil {
			t.Fatal(err)
		}
		before = whileLocked(t, db, change, delay, func() { got = f(s.Families()) })
		return got, before
	}
	rotate := func(f *sqlstore.Families) result {
		p := refresh.Presentation{Client: "c", Next: refresh.Hash{1}, Successor: []byte("sealed"), Grace: time.Minute}
		r, outcome, err := f.Rotate(t.Context(), "a", p)
		return result{r, outcome, err}
	}
	revoke := func(f *sqlstore.Families) result {
		r, err := f.Revoke(t.Context(), "a")
		return result{r: r, err: err}
	}
	const (
		touched  = "UPDATE gatehouse_families SET tenant = 'new'"
		rotated  = `UPDATE gatehouse_families SET previous_sum = current_sum, current_sum = set_byte(current_sum, 0, 9), successor = 'first', grace_ends = clock_timestamp() + `
		expiring = "UPDATE gatehouse_families SET expires = clock_timestamp() + interval '200 milliseconds'"
	)
	t.Run("time", func(t *testing.T) {
		got, before := call(t, touched, 0, rotate)
		if got.err != nil || got.outcome != refresh.Rotated || got.r.Tenant != "new" || got.r.Rotated.Before(before) ||
			!got.r.Rotated.Equal(got.r.AsOf) || !got.r.GraceEnds.Equal(got.r.Rotated.Add(time.Minute)) {
			t.Errorf("Rotate = %+v, want rotated after %v", got, before)
		}
		got, before = call(t, touched, 0, revoke)
		if got.err != nil || got.r.Tenant != "new" || got.r.Revoked.Before(before) || !got.r.Revoked.Equal(got.r.AsOf) {
			t.Errorf("Revoke = %+v, want revoked after %v", got, before)
		}
		got, before = call(t, rotated+"interval '200 milliseconds'", 300*time.Millisecond, rotate)
		if got.outcome != refresh.Reused || got.r.Revoked.Before(before) || got.r.Successor != nil {
			t.Errorf("Rotate after the grace period = %+v, want revoked after %v", got, before)
		}
	})
	for name, test := range map[string]struct {
		change string
		delay  time.Duration
		want   refresh.Outcome
		err    error
	}{
		"rotated":             {rotated + "interval '1 minute'", 0, refresh.Replayed, nil},
		"rotated, no grace":   {rotated + "interval '0'", 0, refresh.Reused, nil},
		"revoked":             {"UPDATE gatehouse_families SET revoked = clock_timestamp()", 0, refresh.Revoked, nil},
		"expires":             {expiring, 300 * time.Millisecond, refresh.Expired, nil},
		"other client":        {"UPDATE gatehouse_families SET client = 'd'", 0, refresh.Reused, nil},
		"other key":           {"UPDATE gatehouse_families SET key_sum = set_byte(key_sum, 31, 9)", 0, "", refresh.ErrNotFound},
		"removed":             {"DELETE FROM gatehouse_families", 0, "", refresh.ErrNotFound},
		"replaced by another": {"UPDATE gatehouse_families SET id = 'b'", 0, "", refresh.ErrNotFound},
	} {
		t.Run("rotate, "+name, func(t *testing.T) {
			got, _ := call(t, test.change, test.delay, rotate)
			if got.outcome != test.want || !errors.Is(got.err, test.err) || test.want == refresh.Replayed && string(got.r.Successor) != "first" {
				t.Errorf("Rotate = %+v, want %s, %v", got, test.want, test.err)
			}
		})
	}
}

// TestRevokeAllDoesNotDeadlock has two calls lock the same rows in opposite
// orders: one by a table scan, one by an index.
func TestRevokeAllDoesNotDeadlock(t *testing.T) {
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	s, db := migrated(t, "pgx", url+"&enable_indexscan=off&enable_bitmapscan=off")
	other := newStore(t, open(t, "pgx", url+"&enable_seqscan=off&enable_bitmapscan=off")).Families()
	families := s.Families()
	for i := range 9 {
		r := family(string(rune('a' + i)))
		r.Client = string(rune('i' - i)) // the second column of the index
		if _, err := families.Create(t.Context(), r, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	revokeAll := func(families *sqlstore.Families) func() (int, error) {
		return func() (int, error) {
			records, err := families.RevokeAll(t.Context(), refresh.Filter{Subject: "s"}, 100)
			return len(records), err
		}
	}
	doNotDeadlock(t, db, "UPDATE gatehouse_families SET tenant = 'x' WHERE id = 'e'", revokeAll(families), revokeAll(other))
}

func TestAddingRemovesUpToTenExpired(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		add := func(name string) {
			t.Helper()
			_, err := s.Families().Create(t.Context(), family(name), time.Hour)
			target := revocation.Target{Kind: revocation.Token, Issuer: "i", Value: name}
			if err := errors.Join(err, s.Revocations().Revoke(t.Context(), target, time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		count := func() (counts [2]int) {
			t.Helper()
			for i, query := range []string{"SELECT count(*) FROM gatehouse_families", "SELECT count(*) FROM gatehouse_revocations"} {
				if err := db.QueryRowContext(t.Context(), query).Scan(&counts[i]); err != nil {
					t.Fatal(err)
				}
			}
			return counts
		}
		for i := range 25 {
			add(fmt.Sprint("old", i))
		}
		past := map[string]string{"pgx": "now() - interval '1 microsecond'", "sqlite": "unixepoch() * 1000000 - 1000000"}[driver]
		execute(t, db, "UPDATE gatehouse_families SET expires = "+past, "UPDATE gatehouse_revocations SET expires = "+past)
		if got, want := count(), [2]int{25, 25}; got != want {
			t.Fatalf("%v rows at first, want %v", got, want)
		}
		for i, want := range []int{16, 7, 3, 4} {
			add(fmt.Sprint("new", i))
			if got := count(); got != [2]int{want, want} {
				t.Errorf("%v rows after adding %d, want %d", got, i+1, want)
			}
		}
		for i := range 4 {
			if _, err := s.Families().Find(t.Context(), fmt.Sprint("new", i)); err != nil {
				t.Errorf("Find(new%d) error = %v", i, err)
			}
		}
	})
}

// TestRevocationTimeNeverGoesBack covers a clock that was set back, and a
// concurrent call that has read it later.
func TestRevocationTimeNeverGoesBack(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		target := revocation.Target{Kind: revocation.Subject, Issuer: "i", Value: "a"}
		revoke := func() {
			t.Helper()
			if err := s.Revocations().Revoke(t.Context(), target, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		find := func() time.Time {
			t.Helper()
			times, err := s.Revocations().Find(t.Context(), []revocation.Target{target})
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
			t.Errorf("Find = %v, want %v as before", after, before)
		}
	})
}

// callAll calls every method of the stores of families and revocations.
func callAll(ctx context.Context, s *sqlstore.Store) map[string]error {
	target := revocation.Target{Kind: revocation.Token, Issuer: "i", Value: "a"}
	_, create := s.Families().Create(ctx, family("a"), time.Hour)
	_, find := s.Families().Find(ctx, "a")
	_, _, rotate := s.Families().Rotate(ctx, "a", refresh.Presentation{Client: "c"})
	_, list := s.Families().List(ctx, refresh.Filter{Subject: "s"}, 1)
	_, revoke := s.Families().Revoke(ctx, "a")
	_, revokeAll := s.Families().RevokeAll(ctx, refresh.Filter{Subject: "s"}, 1)
	_, findRevocations := s.Revocations().Find(ctx, []revocation.Target{target})
	return map[string]error{
		"Create": create, "Find": find, "Rotate": rotate, "List": list, "Revoke": revoke, "RevokeAll": revokeAll,
		"Revocations.Find": findRevocations, "Revocations.Revoke": s.Revocations().Revoke(ctx, target, time.Hour),
	}
}

func TestFamiliesAndRevocationsUnavailable(t *testing.T) {
	t.Parallel()
	eachEngine(t, func(t *testing.T, database func(testing.TB) (string, string)) {
		driver, dsn := database(t)
		empty := newStore(t, open(t, driver, dsn))
		driver, dsn = database(t)
		closed, db := migrated(t, driver, dsn)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		for name, s := range map[string]*sqlstore.Store{"no tables": empty, "closed": closed} {
			for method, err := range callAll(t.Context(), s) {
				if err == nil || errors.Is(err, refresh.ErrNotFound) {
					t.Errorf("%s: %s error = %v, want unavailable", name, method, err)
				}
			}
		}
	})
}

func TestFamiliesAndRevocationsNeedNoSchemaRights(t *testing.T) {
	t.Parallel()
	url := enginetest.SharedPostgres(t).Database(t)
	_, db := migrated(t, "pgx", url)
	execute(t, db, "CREATE ROLE families_app", "GRANT SELECT, INSERT, UPDATE, DELETE ON gatehouse_families, gatehouse_revocations TO families_app")
	app := newStore(t, open(t, "pgx", url+"&role=families_app"))
	if err := app.Migrate(t.Context()); err == nil {
		t.Error("Migrate: got no error, so that the test proves nothing")
	}
	for method, err := range callAll(t.Context(), app) {
		if err != nil {
			t.Errorf("%s error = %v", method, err)
		}
	}
}

// TestFamilyAndRevocationPlans checks that queries use the primary keys and
// indexes.
func TestFamilyAndRevocationPlans(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, driver string, s *sqlstore.Store, db *sql.DB) {
		execute(t, db, populateFamiliesSQL[driver]...)
		targets := []revocation.Target{
			{Kind: "jti", Issuer: "i", Value: "a"}, {Kind: "sid", Issuer: "i", Value: "b"}, {Kind: "sub", Issuer: "i", Value: "c"}, {Kind: "client_id", Issuer: "i", Value: "d"},
		}
		targetKey, familyKey := "USING PRIMARY KEY (issuer=? AND kind=? AND value=?)", "USING PRIMARY KEY (id=?)"
		if driver == "pgx" {
			targetKey, familyKey = "Index Scan using gatehouse_revocations_pkey", "Index Scan using gatehouse_families_pkey"
		}
		check := func(name, want string, times int, query string, args ...any) {
			t.Helper()
			plan := explain(t, driver, db, query, args...)
			t.Logf("%s:\n%s", name, plan)
			if n := strings.Count(plan, want); n < times {
				t.Errorf("plan of %s has %q %d times, want %d:\n%s", name, want, n, times, plan)
			}
			if strings.Contains(plan, "Seq Scan on gatehouse") || strings.Contains(plan, "SCAN gatehouse") {
				t.Errorf("plan of %s scans a table:\n%s", name, plan)
			}
		}
		families := s.Families()
		query, args := s.Revocations().FindSQL(targets)
		check("Revocations.Find", targetKey, len(targets), query, args...)
		check("Find", familyKey, 1, families.FindSQL(), "id-7")
		check("Rotate", familyKey, 1, families.RotateSQL(), "id-7", `\x`, `\x`, "c", `\x`, `\x`, 1)
		query, args = families.RevokeAllSQL(refresh.Filter{Subject: "subject-7"}, 10)
		check("RevokeAll by subject", "gatehouse_families_subject", 1, query, args...)
		query, args = families.RevokeAllSQL(refresh.Filter{Client: "client-7"}, 10)
		check("RevokeAll by client", "gatehouse_families_client", 1, query, args...)
		query, args = families.ListSQL(refresh.Filter{Subject: "subject-8"}, 10)
		check("List", "gatehouse_families_subject", 1, query, args...)
	})
}

// populateFamiliesSQL creates 5,000 families of 1,000 subjects and 500 clients, and
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
