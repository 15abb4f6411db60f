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

// Check returns an error if the server is not suitable: an old version, a
// replica, and settings that lose acknowledged changes, such as a revoked key
// that is valid again after a power failure. It changes nothing. Call it at
// start or in a readiness probe.
//
// It needs the commands INFO and CONFIG GET. Managed services often forbid
// CONFIG GET; then Check returns an error that says so, and the operator has to
// ask the provider for the value of appendfsync.
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
		errs = append(errs, fmt.Errorf("appendfsync is %s, which must be always: otherwise a crash loses the last second", values["appendfsync"]))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("redisstore: check: %w", err)
	}
	return nil
}

// node returns a client of the server that has the keys of the store.
func (s *Store) node(ctx context.Context) (*redis.Client, error) {
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		return cluster.MasterForKey(ctx, "{"+s.prefix+"}")
	}
	return s.client.(*redis.Client), nil // New accepts no other type
}

// checkInfo checks the response to INFO.
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
		{"role", "master", "a replica lags behind and rejects changes"},
		{"aof_enabled", "1", "otherwise a crash loses all changes since the last snapshot"},
		{"maxmemory_policy", "noeviction", "otherwise the server evicts keys when memory is short"},
	} {
		if info[setting.name] != setting.good {
			errs = append(errs, fmt.Errorf("%s is %q, which must be %s: %s", setting.name, info[setting.name], setting.good, setting.why))
		}
	}
	return errs
}
