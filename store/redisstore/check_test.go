// SPDX-License-Identifier: Apache-2.0

package redisstore_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/enginetest"
	"github.com/gatehouse-go/gatehouse/store/redisstore"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	server := enginetest.StartRedis(t)
	client := connect(t, server.URL())
	check := func() error { return newStore(t, client).Check(t.Context()) }
	if err := check(); err != nil {
		t.Fatalf("Check() of a durable server: error = %v", err)
	}
	if n, err := client.DBSize(t.Context()).Result(); err != nil || n != 0 {
		t.Errorf("keys after Check() = %d, %v, want none", n, err)
	}
	for _, test := range []struct{ name, bad, good, want string }{
		{"appendfsync", "everysec", "always", "appendfsync is everysec, which must be always"},
		{"no-appendfsync-on-rewrite", "yes", "no", "no-appendfsync-on-rewrite is yes, which must be no"},
		{"maxmemory-policy", "allkeys-lru", "noeviction", `maxmemory_policy is "allkeys-lru"`},
		{"appendonly", "no", "yes", `aof_enabled is "0"`},
	} {
		must(client.ConfigSet(t.Context(), test.name, test.bad).Result())(t)
		wantUnsuitable(t, test.name+" "+test.bad, check(), test.want)
		must(client.ConfigSet(t.Context(), test.name, test.good).Result())(t)
	}

	replica := enginetest.StartRedis(t)
	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	follower := connect(t, replica.URL())
	if err := follower.ReplicaOf(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	wantUnsuitable(t, "a replica", newStore(t, follower).Check(t.Context()), `role is "slave"`)

	server.Kill(t)
	if err := check(); err == nil || errors.Is(err, redisstore.ErrUnsuitable) {
		t.Errorf("Check() of a server that is down: error = %v, want another one than %v", err, redisstore.ErrUnsuitable)
	}
}

func wantUnsuitable(t *testing.T, of string, err error, want string) {
	t.Helper()
	if !errors.Is(err, redisstore.ErrUnsuitable) || !strings.Contains(err.Error(), want) {
		t.Errorf("Check() with %s: error = %v, want %v with %q", of, err, redisstore.ErrUnsuitable, want)
	}
}

// Check names the right that the user of the client does not have.
func TestCheckRights(t *testing.T) {
	t.Parallel()
	client := startServer(t)
	must(client.ConfigSet(t.Context(), "appendonly", "yes").Result())(t)
	for name, test := range map[string]struct {
		rules []string
		want  string // "" for none
	}{
		"everything":      {[]string{"~*", "&*", "+@all"}, ""},
		"the store":       {[]string{"~{gatehouse*", "~gatehouse:*", "&{gatehouse}:*", "+@all"}, ""},
		"no channel":      {[]string{"~*", "resetchannels", "+@all"}, "no right to PUBLISH on the channel {gatehouse}:apikeys:1:changed"},
		"another channel": {[]string{"~*", "resetchannels", "&news:*", "+@all"}, "no right to PUBLISH on the channel {gatehouse}:apikeys:1:changed"},
		"no PUBLISH":      {[]string{"~*", "&*", "+@all", "-publish"}, "no right to PUBLISH"},
		"no ZADD":         {[]string{"~*", "&*", "+@all", "-zadd"}, "no right to ZADD on the key {gatehouse}:check"},
		"no budgets":      {[]string{"~{gatehouse}*", "~gatehouse:*", "&*", "+@all"}, "the key {gatehouse:0}:budgets:2:check"},
		"no replays":      {[]string{"~{gatehouse*", "&*", "+@all"}, "the key gatehouse:replays:1:check"},
		"no scripts":      {[]string{"~*", "&*", "+@all", "-evalsha"}, "evalsha"},
		"no INFO":         {[]string{"~*", "&*", "+@all", "-info"}, "info"},
		"no CONFIG":       {[]string{"~*", "&*", "+@all", "-config"}, "no-appendfsync-on-rewrite cannot be read"},
	} {
		user := strings.ReplaceAll(name, " ", "-")
		must(client.ACLSetUser(t.Context(), user, append([]string{"reset", "on", ">secret"}, test.rules...)...).Result())(t)
		err := newStoreAt(t, as(t, client, user), "gatehouse").Check(t.Context())
		if test.want == "" {
			if err != nil {
				t.Errorf("Check() with %s: error = %v", name, err)
			}
			continue
		}
		wantUnsuitable(t, name, err, test.want)
	}

	for user, want := range map[string]string{"no-CONFIG": "", "no-INFO": "info", "no-ZADD": "no right to ZADD"} {
		s := must(redisstore.New(redisstore.Config{Client: as(t, client, user), AllowUnreadableSettings: true}))(t)
		if err := s.Check(t.Context()); err != nil && want == "" {
			t.Errorf("Check() with %s and AllowUnreadableSettings: error = %v, want nil", user, err)
		} else if want != "" {
			wantUnsuitable(t, user, err, want)
		}
	}
}

