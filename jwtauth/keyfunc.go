// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
)

// Keyfunc takes the keys of a keyfunc.Keyfunc that the program has already. It
// fetches and parses; which of its keys verifies which token is decided here,
// by the same checks as for the other sources. Its sets must all be of this
// one issuer.
//
// Its storage is read at most once a second, so a key that it drops stops
// verifying within a second.
func Keyfunc(k keyfunc.Keyfunc) Keys { return keyfuncKeys{k} }

type keyfuncKeys struct{ keyfunc keyfunc.Keyfunc }

func (k keyfuncKeys) open(i Issuer, c Config) (keySource, error) {
	if k.keyfunc == nil {
		return nil, errors.New("Keys: the keyfunc is nil")
	}
	if err := asymmetricOnly(i); err != nil {
		return nil, err
	}
	pause := c.KeySets.MinInterval
	c.KeySets.MinInterval, c.KeySets.Refresh = 0, time.Second // to read memory costs little
	var asked time.Time
	return newRemote(i, c, func(ctx context.Context, kid string) ([]*key, []error, error) {
		if now := time.Now(); kid != "" && now.Sub(asked) >= pause {
			// Asking for a kid is what makes the storage look for new keys.
			// What it finds is read below, with everything else.
			asked = now
			_, _ = k.keyfunc.Storage().KeyRead(ctx, kid)
		}
		stored, err := k.keyfunc.Storage().KeyReadAll(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("read the keyfunc's storage: %w", err)
		}
		var keys []*key
		var dropped []error
		for n, jwk := range stored {
			checked, err := fromStored(jwk, i.Algorithms)
			if err != nil {
				dropped = append(dropped, fmt.Errorf("key %d %w", n, err))
				continue
			}
			keys = append(keys, checked)
		}
		if len(keys) == 0 {
			return nil, dropped, errors.New("the keyfunc has no key that may verify")
		}
		return keys, dropped, nil
	}), nil
}

func fromStored(jwk jwkset.JWK, configured []Algorithm) (*key, error) {
	m := jwk.Marshal()
	if m.USE != "" && m.USE != jwkset.UseSig || len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return nil, errors.New("is not for verifying signatures")
	}
	return newKey(m.KID, jwk.Key(), Algorithm(m.ALG), configured)
}
