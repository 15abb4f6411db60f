// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// ringSource is a source of the keys that a ring has at the moment.
type ringSource struct {
	ring       *KeyRing
	algorithms []Algorithm

	mu   sync.Mutex
	seen []byte // the published set that made set
	set  *keySet
}

func (s *ringSource) current(time.Time) (*keySet, error) {
	s.ring.mu.RLock()
	published, keys := s.ring.set, s.ring.keys
	s.ring.mu.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	// The published set is made anew with each change, and never changed.
	if s.set == nil || &s.seen[0] != &published[0] {
		var usable []*key
		for _, k := range keys {
			if slices.Contains(s.algorithms, k.Algorithm) {
				usable = append(usable, k.checked)
			}
		}
		s.set, s.seen = s.set.succeed(usable), published
	}
	if len(s.set.keys) == 0 {
		return nil, errors.New("jwtauth: the ring has no key for the configured algorithms")
	}
	return s.set, nil
}

func (s *ringSource) renewed(context.Context, string) (*keySet, error) { return s.current(time.Time{}) }
func (s *ringSource) retryAfter() time.Duration                        { return time.Minute }
func (s *ringSource) close()                                           {}
