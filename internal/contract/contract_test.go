// SPDX-License-Identifier: Apache-2.0

package contract_test

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// counter is the record of a store of counters, which is the table itself.
type counter struct {
	ID    string
	N     int
	Bytes []byte
	Since time.Time
	AsOf  time.Time
}

type table struct{ *contract.Table[counter] }

var errNotFound = errors.New("not found")

func newTable(fault string) table {
	return table{&contract.Table[counter]{
		Fault: contract.Fault(fault), NotFound: errNotFound,
		Clone: func(c counter) counter { c.Bytes = slices.Clone(c.Bytes); return c },
		AsOf:  func(c *counter) *time.Time { return &c.AsOf },
	}}
}

func (t table) create(ctx context.Context, id string) (counter, error) {
	return t.Create(ctx, "create", id, nil, func(now time.Time) counter { return counter{ID: id, Bytes: []byte(id), Since: now} })
}

func (t table) add(ctx context.Context, id string) (counter, error) {
	if t.Is("add fails") {
		return counter{}, errors.New("failed")
	}
	return t.Change(ctx, "add", id, func(c *counter, _ time.Time) error { c.N++; return nil })
}

func (t table) match(method, id string) func(*counter, time.Time) bool {
	return func(c *counter, _ time.Time) bool {
		return t.Matches(method, contract.Field{Name: "letter", Filter: id, Record: c.ID[:1]})
	}
}

func (t table) addAll(ctx context.Context, id string, limit int) ([]counter, error) {
	return t.ChangeAll(ctx, "add all", limit, t.match("add all", id), func(c *counter, _ time.Time) { c.N++ })
}

func (t table) list(ctx context.Context, limit int) ([]counter, error) {
	all := func(*counter, time.Time) bool { return true }
	return t.List(ctx, "list", limit, all, func(a, b *counter) int { return cmp.Compare(a.ID, b.ID) })
}

func canceled(s contract.Suite) context.Context {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	return ctx
}

func expect(s contract.Suite, what string, got, want any) {
	s.Helper()
	if got != want {
		s.Failf("%s = %v, want %v", what, got, want)
	}
}

