// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

// Every contestant does what it is measured for: a short race in which each
// request must be let in, and all that is printed is there.
func TestRun(t *testing.T) {
	defer func(n int) { distinct = n }(distinct)
	distinct = 16
	var out strings.Builder
	if err := run(1, time.Millisecond, false, engines{}, &out); err != nil {
		t.Fatal(err)
	}
	for _, p := range peers() {
		if !strings.Contains(out.String(), "| "+p.name+" |") {
			t.Errorf("%s is missing in\n%s", p.name, &out)
		}
	}
	for _, name := range []string{"SQLite", "memory", "OpenAI, chat completions", "Anthropic, messages"} {
		if !strings.Contains(out.String(), "| "+name+" |") {
			t.Errorf("%s is missing in\n%s", name, &out)
		}
	}
	if n := strings.Count(out.String(), "–"); n < 50 {
		t.Errorf("%d spreads in\n%s", n, &out)
	}
}

// The stores do what they are measured for.
func TestStores(t *testing.T) {
	enginetest.Slow(t)
	e := engines{redis: enginetest.StartRedis(t).URL(), postgres: enginetest.StartPostgres(t).Database(t)}
	results, err := replayRaces(e, 1, time.Millisecond)
	if err != nil || len(results) != 3 {
		t.Fatalf("replayRaces = %v, %v, want three stores", results, err)
	}
	ledgers, err := ledgerRaces(e, 1, time.Millisecond)
	if err != nil || len(ledgers) != 4 {
		t.Fatalf("ledgerRaces = %v, %v, want four stores", ledgers, err)
	}
	for _, name := range []string{"SQLite", "Redis", "Postgres"} {
		if table := ledgerTable(ledgers); !strings.Contains(table, "| "+name+" |") {
			t.Errorf("%s is missing in\n%s", name, table)
		}
		if table := replayTable(results); !strings.Contains(table, "| "+name+" |") {
			t.Errorf("%s is missing in\n%s", name, table)
		}
	}
}

func TestChartIsXML(t *testing.T) {
	text := chart([]result{{name: "floor", median: 1}, {name: "a & b", median: 2.5}, {name: "Gatehouse", median: 0.01}})
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); err != nil {
			if err.Error() != "EOF" {
				t.Error(err)
			}
			break
		}
	}
}

func TestReplaceResults(t *testing.T) {
	name := filepath.Join(t.TempDir(), "README.md")
	if err := os.WriteFile(name, []byte("before\n"+begin+"old\n"+end+"\nafter\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replaceResults(name, "new\n"); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil || string(got) != "before\n"+begin+"new\n"+end+"\nafter\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := os.WriteFile(name, []byte("no marks"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replaceResults(name, "new\n"); err == nil {
		t.Error("a file without marks was accepted")
	}
}
