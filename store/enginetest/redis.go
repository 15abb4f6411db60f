// SPDX-License-Identifier: Apache-2.0

package enginetest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Redis is a Redis server of the test's own. Its methods are for one goroutine
// at a time.
type Redis struct {
	process
	port     string
	password string
	config   string
}

// StartRedis starts a server that writes every command to its append-only file
// before it answers. Settings are lines of redis.conf, such as "appendonly no";
// the last one of a name counts. The server ends with the test.
func StartRedis(tb testing.TB, settings ...string) *Redis {
	tb.Helper()
	server, ok := find("redis-server", "/usr/local/bin", "/opt/homebrew/bin")
	if !ok || !supported {
		Missing(tb, "Redis", "install Redis 7 or newer (Debian: apt-get install redis-server)")
	}
	user, err := unprivileged("redis", "nobody")
	if err != nil {
		Missing(tb, "an account to run Redis", err.Error())
	}
	r := &Redis{password: newPassword()}
	r.path, r.args, r.user, r.dir = server, []string{"-"}, user, dataDir(tb, user)
	r.ready = "eady to accept connections"
	r.config = strings.Join(append([]string{
		"bind 127.0.0.1", "dir " + r.dir, "requirepass " + r.password, "daemonize no",
		"appendonly yes", "appendfsync always", "auto-aof-rewrite-percentage 0", "maxmemory-policy noeviction", `save ""`,
	}, settings...), "\n")
	for range 5 {
		r.port = freePort(tb)
		r.stdin = r.config + "\nport " + r.port + "\n"
		if r.process.start(tb) {
			tb.Cleanup(func() { r.Kill(tb) })
			return r
		}
	}
	tb.Fatalf("Redis does not start:\n%s", r.Log())
	return nil
}

// URL is that of the server's first database. Redis has no databases to make:
// a test that wants an empty one starts a server or uses a prefix of its own.
func (r *Redis) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", r.password), Host: r.Addr(), Path: "/0"}
	return u.String()
}

// Addr is where the server listens.
func (r *Redis) Addr() string { return "127.0.0.1:" + r.port }

// Kill ends the server with SIGKILL. It does nothing where the server is down.
func (r *Redis) Kill(tb testing.TB) {
	tb.Helper()
	r.process.kill(tb)
}

// Start starts a server that was killed, on the same data and the same port.
func (r *Redis) Start(tb testing.TB) {
	tb.Helper()
	if !r.process.start(tb) {
		tb.Fatalf("Redis does not start again:\n%s", r.Log())
	}
}

// Log is all that the server has written to its log.
func (r *Redis) Log() string { return r.log.String() }

// Dump returns every key with its value as text, and behind them the bytes of
// the append-only file, in which every command stands as it was sent.
func (r *Redis) Dump(tb testing.TB) string {
	tb.Helper()
	options, err := redis.ParseURL(r.URL())
	if err != nil {
		tb.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	var b strings.Builder
	keys := client.Scan(tb.Context(), 0, "*", 1000).Iterator()
	for keys.Next(tb.Context()) {
		value, err := dumpKey(tb.Context(), client, keys.Val())
		if err != nil {
			tb.Fatal(err)
		}
		fmt.Fprintf(&b, "%s = %v\n", keys.Val(), value)
	}
	if err := keys.Err(); err != nil {
		tb.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(r.dir, "appendonlydir", "*"))
	if err != nil {
		tb.Fatal(err)
	}
	old, err := filepath.Glob(filepath.Join(r.dir, "appendonly.aof"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, name := range slices.Concat(files, old) {
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		b.Write(data)
	}
	return b.String()
}

func dumpKey(ctx context.Context, client *redis.Client, key string) (any, error) {
	kind, err := client.Type(ctx, key).Result()
	if err != nil {
		return nil, err
	}
	switch kind {
	case "string":
		return client.Get(ctx, key).Result()
	case "hash":
		return client.HGetAll(ctx, key).Result()
	case "zset":
		return client.ZRangeWithScores(ctx, key, 0, -1).Result()
	case "set":
		return client.SMembers(ctx, key).Result()
	case "list":
		return client.LRange(ctx, key, 0, -1).Result()
	case "stream":
		return client.XRange(ctx, key, "-", "+").Result()
	}
	return nil, fmt.Errorf("key %s is a %s", key, kind)
}
