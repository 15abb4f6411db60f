// SPDX-License-Identifier: Apache-2.0

package contract_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/internal/contract"
)

// counter is a store, with a fault or without.
type counter struct {
	fault string
	mu    sync.Mutex
	n     int
	late  sync.WaitGroup
}

func (c *counter) add() error {
	if c.fault == "add fails" {
		return errors.New("no")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	read := c.n
	switch c.fault {
	case "add does nothing":
		return nil
	case "add answers early":
		c.late.Go(func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.n++
		})
		return nil
	case "add reads then writes":
		contract.Yield(&c.mu)
	}
	c.n = read + 1
	return nil
}

func (c *counter) value() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

var rules = []contract.Rule[*counter]{
	{Name: "add", Rule: "Add adds one.", Run: func(s contract.Suite, c *counter) {
		s.Good(c.add())
		if got := c.value(); got != 1 {
			s.Failf("the value is %d", got)
		}
	}},
	{Name: "clock", Rule: "The clock goes.", Run: func(s contract.Suite, c *counter) {
		before := contract.Now(c.fault)
		s.Until("time goes by", func() bool { return contract.Now(c.fault).After(before) })
		if now := contract.Now(c.fault); now.Location() != time.UTC || !now.Equal(now.Truncate(time.Microsecond)) {
			s.Failf("the time is %v", now)
		}
	}},
	{Name: "race of adds", Rule: "Add is atomic.", Run: func(s contract.Suite, c *counter) {
		contract.Together(contract.Racers, func(int) {
			if err := c.add(); err != nil {
				s.Failf("unexpected error: %v", err)
			}
		})
		if got := c.value(); got != contract.Racers {
			s.Stopf("the value is %d", got)
		}
	}},
}

var faults = []string{
	"add fails", "add does nothing", "add answers early", "add reads then writes",
	"clock is local", "clock has nanoseconds", "clock stands still", "clock runs back",
}

func TestStore(t *testing.T) {
	made := 0
	contract.Test(t, rules, func(*testing.T) *counter { made++; return new(counter) })
	if made != len(rules) {
		t.Errorf("%d stores for %d rules", made, len(rules))
	}
}

// kind is the kind of store that the faults are of.
var kind = contract.Faulty[*counter]{
	New:  func(fault string) *counter { return &counter{fault: fault} },
	Late: func(c *counter) { c.late.Wait() },
}

func TestFaults(t *testing.T) { kind.TestFaults(t, rules, faults) }

// TestFails holds that a store which breaks the contract fails it, with its rule
// in the message, and that so does a list of faults with a mistake in it. They are
// run in another process, since they fail.
func TestFails(t *testing.T) {
	tests := map[string]struct {
		run  func(t *testing.T)
		want string
	}{
		"store": {func(t *testing.T) {
			contract.Test(t, rules, func(*testing.T) *counter { return &counter{fault: "add does nothing"} })
		}, "The contract says: Add adds one."},
		"store without fault": {func(t *testing.T) {
			broken := contract.Faulty[*counter]{New: func(string) *counter { return &counter{fault: "add fails"} }}
			broken.TestFaults(t, rules, faults)
		}, "add: fails a store without fault:"},
		"fault that is none": {func(t *testing.T) {
			kind.TestFaults(t, rules, append([]string{"none"}, faults...))
		}, "none: passes the contract"},
		"fault named twice": {func(t *testing.T) {
			kind.TestFaults(t, rules, append([]string{"add fails"}, faults...))
		}, "add fails: is named twice"},
		"rule without a fault": {func(t *testing.T) {
			kind.TestFaults(t, rules, faults[4:])
		}, "race of adds: no fault is caught by it first"},
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
		cmd := exec.Command(self, "-test.run=^TestFails$", "-test.timeout=1m")
		cmd.Env = append(os.Environ(), inner+"="+name)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), test.want) {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
