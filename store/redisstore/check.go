// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

const minVersion = 7

// Check says what stands in the way of using the server: an old version, a
// replica, and settings under which it would lose changes that it has
// acknowledged. A revoked key that comes back after a power cut is such a loss.
// It changes nothing. Call it at the start, or where readiness is asked for.
//
// It needs the commands INFO and CONFIG GET. Where a service forbids the latter
// the error says so, and what the service does is to be found out from whoever
// runs it.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	node, err := s.node(ctx)
	if err != nil {
		return fmt.Errorf("redisstore: check: %w", err)
	}
	text, err := node.Info(ctx).Result()
	if err != nil {
		return fmt.Errorf("redisstore: check: %w", err)
	}
	errs := checkInfo(text)
	values, err := node.ConfigGet(ctx, "appendfsync").Result()
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("appendfsync cannot be read: %w", err))
	case values["appendfsync"] != "always":
		errs = append(errs, fmt.Errorf("appendfsync is %s, which must be always: the last second before a crash is lost otherwise", values["appendfsync"]))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("redisstore: check: %w", err)
	}
	return nil
}

// node returns a client of the server that has our keys.
func (s *Store) node(ctx context.Context) (*redis.Client, error) {
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, "{"+s.prefix+"}")
	}
	return s.client.(*redis.Client), nil // New takes no other
}

// checkInfo looks for trouble in what INFO says.
func checkInfo(text string) []error {
	info := make(map[string]string)
	for line := range strings.SplitSeq(text, "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			info[name] = value
		}
	}
	var errs []error
	major, _, _ := strings.Cut(info["redis_version"], ".")
	if n, err := strconv.Atoi(major); err != nil || n < minVersion {
		errs = append(errs, fmt.Errorf("redis_version is %q, which must be %d or newer", info["redis_version"], minVersion))
	}
	for _, setting := range []struct{ name, good, why string }{
		{"role", "master", "a replica lags behind and refuses changes"},
		{"aof_enabled", "1", "without an append-only file what was changed since the last snapshot is lost in a crash"},
		{"maxmemory_policy", "noeviction", "keys would vanish when memory runs short"},
	} {
		if info[setting.name] != setting.good {
			errs = append(errs, fmt.Errorf("%s is %q, which must be %s: %s", setting.name, info[setting.name], setting.good, setting.why))
		}
	}
	return errs
}
