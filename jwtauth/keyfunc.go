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

// Keyfunc uses the keys of an existing keyfunc.Keyfunc, which fetches and
// parses them. This package selects the key of each token, with the same checks
// as for the other sources. All its key sets must belong to this issuer.
//
// Its storage is read at most once a second, so a removed key is used for at
// most a second.
func Keyfunc(k keyfunc.Keyfunc) Keys { return keyfuncKeys{k} }

type keyfuncKeys struct{ keyfunc keyfunc.Keyfunc }

func (k keyfuncKeys) open(i Issuer, c Config) (keySource, error) {
	if k.keyfunc == nil {
		return nil, errors.New("Keys: keyfunc: required")
	}
	if err := asymmetricOnly(i); err != nil {
		return nil, err
	}
	pause := c.KeySets.MinInterval
	c.KeySets.MinInterval, c.KeySets.Refresh = 0, time.Second // reading memory costs little
	var asked time.Time
	return newRemote(i, c, func(ctx context.Context, kid string) ([]*key, []error, error) {
		if now := time.Now(); kid != "" && now.Sub(asked) >= pause {
			// KeyRead makes the storage fetch new keys. KeyReadAll below reads
			// them.
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
			return nil, dropped, errors.New("the keyfunc has no verification key")
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
