// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	_ "embed" // for the script
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gatehouse-go/gatehouse/jwtauth"
)

//go:embed lua/revocations_revoke.lua
var revocationsRevoke string

var revokeTokensScript = newScript(true, revocationsRevoke)

// Revocations is a [jwtauth.RevocationStore]. To revoke is one script and to
// look one command, and its clock is that of the server, which removes each
// revocation when its time is over.
type Revocations struct {
	store *Store
	base  string
}

var _ jwtauth.RevocationStore = (*Revocations)(nil)

// Revocations returns the store of revoked access tokens. All of them are in one
// slot of a cluster.
func (s *Store) Revocations() *Revocations {
	// The number is that of the format, so that a later one can stand beside it.
	return &Revocations{store: s, base: "{" + s.prefix + "}:revocations:1"}
}

// name is the key of a revocation. The length stands before an issuer, so that
// no two have one name.
func (r *Revocations) name(what jwtauth.Revocation) string {
	return r.base + ":" + string(what.Kind) + ":" + strconv.Itoa(len(what.Issuer)) + ":" + what.Issuer + what.Value
}

// Revoke implements [jwtauth.RevocationStore].
func (r *Revocations) Revoke(ctx context.Context, what jwtauth.Revocation, lifetime time.Duration) error {
	if lifetime > maxLifetime {
		return errors.New("redisstore: revoke: a lifetime of more than 200 years")
	}
	if _, err := r.store.run(ctx, revokeTokensScript, r.name(what), lifetime.Microseconds()); err != nil {
		return fmt.Errorf("redisstore: revoke: %w", err)
	}
	return nil
}

// Find implements [jwtauth.RevocationStore].
func (r *Revocations) Find(ctx context.Context, asked []jwtauth.Revocation) ([]time.Time, error) {
	times := make([]time.Time, len(asked))
	if len(asked) == 0 {
		return times, ctx.Err()
	}
	names := make([]string, len(asked))
	for n, what := range asked {
		names[n] = r.name(what)
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
			return nil, errors.New("redisstore: find revocations: a time is damaged")
		}
	}
	return times, nil
}
