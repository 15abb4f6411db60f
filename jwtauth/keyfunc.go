// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"

	"github.com/gatehouse-go/gatehouse/internal/flight"
)

// Keyfunc uses the keys of an existing keyfunc.Keyfunc, which fetches and parses them.
// This package selects the key of each token, with the same checks as for the other
// sources. All key sets of k must belong to this issuer.
//
// The storage of k is read again after 1 s, and requests wait for it: a key that is
// removed from the storage verifies for at most 1 s. k decides how long its storage keeps
// a key that the issuer removed: that of keyfunc.NewDefault fetches once an hour, and
// keeps the old keys without limit while the issuer is unavailable. KeySets.Refresh does
// not apply.
//
// For an unknown kid, the storage is asked for the key and fetches it, at most once in
// each KeySets.MinInterval.
func Keyfunc(k keyfunc.Keyfunc) Keys { return keyfuncKeys{k} }

type keyfuncKeys struct{ keyfunc keyfunc.Keyfunc }

func (k keyfuncKeys) open(i Issuer, c Config) (keySource, error) {
	if k.keyfunc == nil {
		return nil, errors.New("Keys: keyfunc: required")
	}
	if err := asymmetricOnly(i); err != nil {
		return nil, err
	}
	s := &keyfuncSource{storage: k.keyfunc.Storage, pause: c.KeySets.MinInterval}
	s.lookups.Timeout, s.lookups.MaxWaiters = c.KeySets.FetchTimeout, maxWaiting
	c.KeySets.MinInterval, c.KeySets.Refresh = time.Second, time.Second // reading memory costs little
	s.remote = newRemote(i, c, func(ctx context.Context) ([]*key, []error, error) { return s.read(ctx, i.Algorithms) })
	s.slack = 0
	return s, nil
}

// keyfuncSource reads the keys of a storage.
type keyfuncSource struct {
	*remote
	storage func() jwkset.Storage
	pause   time.Duration // between the starts of two lookups

	// Lookups are separate from the fetch: a storage may take minutes to look up an
	// unknown kid, and other requests must not wait for it.
	lookups flight.Group[struct{}, struct{}]
	asking  sync.Mutex
	asked   time.Time // when the last lookup began
}

func (s *keyfuncSource) read(ctx context.Context, configured []Algorithm) (keys []*key, dropped []error, err error) {
	stored, err := s.storage().KeyReadAll(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("read the keyfunc's storage: %w", err)
	}
	for n, jwk := range stored {
		checked, err := fromStored(jwk, configured)
		if err != nil {
			dropped = append(dropped, fmt.Errorf("key %d %w", n, err))
			continue
		}
		keys = append(keys, checked)
	}
	return keys, dropped, nil
}

// newer looks up the kid in the storage and then reads all keys.
func (s *keyfuncSource) newer(ctx context.Context, _ time.Time, kid string) (*keySet, error) {
	call, err := s.lookup(kid)
	switch {
	case err != nil:
		return nil, err
	case call == nil:
		return nil, errPending
	}
	if _, err := call.Wait(ctx); err != nil {
		return nil, err
	}
	return s.since(ctx, time.Now(), true)
}

// lookup starts the lookup of a kid and returns it. It returns nil if the last one began
// less than pause ago.
func (s *keyfuncSource) lookup(kid string) (*flight.Call[struct{}], error) {
	s.asking.Lock()
	defer s.asking.Unlock()
	if time.Since(s.asked) < s.pause || s.lookups.Running(struct{}{}) != nil {
		return nil, nil
	}
	call, _, err := s.lookups.Start(struct{}{}, func(ctx context.Context) (struct{}, error) {
		_, _ = s.storage().KeyRead(ctx, kid) // read reports failures
		return struct{}{}, ctx.Err()
	})
	if err != nil {
		return nil, errClosed
	}
	s.asked = time.Now()
	return call, nil
}

func (s *keyfuncSource) retryAfter() time.Duration {
	s.asking.Lock()
	defer s.asking.Unlock()
	return max(s.remote.retryAfter(), s.pause-time.Since(s.asked))
}

func (s *keyfuncSource) close() {
	s.lookups.Close()
	s.remote.close()
}

func fromStored(jwk jwkset.JWK, configured []Algorithm) (*key, error) {
	m := jwk.Marshal()
	if m.USE != "" && m.USE != jwkset.UseSig || len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return nil, errors.New("is not for verifying signatures")
	}
	return newKey(m.KID, jwk.Key(), Algorithm(m.ALG), configured)
}
