// SPDX-License-Identifier: Apache-2.0

package enginetest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/store/enginetest"
)

func TestPostgresSurvivesKill(t *testing.T) {
	p := enginetest.StartPostgres(t)
	url := p.Database(t)
	if other := p.Database(t); other == url {
		t.Fatal("two databases have one URL")
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
		t.Fatal("a killed server answers")
	}
	p.Start(t)
	if dump := p.Dump(t, url); !strings.Contains(dump, "'acknowledged'") {
		t.Errorf("after the kill the row is gone:\n%s", dump)
	}
	if !strings.Contains(p.Log(), "database system was not properly shut down") {
		t.Errorf("the server did not crash:\n%s", p.Log())
	}
}

func TestRedisSurvivesKill(t *testing.T) {
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
		t.Fatal("a killed server answers")
	}
	r.Start(t)
	if dump := r.Dump(t); !strings.Contains(dump, "note = map[word:acknowledged]") {
		t.Errorf("after the kill the key is gone:\n%s", dump)
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
		t.Error("the client does not go through the proxy")
	}
	proxy.Cut()
	if ping() == nil {
		t.Error("a cut proxy relays")
	}
	proxy.Mend()
	enginetest.Eventually(t, 10*time.Second, "the proxy relays again", func() bool { return ping() == nil })
	proxy.Freeze()
	if ping() == nil {
		t.Error("a frozen proxy relays")
	}
	proxy.Thaw()
	enginetest.Eventually(t, 10*time.Second, "the proxy relays again", func() bool { return ping() == nil })
}