var rules = []contract.Rule[table]{
	{Name: "create", Rule: "Create adds a counter.", Run: func(s contract.Suite, t table) {
		_, err := t.create(canceled(s), "a")
		expect(s, "Create with a canceled context", err, context.Canceled)
		got, err := t.create(s.Context(), "a")
		s.NoError(err)
		if got.ID != "a" || got.N != 0 || string(got.Bytes) != "a" || !got.Since.Equal(got.AsOf) {
			s.Failf("created %+v", got)
		}
		if _, err := t.create(s.Context(), "a"); err == nil || err == errNotFound {
			s.Failf("a second Create: error = %v", err)
		}
	}},
	{Name: "find", Rule: "Find finds it.", Run: func(s contract.Suite, t table) {
		_, err := t.create(s.Context(), "a")
		s.NoError(err)
		got, err := t.Find(s.Context(), "find", "a")
		s.NoError(err)
		clear(got.Bytes)
		got, err = t.Find(s.Context(), "find", "a")
		s.NoError(err)
		expect(s, "Bytes", string(got.Bytes), "a")
		for _, id := range []string{"A", " a", "b"} {
			_, err := t.Find(s.Context(), "find", id)
			expect(s, "Find("+id+")", err, errNotFound)
		}
		_, err = t.Find(canceled(s), "find", "a")
		expect(s, "Find with a canceled context", err, context.Canceled)
	}},
	{Name: "add", Rule: "Add adds 1.", Run: func(s contract.Suite, t table) {
		before, err := t.create(s.Context(), "a")
		s.NoError(err)
		_, err = t.add(canceled(s), "a")
		expect(s, "Add with a canceled context", err, context.Canceled)
		got, err := t.add(s.Context(), "a")
		s.NoError(err)
		expect(s, "returned N", got.N, 1)
		got, err = t.Find(s.Context(), "find", "a")
		s.NoError(err)
		expect(s, "N", got.N, 1)
		expect(s, "Bytes", string(got.Bytes), "a")
		expect(s, "Since", got.Since, before.Since)
		_, err = t.add(s.Context(), "b")
		expect(s, "Add to another", err, errNotFound)
	}},
	{Name: "add all", Rule: "AddAll adds 1 to those that match.", Run: func(s contract.Suite, t table) {
		for _, id := range []string{"a", "A", "ab", "ac", "b"} {
			_, err := t.create(s.Context(), id)
			s.NoError(err)
		}
		for id, want := range map[string]int{"a": 3, "A": 1, "c": 0, "": 0, "aa": 0} {
			got, err := t.addAll(s.Context(), id, 9)
			s.NoError(err)
			expect(s, "changed for "+id, len(got), want)
		}
		got, err := t.Find(s.Context(), "find", "a")
		s.NoError(err)
		expect(s, "N", got.N, 1)
		_, err = t.addAll(canceled(s), "a", 9)
		expect(s, "AddAll with a canceled context", err, context.Canceled)
		none, err := t.addAll(s.Context(), "a", 0)
		s.NoError(err)
		expect(s, "changed with limit 0", len(none), 0)
	}},
	{Name: "list", Rule: "List lists in order.", Run: func(s contract.Suite, t table) {
		for _, id := range []string{"d", "b", "a", "f", "c", "e", "h", "g"} {
			_, err := t.create(s.Context(), id)
			s.NoError(err)
		}
		for _, limit := range []int{0, 3, 9} {
			got, err := t.list(s.Context(), limit)
			s.NoError(err)
			var ids strings.Builder
			for _, c := range got {
				ids.WriteString(c.ID)
				clear(c.Bytes)
			}
			expect(s, "List", ids.String(), "abcdefgh"[:min(limit, 8)])
		}
		got, err := t.Find(s.Context(), "find", "a")
		s.NoError(err)
		expect(s, "Bytes", string(got.Bytes), "a")
		_, err = t.list(canceled(s), 9)
		expect(s, "List with a canceled context", err, context.Canceled)
	}},
	{Name: "clock", Rule: "The clock advances.", Run: func(s contract.Suite, t table) {
		before := t.Now()
		s.Until("time advances", func() bool { return t.Now().After(before) })
		if now := t.Now(); now.Location() != time.UTC || !now.Equal(now.Truncate(time.Microsecond)) {
			s.Failf("the time is %v", now)
		}
	}},
	{Name: "race of additions", Rule: "Add is atomic.", Run: func(s contract.Suite, t table) {
		_, err := t.create(s.Context(), "a")
		s.NoError(err)
		contract.Together(contract.Racers, func(int) {
			if _, err := t.add(s.Context(), "a"); err != nil {
				s.Failf("unexpected error: %v", err)
			}
		})
		got, err := t.Find(s.Context(), "find", "a")
		s.NoError(err)
		if got.N != contract.Racers {
			s.Stopf("N = %d, want %d", got.N, contract.Racers)
		}
	}},
	{Name: "race of all methods", Rule: "Every method is atomic.", Run: func(s contract.Suite, t table) {
		var won [contract.Racers]bool
		contract.Together(contract.Racers, func(i int) {
			_, err := t.create(s.Context(), "a")
			won[i] = err == nil
			if _, err := t.addAll(s.Context(), "a", 1); err != nil {
				s.Failf("unexpected error: %v", err)
			}
		})
		got, err := t.Find(s.Context(), "find", "a")
		s.NoError(err)
		n := 0
		for _, w := range won {
			if w {
				n++
			}
		}
		if n != 1 || got.N != contract.Racers {
			s.Failf("%d calls of Create succeeded, want 1; N = %d, want %d", n, got.N, contract.Racers)
		}
	}},
}

var faults = slices.Concat(
	[]string{"add fails"}, contract.ClockFaults(), contract.CreateFaults("create"), contract.FindFaults("find"), contract.ChangeFaults("add"),
	contract.ChangeAllFaults("add all"), contract.ListFaults("list"),
	contract.FieldFaults[counter]("create", "AsOf"), contract.FieldFaults[counter]("add", "AsOf", "ID"),
)

