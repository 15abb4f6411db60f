// SPDX-License-Identifier: Apache-2.0

package contract_test

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// The users of Table test its faults: each one must break a rule of their
// contracts.

type counter struct {
	N    int
	AsOf time.Time
}

type table = *contract.Table[counter]

func newTable(fault string) table {
	return &contract.Table[counter]{
		Fault: contract.Fault(fault), NotFound: errors.New("not found"), AsOf: func(c *counter) *time.Time { return &c.AsOf },
	}
}

func create(s contract.Suite, t table) counter {
	c, err := t.Create(s.Context(), "create", "a", nil, func(time.Time) counter { return counter{} })
	s.NoError(err)
	return c
}

func add(s contract.Suite, t table) counter {
	if t.Is("add fails") {
		s.NoError(errors.New("failed"))
	}
	c, err := t.Change(s.Context(), "add", "a", func(c *counter, _ time.Time) error { c.N++; return nil })
	s.NoError(err)
	return c
}

var rules = []contract.Rule[table]{
	{Name: "add", Rule: "Add adds 1.", Run: func(s contract.Suite, t table) {
		create(s, t)
		add(s, t)
		if got := add(s, t).N; got != 2 {
			s.Failf("N = %d, want 2", got)
		}
	}},
	{Name: "clock", Rule: "The clock advances.", Run: func(s contract.Suite, t table) {
		before := create(s, t).AsOf
		s.Until("time advances", func() bool { return t.Now().After(before) })
		if before.Location() != time.UTC || !before.Equal(before.Truncate(time.Microsecond)) {
			s.Failf("the time is %v", before)
		}
	}},
	{Name: "race", Rule: "Add is atomic.", Run: func(s contract.Suite, t table) {
		create(s, t)
		contract.Together(contract.Racers, func(int) { add(s, t) })
		if got, want := add(s, t).N, contract.Racers+1; got != want {
			s.Stopf("N = %d, want %d", got, want)
		}
	}},
}

var faults = append(contract.ClockFaults(), "add fails", "add does nothing", "add answers early", "add reads then writes", "add corrupts N")

func TestStore(t *testing.T) {
	stores := 0
	contract.Test(t, rules, func(*testing.T) table { stores++; return newTable("") })
	if stores != len(rules) {
		t.Errorf("Test made %d stores for %d rules", stores, len(rules))
	}
}

var kind = contract.Faulty[table]{New: newTable, Wait: func(t table) { t.Wait() }}

func TestFaults(t *testing.T) { kind.TestFaults(t, rules, faults) }

func TestFieldFaults(t *testing.T) {
	type inner struct{ Inner time.Duration }
	type record struct {
		inner
		Text string
	}
	if got, want := contract.FieldFaults[record]("change", "Text"), []string{"change corrupts Inner"}; !slices.Equal(got, want) {
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
	matches := func(fault, owner, tenant string) bool {
		return contract.Fault(fault).Matches("list",
			contract.Field{Name: "owner", Filter: owner, Record: "ada"}, contract.Field{Name: "tenant", Filter: tenant, Record: "acme"})
	}
	filters := map[string][2]string{ // by fault: a filter that matches with it only
		"list ignores owner": {"bob", "acme"}, "list ignores tenant": {"ada", "x"}, "list folds case": {"Ada", ""},
		"list takes prefixes": {"a", "ac"}, "list takes any field": {"bob", "acme"}, "list takes an empty filter": {"", ""},
	}
	for _, fault := range contract.MatchFaults("list", "owner", "tenant") {
		filter, ok := filters[fault]
		if with, without := matches(fault, filter[0], filter[1]), matches("", filter[0], filter[1]); !ok || !with || without {
			t.Errorf("filter %q matches with fault %q: %v, without: %v", filter, fault, with, without)
		}
	}
	for _, filter := range [][2]string{{"ada", "acme"}, {"ada", ""}, {"", "acme"}} {
		if !matches("", filter[0], filter[1]) {
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
		"no fault":       {func(t *testing.T) { kind.TestFaults(t, rules, append([]string{"none"}, faults...)) }, `fault "none" breaks no rule`},
		"repeated fault": {func(t *testing.T) { kind.TestFaults(t, rules, append([]string{"add fails"}, faults...)) }, `fault "add fails" is listed twice`},
		"useless rule":   {func(t *testing.T) { kind.TestFaults(t, rules, contract.ClockFaults()) }, `no fault breaks rule "race" first`},
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
