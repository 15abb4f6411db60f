// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/tenant"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// databases returns the owner's database, and sets the variables of the program.
func databases(t *testing.T) *sql.DB {
	t.Helper()
	owned := enginetest.StartPostgres(t, "fsync=off").Database(t)
	owner := must(sql.Open("pgx", owned))
	t.Cleanup(func() { _ = owner.Close() })
	must(owner.ExecContext(t.Context(), "CREATE ROLE app LOGIN PASSWORD 'app'"))
	u := must(url.Parse(owned))
	u.User = url.UserPassword("app", "app")
	t.Setenv("OWNER_DSN", owned)
	t.Setenv("APP_DSN", u.String())
	return owner
}

// client calls the program with the keys of its tenants.
type client struct {
	url  string
	keys map[string]string
	stop func() // the program, with its background job
}

func start(t *testing.T) client {
	t.Helper()
	r, w := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, nil, w)
		_ = w.CloseWithError(err)
		ended <- err
	}()
	c := client{keys: make(map[string]string), stop: sync.OnceFunc(func() {
		if cancel(); <-ended != nil {
			t.Error("run failed")
		}
	})}
	t.Cleanup(c.stop)
	for lines := bufio.NewReader(r); c.url == ""; {
		switch words := strings.Fields(must(lines.ReadString('\n'))); words[0] {
		case "api-key":
			c.keys[words[1]] = words[2]
		case "listening":
			c.url = words[1]
		}
	}
	return c
}

func (c client) call(t *testing.T, key, method, path, body string, status int) string {
	t.Helper()
	r := must(http.NewRequestWithContext(t.Context(), method, c.url+path, strings.NewReader(body)))
	r.Header.Set("Authorization", "Bearer "+c.keys[key])
	response := must(http.DefaultClient.Do(r))
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		t.Fatalf("%s %s as %s = %d %s, %v, want %d", method, path, key, response.StatusCode, text, err, status)
	}
	return strings.TrimSpace(string(text))
}

// Conversations, documents and models of a tenant are seen by this tenant only.
func TestTenantsAreIsolated(t *testing.T) {
	owner := databases(t)
	c := start(t)
	ids := make(map[string]string)
	for _, name := range []string{"acme", "globex"} {
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(c.call(t, name, "POST", "/conversations", `{"title":"plans of `+name+`"}`, 201)), &made); err != nil {
			t.Fatal(err)
		}
		ids[name] = made.ID
		c.call(t, name, "POST", "/documents", `{"title":"secret plan","text":"the plan of `+name+` is secret"}`, 201)
	}
	c.call(t, "acme", "POST", "/models", `{"name":"tuned-acme-1"}`, 201)
	for _, test := range []struct{ name, other, model string }{{"acme", "globex", "tuned-acme-1"}, {"globex", "acme", "base"}} {
		answer := c.call(t, test.name, "POST", "/conversations/"+ids[test.name], `{"text":"what is the plan?"}`, 201)
		if !strings.Contains(answer, "the plan of "+test.name) || !strings.Contains(answer, test.model) || strings.Contains(answer, test.other) {
			t.Errorf("the answer for %s is %s", test.name, answer)
		}
		c.call(t, test.name, "GET", "/conversations/"+ids[test.other], "", 404)
		c.call(t, test.name, "POST", "/conversations/"+ids[test.other], `{"text":"hello"}`, 404)
		all := c.call(t, test.name, "GET", "/conversations", "", 200) + c.call(t, test.name, "GET", "/documents?q=plan", "", 200) +
			c.call(t, test.name, "GET", "/models", "", 200) + c.call(t, test.name, "GET", "/conversations/"+ids[test.name], "", 200)
		if strings.Contains(all, test.other) || strings.Contains(all, ids[test.other]) || !strings.Contains(all, ids[test.name]) {
			t.Errorf("%s sees %s", test.name, all)
		}
	}
	c.keys["unknown"] = "wrong"
	c.call(t, "unknown", "GET", "/models", "", 401)
	c.call(t, "acme", "POST", "/models", "{", 400)

	// The background job deletes what is old, in the tenants that it names. That of the
	// program names both.
	c.stop()
	must(owner.ExecContext(t.Context(), "ALTER TABLE conversations NO FORCE ROW LEVEL SECURITY; UPDATE conversations SET begun = now() - interval '31 days'"))
	db, _, err := open("env:APP_DSN")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := (&store{db}).expire(t.Context(), []string{"acme"}, keep); err != nil {
		t.Fatal(err)
	}
	var left string
	if err := owner.QueryRowContext(t.Context(), "SELECT string_agg(DISTINCT tenant, ' ') FROM conversations").Scan(&left); err != nil || left != "globex" {
		t.Errorf("after the job for acme: conversations of %q, %v, want globex", left, err)
	}
	if err := (&store{db}).expire(t.Context(), []string{""}, keep); err == nil {
		t.Error("a job without a tenant: no error")
	}
}

// A table that is not protected, or a role that sees all, stops the program.
func TestRefusesToStartUnprotected(t *testing.T) {
	owner := databases(t)
	if err := migrate(t.Context(), owner, "app"); err != nil {
		t.Fatal(err)
	}
	for _, hole := range []struct{ plant, remove, want string }{
		{"CREATE TABLE forgotten (tenant text)", "DROP TABLE forgotten", "public.forgotten: has no row-level security"},
		{"ALTER ROLE app BYPASSRLS", "ALTER ROLE app NOBYPASSRLS", "role app: has BYPASSRLS"},
	} {
		must(owner.ExecContext(t.Context(), hole.plant))
		if err := run(t.Context(), nil, io.Discard); err == nil || !strings.Contains(err.Error(), hole.want) {
			t.Errorf("run after %s: error = %v, want %q", hole.plant, err, hole.want)
		}
		must(owner.ExecContext(t.Context(), hole.remove))
	}
	// Each table of the schema is protected.
	for _, match := range regexp.MustCompile(`CREATE TABLE (\w+)`).FindAllStringSubmatch(schema, -1) {
		var forced bool
		if err := owner.QueryRowContext(t.Context(), fmt.Sprintf("SELECT relforcerowsecurity FROM pg_class WHERE oid = '%s'::regclass", match[1])).Scan(&forced); err != nil || !forced {
			t.Errorf("table %s: forced = %v, %v", match[1], forced, err)
		}
	}
	if _, err := tenant.Job(t.Context(), ""); err == nil {
		t.Error("a job without a tenant: no error")
	}
	for _, args := range [][]string{{"-owner", "literal"}, {"-dsn", "env:ABSENT_DSN"}, {"-unknown"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("run(%q): no error", args)
		}
	}
}
