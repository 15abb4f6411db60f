// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatehouse-go/gatehouse/dpop"
)

// Replays is a [dpop.ReplayStore]. Insert is one command, and the clock is that of the
// server, which removes expired keys. The keys are spread over all slots of a cluster.
// If a replica becomes the primary, it may not have the last keys yet: a proof that
// was just used can be used once more.
type Replays struct {
	store *Store
	base  string
}

var _ dpop.ReplayStore = (*Replays)(nil)

// Replays returns the store of used proofs.
func (s *Store) Replays() *Replays {
	// The number is the version of the format.
	return &Replays{store: s, base: s.prefix + ":replays:1:"}
}

// Insert implements [dpop.ReplayStore].
func (r *Replays) Insert(ctx context.Context, key [32]byte, lifetime time.Duration) (bool, error) {
	if lifetime > maxLifetime {
		return false, errors.New("redisstore: insert replay: lifetime: at most 200 years")
	}
	ctx, cancel := context.WithTimeout(ctx, r.store.timeout)
	defer cancel()
	// Redis ends keys by the millisecond: one more, so that none ends before its time.
	milliseconds := lifetime.Milliseconds() + 1
	cmd := redis.NewCmd(ctx, "set", r.base+base64.RawURLEncoding.EncodeToString(key[:]), "", "nx", "px", milliseconds)
	// A retry would find the key of the first attempt.
	switch err := r.store.client.Process(ctx, once{cmd}); {
	case errors.Is(err, redis.Nil):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("redisstore: insert replay: %w", err)
	}
	return true, nil
}
