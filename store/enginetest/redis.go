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

// Redis is a Redis server of one test. Its methods are not safe for concurrent
// use.
type Redis struct {
	process
	port     string
	password string
}

// StartRedis starts a server that writes every command to its append-only file
// before it answers. Settings are lines of redis.conf, such as "appendonly no",
// and override the defaults. The server ends with the test.
func StartRedis(tb testing.TB, settings ...string) *Redis {
	tb.Helper()
	server, ok := find("redis-server", "/usr/local/bin", "/opt/homebrew/bin")
	if !ok || !supported {
		Missing(tb, "Redis", "install Redis 7 or newer (Debian: apt-get install redis-server)")
	}
	user, err := unprivileged("redis")
	if err != nil {
		Missing(tb, "an account to run Redis", err.Error())
	}
	r := &Redis{password: newPassword()}
	r.path, r.args, r.user, r.ready = server, []string{"-"}, user, "eady to accept connections"
	if r.dir, err = dataDir(user); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.remove(); err != nil {
			tb.Error(err)
		}
	})
	config := strings.Join(append([]string{
		"bind 127.0.0.1", "dir " + r.dir, "requirepass " + r.password, "daemonize no",
		"appendonly yes", "appendfsync always", "auto-aof-rewrite-percentage 0", "maxmemory-policy noeviction", `save ""`,
	}, settings...), "\n")
	// A free port may be taken before the server binds it.
	for range 5 {
		if r.port, err = freePort(); err != nil {
			tb.Fatal(err)
		}
		r.stdin = config + "\nport " + r.port + "\n"
		if started, err := r.start(); err != nil {
			tb.Fatal(err)
		} else if started {
			return r
		}
	}
	tb.Fatalf("Redis does not start:\n%s", r.Log())
	return nil
}

// URL is that of the server's first database. A test that needs an empty one
// starts a server or uses a random prefix: Redis cannot create databases.
func (r *Redis) URL() string {
	u := url.URL{Scheme: "redis", User: url.UserPassword("", r.password), Host: r.Addr(), Path: "/0"}
	return u.String()
}

// Addr is the host and port on which the server listens.
func (r *Redis) Addr() string { return "127.0.0.1:" + r.port }

// Kill sends SIGKILL to the server and waits until it has ended. It does nothing
// if the server is down.
func (r *Redis) Kill(tb testing.TB) {
	tb.Helper()
	if err := r.kill(); err != nil {
		tb.Error(err)
	}
}

// Start starts a killed server on the same data and the same port.
func (r *Redis) Start(tb testing.TB) {
	tb.Helper()
	r.restart(tb)
}

// Log is the text that the server has logged so far.
func (r *Redis) Log() string { return r.log.String() }

// Dump returns every key with its value as text, followed by the append-only
// file, which has every command as it was sent.
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
