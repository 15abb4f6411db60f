// SPDX-License-Identifier: Apache-2.0

package enginetest_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

func TestPostgresSurvivesKill(t *testing.T) {
	enginetest.Slow(t)
	p := enginetest.StartPostgres(t)
	url := p.Database(t)
	if other := p.Database(t); other == url {
		t.Fatalf("Database() twice = %q, want two databases", url)
	}
	exec := func(ctx context.Context, sql string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		_, err = conn.Exec(ctx, sql)
		return err
	}
	if err := exec(t.Context(), "CREATE TABLE notes (note text); INSERT INTO notes VALUES ('acknowledged')"); err != nil {
		t.Fatal(err)
	}
	p.Kill(t)
	if err := exec(t.Context(), "SELECT 1"); err == nil {
		t.Fatal("after Kill the server answers")
	}
	p.Start(t)
	if dump := p.Dump(t, url); !strings.Contains(dump, "'acknowledged'") {
		t.Errorf("after Kill and Start the row is missing in:\n%s", dump)
	}
	if !strings.Contains(p.Log(), "database system was not properly shut down") {
		t.Errorf("the log has no recovery after a crash:\n%s", p.Log())
	}
}

func TestRedisSurvivesKill(t *testing.T) {
	enginetest.Slow(t)
	r := enginetest.StartRedis(t)
	options, err := redis.ParseURL(r.URL())
	if err != nil {
		t.Fatal(err)
	}
	options.MaxRetries = -1
	client := redis.NewClient(options)
	defer client.Close()
	if err := client.HSet(t.Context(), "note", "word", "acknowledged").Err(); err != nil {
		t.Fatal(err)
	}
	r.Kill(t)
	if err := client.Ping(t.Context()).Err(); err == nil {
		t.Fatal("after Kill the server answers")
	}
	r.Start(t)
	if dump := r.Dump(t); !strings.Contains(dump, "note = map[word:acknowledged]") {
		t.Errorf("after Kill and Start the key is missing in:\n%s", dump)
	}
}

func TestProxy(t *testing.T) {
	r := enginetest.StartRedis(t, "appendonly no")
	proxy := enginetest.StartProxy(t, r.Addr())
	options, err := redis.ParseURL(enginetest.Via(t, r.URL(), proxy))
	if err != nil {
		t.Fatal(err)
	}
	options.MaxRetries = -1
	options.ReadTimeout = 200 * time.Millisecond
	client := redis.NewClient(options)
	defer client.Close()
	ping := func() error { return client.Ping(t.Context()).Err() }
	if err := ping(); err != nil {
		t.Fatal(err)
	}
	if proxy.Conns() == 0 {
		t.Error("Conns() = 0 with a connected client")
	}
	relays := func() bool { return ping() == nil }
	proxy.Cut()
	if relays() {
		t.Error("the proxy relays after Cut")
	}
	proxy.Restore()
	enginetest.Eventually(t, time.Minute, "the proxy relays after Restore", relays)
	proxy.Freeze()
	if relays() {
		t.Error("the proxy relays after Freeze")
	}
	proxy.Thaw()
	enginetest.Eventually(t, time.Minute, "the proxy relays after Thaw", relays)
	proxy.DropResponses()
	if relays() {
		t.Error("a response arrives after DropResponses")
	}
	proxy.Restore()
	enginetest.Eventually(t, time.Minute, "responses arrive after Restore", relays)
}

// recorder records how a test ended.
type recorder struct {
	testing.TB
	result, text string
}

func (r *recorder) Helper() {}

func (r *recorder) end(result, text string) {
	r.result, r.text = result, text
	runtime.Goexit()
}

func (r *recorder) Skip(args ...any)                 { r.end("skipped", fmt.Sprint(args...)) }
func (r *recorder) Skipf(format string, args ...any) { r.end("skipped", fmt.Sprintf(format, args...)) }

func (r *recorder) Fatalf(format string, args ...any) { r.end("failed", fmt.Sprintf(format, args...)) }

func TestMissingAndSlow(t *testing.T) {
	missing := func(tb testing.TB) { enginetest.Missing(tb, "Oracle", "buy it") }
	for _, test := range []struct {
		name, variable, value string
		call                  func(testing.TB)
		result, text          string
	}{
		{"missing engine", "GATEHOUSE_REQUIRE_ENGINES", "", missing, "skipped", "Oracle is missing: buy it"},
		{"missing required engine", "GATEHOUSE_REQUIRE_ENGINES", "1", missing, "failed", "Oracle is missing: buy it"},
		{"slow test", "GATEHOUSE_SLOW", "", enginetest.Slow, "skipped", "set GATEHOUSE_SLOW=1"},
		{"slow test wanted", "GATEHOUSE_SLOW", "1", enginetest.Slow, "passed", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(test.variable, test.value)
			r := &recorder{result: "passed"}
			done := make(chan struct{})
			go func() {
				defer close(done)
				test.call(r)
			}()
			<-done
			if r.result != test.result || !strings.Contains(r.text, test.text) || strings.Contains(r.text, "\n") {
				t.Errorf("the test %s with %q, want %s with %q in one line", r.result, r.text, test.result, test.text)
			}
		})
	}
}