// as returns a client of another user, whose password is secret.
func as(t *testing.T, client *redis.Client, user string) *redis.Client {
	t.Helper()
	options := *client.Options()
	options.Username, options.Password = user, "secret"
	other := redis.NewClient(&options)
	t.Cleanup(func() { _ = other.Close() })
	return other
}

// Check tries every command that a script calls.
func TestCheckTriesEveryCommand(t *testing.T) {
	t.Parallel()
	files := must(filepath.Glob("lua/*.lua"))(t)
	commands := func(text, call string) (names []string) {
		for _, match := range regexp.MustCompile(call+`\('([A-Z]+)'`).FindAllStringSubmatch(text, -1) {
			names = append(names, match[1])
		}
		return names
	}
	var used, tried []string
	for _, file := range files {
		text := must(os.ReadFile(file))(t)
		used = append(used, commands(string(text), `\bp?call`)...)
		tried = append(tried, commands(string(text), `\btry`)...)
	}
	if len(used) == 0 {
		t.Fatal("no command found in lua/*.lua")
	}
	for _, name := range used {
		if !slices.Contains(tried, name) {
			t.Errorf("lua/check.lua does not try %s", name)
		}
	}
}

// Check checks each primary server of a cluster, and rejects a client of one of them.
func TestCheckCluster(t *testing.T) {
	t.Parallel()
	cluster := startCluster(t)
	err := newStore(t, cluster).Check(t.Context())
	wantUnsuitable(t, "a cluster without an append-only file", err, `aof_enabled is "0"`)
	var node *redis.Client
	err = cluster.ForEachMaster(t.Context(), func(ctx context.Context, master *redis.Client) error {
		node = master
		return master.ConfigSet(ctx, "appendonly", "yes").Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := newStore(t, cluster).Check(t.Context()); err != nil {
		t.Errorf("Check() of a durable cluster: error = %v", err)
	}
	wantUnsuitable(t, "a client of one server", newStore(t, node).Check(t.Context()), "cluster-enabled is yes and Config.Client is a *redis.Client")
}

// A user without the right to the channel makes changes, of which no other process is
// notified: each succeeds and is an event.
func TestChangesWithoutChannel(t *testing.T) {
	t.Parallel()
	admin := startServer(t)
	if err := admin.ACLSetUser(t.Context(), "app", "on", ">secret", "~*", "resetchannels", "+@all").Err(); err != nil {
		t.Fatal(err)
	}
	var events []gatehouse.Event
	s, err := redisstore.New(redisstore.Config{Client: as(t, admin, "app"), Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
		events = append(events, e)
		return errors.New("the observer fails")
	})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, keys := t.Context(), s.APIKeys()
	created := must(keys.Create(ctx, apikey.Record{Key: apikey.Key{ID: "a", Owner: "o", Lifetime: time.Hour}}))(t)
	created.Revoked = created.Created
	for _, change := range []struct {
		name string
		call func() error
	}{
		{"Rotate", func() error {
			r, err := keys.Rotate(ctx, "a", apikey.Rotation{MaxLifetime: time.Hour})
			if err == nil && r.Generation != 2 {
				t.Errorf("Rotate(): generation %d, want 2", r.Generation)
			}
			return err
		}},
		{"Suspend", func() error { return second(keys.Suspend(ctx, "a", true)) }},
		{"RevokeAll", func() error {
			all, err := keys.RevokeAll(ctx, apikey.Filter{Owner: "o"}, 10)
			if err == nil && len(all) != 1 {
				t.Errorf("RevokeAll() = %d keys, want 1", len(all))
			}
			return err
		}},
		{"Revoke", func() error { return second(keys.Revoke(ctx, "a")) }},
		{"Import", func() error { return second(keys.Import(ctx, created)) }},
	} {
		events = nil
		if err := change.call(); err != nil {
			t.Errorf("%s without the channel: error = %v", change.name, err)
		}
		if len(events) != 1 || events[0].Type != redisstore.EventUnpublished || events[0].Credential != "a" || events[0].Level != slog.LevelWarn {
			t.Errorf("%s without the channel: events = %v, want %s", change.name, events, redisstore.EventUnpublished)
		}
	}
}
