// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	_ "embed" // for the script
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
)

const minVersion = 7

//go:embed lua/check.lua
var checkRights string

var checkScript = newRevocation(checkRights) // works when the memory is full

// ErrUnsuitable is wrapped by the error of [Store.Check] if the server responds but must
// not be used in its current state, such as with unsafe settings. Any other error means
// that the server is unavailable: try again later.
var ErrUnsuitable = errors.New("the server must not be used as it is")

// Check returns an error that wraps [ErrUnsuitable] if a server must not be used, and
// names each setting or right: an old version, a replica, settings that lose acknowledged
// changes, a client for a single server at a cluster, or a user without the right to a
// command, to the keys or to the channel of the store. After a lost change a revoked key
// could be valid again. Check changes no data; it publishes one message, without an API
// key, on the channel. Call it at start and in a readiness probe. In a cluster it checks
// every primary server.
//
// It needs the commands INFO and CONFIG GET. If the server forbids CONFIG GET, ask its
// provider for the values of appendfsync and no-appendfsync-on-rewrite, and set
// [Config.AllowUnreadableSettings].
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var errs []error
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		var mu sync.Mutex
		err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			err := s.checkNode(ctx, node, true)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", node.Options().Addr, err))
			}
			return nil
		})
		if err != nil {
			errs = append(errs, err)
		}
	} else if err := s.checkNode(ctx, s.client.(*redis.Client), false); err != nil { // New accepts no other type
		errs = append(errs, err)
	}
	if len(errs) == 0 {
		errs = s.checkRights(ctx)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("redisstore: check: %w", err)
	}
	return nil
}

// checkNode checks the settings of one server.
func (s *Store) checkNode(ctx context.Context, node *redis.Client, cluster bool) error {
	text, err := node.Info(ctx).Result()
	if err != nil {
		return answered(err)
	}
	errs := checkInfo(text, cluster)
	for _, setting := range []struct{ name, good, why string }{
		{"appendfsync", "always", "otherwise a crash loses the last second"},
		{"no-appendfsync-on-rewrite", "no", "otherwise a crash during a rewrite of the append-only file loses the changes since its start"},
	} {
		switch values, err := node.ConfigGet(ctx, setting.name).Result(); {
		case err != nil && s.unread && errors.Is(answered(err), ErrUnsuitable):
		case err != nil:
			errs = append(errs, fmt.Errorf("%s cannot be read: %w", setting.name, answered(err)))
		case values[setting.name] != setting.good:
			errs = append(errs, unsuitable("%s is %s, which must be %s: %s", setting.name, values[setting.name], setting.good, setting.why))
		}
	}
	return errors.Join(errs...)
}

// checkRights calls the commands of the store with names of each kind of key.
func (s *Store) checkRights(ctx context.Context) (errs []error) {
	channel := s.APIKeys().channel()
	for _, name := range []string{"{" + s.prefix + "}:check", s.budgets.shard(0) + ":check", s.Replays().base + "check"} {
		reply, err := s.run(ctx, checkScript, name, channel)
		if err != nil {
			errs = append(errs, fmt.Errorf("a script on the key %s: %w", name, answered(err)))
		}
		for _, item := range reply {
			pair, _ := item.([]any)
			if len(pair) != 2 {
				return append(errs, answered(errReply))
			}
			object := "the key " + name
			if pair[0] == "PUBLISH" {
				object = "the channel " + channel
			}
			errs = append(errs, unsuitable("the user of Config.Client has no right to %v on %s: %v", pair[0], object, pair[1]))
		}
		channel = "" // one message is enough
	}
	return errs
}

// checkInfo checks the response to INFO.
func checkInfo(text string, cluster bool) []error {
	info := make(map[string]string)
	for line := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			info[name] = value
		}
	}
	var errs []error
	major, _, _ := strings.Cut(info["redis_version"], ".")
	if n, err := strconv.Atoi(major); err != nil || n < minVersion {
		errs = append(errs, unsuitable("redis_version is %q, which must be %d or newer", info["redis_version"], minVersion))
	}
	if info["cluster_enabled"] == "1" && !cluster {
		errs = append(errs, unsuitable("cluster-enabled is yes and Config.Client is a *redis.Client, which must be a *redis.ClusterClient: otherwise calls for keys of other servers fail"))
	}
	for _, setting := range []struct{ name, good, why string }{
		{"role", "master", "a replica lags behind and rejects changes"},
		{"aof_enabled", "1", "otherwise a crash loses all changes since the last snapshot"},
		{"maxmemory_policy", "noeviction", "otherwise the server evicts keys when memory is short"},
	} {
		if info[setting.name] != setting.good {
			errs = append(errs, unsuitable("%s is %q, which must be %s: %s", setting.name, info[setting.name], setting.good, setting.why))
		}
	}
	return errs
}

func unsuitable(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnsuitable, fmt.Errorf(format, args...))
}

// answered makes the response of a server an [ErrUnsuitable], and leaves the errors of
// a connection as they are.
func answered(err error) error {
	// The error codes of a server that may soon be able to respond.
	passing := []string{"LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MISCONF", "NOREPLICAS"}
	if _, ok := errors.AsType[redis.Error](err); !ok || slices.ContainsFunc(passing, func(code string) bool { return redis.HasErrorPrefix(err, code) }) {
		return err
	}
	return unsuitable("%w", err)
}