func TestStore(t *testing.T) {
	stores := 0
	contract.Test(t, rules, func(*testing.T) table { stores++; return newTable("") })
	if stores != len(rules) {
		t.Errorf("Test made %d stores for %d rules", stores, len(rules))
	}
}

// kind makes faulty tables.
var kind = contract.Faulty[table]{New: newTable, Wait: func(t table) { t.Wait() }}

func TestFaults(t *testing.T) { kind.TestFaults(t, rules, faults) }

func TestFieldFaults(t *testing.T) {
	type inner struct{ Inner time.Duration }
	type record struct {
		inner
		Text string
	}
	got := contract.FieldFaults[record]("change", "Text")
	if want := []string{"change corrupts Inner"}; !slices.Equal(got, want) {
		t.Errorf("FieldFaults = %q, want %q", got, want)
	}
	r := record{}
	contract.Fault("change corrupts Inner").Corrupt("change", &r)
	contract.Fault("change corrupts Text").Corrupt("other change", &r)
	if want := (record{inner: inner{time.Millisecond}}); r != want {
		t.Errorf("Corrupt changed the record to %+v, want %+v", r, want)
	}
}

func TestMatches(t *testing.T) {
	fields := func(filter ...string) []contract.Field {
		return []contract.Field{{Name: "owner", Filter: filter[0], Record: "ada"}, {Name: "tenant", Filter: filter[1], Record: "acme"}}
	}
	matching := map[string][][]string{ // fault to filters that match with it and not without
		"list ignores owner": {{"bob", "acme"}, {"bob", ""}}, "list ignores tenant": {{"ada", "x"}}, "list folds case": {{"Ada", ""}},
		"list takes prefixes": {{"a", "ac"}}, "list takes any field": {{"bob", "acme"}}, "list takes an empty filter": {{"", ""}},
	}
	for _, fault := range contract.MatchFaults("list", "owner", "tenant") {
		if matching[fault] == nil {
			t.Errorf("fault %q is not tested", fault)
		}
		for _, filter := range matching[fault] {
			if with, without := contract.Fault(fault).Matches("list", fields(filter...)...), contract.Fault("").Matches("list", fields(filter...)...); !with || without {
				t.Errorf("filter %q matches with fault %q: %v, without: %v", filter, fault, with, without)
			}
		}
	}
	for _, filter := range [][]string{{"ada", "acme"}, {"ada", ""}, {"", "acme"}} {
		if !contract.Fault("").Matches("list", fields(filter...)...) {
			t.Errorf("filter %q does not match", filter)
		}
	}
}

// TestReports runs contracts that fail, in another process.
func TestReports(t *testing.T) {
	tests := map[string]struct {
		run  func(t *testing.T)
		want string
	}{
		"faulty store": {func(t *testing.T) {
			contract.Test(t, rules, func(*testing.T) table { return newTable("add does nothing") })
		}, "The contract says: Add adds 1."},
		"store without fault": {func(t *testing.T) {
			broken := contract.Faulty[table]{New: func(string) table { return newTable("add fails") }}
			broken.TestFaults(t, rules, faults)
		}, `rule "add" fails a store without fault:`},
		"no fault": {func(t *testing.T) {
			kind.TestFaults(t, rules, append([]string{"none"}, faults...))
		}, `fault "none" breaks no rule`},
		"repeated fault": {func(t *testing.T) {
			kind.TestFaults(t, rules, append([]string{"add fails"}, faults...))
		}, `fault "add fails" is listed twice`},
		"useless rule": {func(t *testing.T) {
			kind.TestFaults(t, rules, contract.ClockFaults())
		}, `no fault breaks rule "race of additions" first`},
	}
	const inner = "GATEHOUSE_TEST_INNER"
	if name := os.Getenv(inner); name != "" {
		tests[name].run(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range tests {
		cmd := exec.Command(self, "-test.run=^TestReports$", "-test.timeout=1m")
		cmd.Env = append(os.Environ(), inner+"="+name)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), test.want) {
			t.Errorf("%s: error = %v, want the report %q in\n%s", name, err, test.want, out)
		}
	}
}
