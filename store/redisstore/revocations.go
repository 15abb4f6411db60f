// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	_ "embed" // for the script
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gatehouse-go/gatehouse/revocation"
)

//go:embed lua/revocations_revoke.lua
var revocationsRevoke string

var revokeTokensScript = newRevocation(revocationsRevoke)

// Revocations is a [revocation.Store]. Revoke is one atomic script, Find is one
// command, and the clock is that of the server, which removes expired
// revocations.
type Revocations struct {
	store *Store
	base  string
}

var _ revocation.Store = (*Revocations)(nil)

// Revocations returns the store of revoked access tokens. They are in one slot of a
// cluster.
func (s *Store) Revocations() *Revocations {
	// The number is the version of the format.
	return &Revocations{store: s, base: "{" + s.prefix + "}:revocations:1"}
}

// name returns the key of a target. The length of the issuer makes it unique.
func (r *Revocations) name(target revocation.Target) string {
	return r.base + ":" + string(target.Kind) + ":" + strconv.Itoa(len(target.Issuer)) + ":" + target.Issuer + target.Value
}

// Revoke implements [revocation.Store].
func (r *Revocations) Revoke(ctx context.Context, target revocation.Target, lifetime time.Duration) error {
	if lifetime > maxLifetime {
		return errors.New("redisstore: revoke: lifetime: at most 200 years")
	}
	if _, err := r.store.run(ctx, revokeTokensScript, r.name(target), lifetime.Microseconds()); err != nil {
		return fmt.Errorf("redisstore: revoke: %w", err)
	}
	return nil
}

// Find implements [revocation.Store].
func (r *Revocations) Find(ctx context.Context, targets []revocation.Target) ([]time.Time, error) {
	times := make([]time.Time, len(targets))
	if len(targets) == 0 {
		return times, ctx.Err()
	}
	names := make([]string, len(targets))
	for n, target := range targets {
		names[n] = r.name(target)
	}
	ctx, cancel := context.WithTimeout(ctx, r.store.timeout)
	defer cancel()
	values, err := r.store.client.MGet(ctx, names...).Result()
	if err == nil && len(values) != len(names) {
		err = errReply
	}
	if err != nil {
		return nil, fmt.Errorf("redisstore: find revocations: %w", err)
	}
	for n, value := range values {
		if value == nil {
			continue
		}
		text, _ := value.(string)
		if times[n], err = parseTime(text); err != nil || times[n].IsZero() {
			return nil, errors.New("redisstore: find revocations: malformed time")
		}
	}
	return times, nil
}
