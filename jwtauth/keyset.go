// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

// Keys is a source of the keys of one issuer: [StaticKeys], [KeyFile],
// [RemoteKeys], [Discover], [Keyfunc], [SharedSecret] or a [*KeyRing]. The keys
// of an issuer are never used for tokens of another issuer.
type Keys interface {
	// open checks the configuration and returns the source, without using the
	// network.
	open(i Issuer, c Config) (keySource, error)
}

// keySource holds the keys of one issuer.
type keySource interface {
	// current returns the current set without waiting. The set has a key. After an error
	// the caller must call awaited.
	current(now time.Time) (*keySet, error)
	// known is like current, but starts no fetch.
	known(now time.Time) (*keySet, error)
	// awaited returns the current set, after a fetch if one is due.
	awaited(ctx context.Context, now time.Time) (*keySet, error)
	// newer returns a set that was fetched at now or later, for a token whose key is not
	// in the current set. It returns errPending if it is too early for a fetch.
	newer(ctx context.Context, now time.Time, kid string) (*keySet, error)
	// retryAfter returns the time until awaited or newer may have another result.
	retryAfter() time.Duration
	close()
}

// keySet is an immutable set of the keys of one issuer.
type keySet struct {
	keys []*key
	// generation counts the sets from which a key was withdrawn. A token that an
	// earlier generation verified must be verified again.
	generation uint64
	fetched    time.Time // when its fetch began
}

// candidates are the keys that may have signed a token; unused elements are nil. The
// length bounds the signature checks for one token.
type candidates [4]*key

// candidates returns the keys with this kid for this algorithm, none if there are more
// than fit into candidates. For a token without a kid there must be exactly one key. Some
// issuers publish several keys with one kid, so a few are tried. missing is true if a
// newer set may have such a key: this set has none, and no key with this kid for other
// algorithms.
//
//	RFC 7517 §4.5: "different keys within the JWK Set SHOULD use distinct "kid"
//	values."
//
// Implements RFC 7515 §4.1.4; RFC 8725 §3.1 (one).
func (s *keySet) candidates(kid string, a Algorithm) (found candidates, missing bool) {
	n := 0
	missing = true
	for _, k := range s.keys {
		missing = missing && (kid == "" || k.id != kid)
		if (kid == "" || k.id == kid || k.anyKid) && slices.Contains(k.algorithms, a) {
			if n == len(found) || n == 1 && kid == "" {
				return candidates{}, false
			}
			found[n] = k
			n++
		}
	}
	return found, missing && n == 0
}

// verify reports whether the signature verifies with one of the candidates.
func (c *candidates) verify(a Algorithm, signingInput string, signature []byte) bool {
	for _, k := range c {
		if k != nil && k.verify(a, signingInput, signature) {
			return true
		}
	}
	return false
}

// succeed returns the set of keys that replaces s. s may be nil.
func (s *keySet) succeed(keys []*key, fetched time.Time) *keySet {
	next := &keySet{keys: keys, fetched: fetched}
	if s == nil {
		return next
	}
	next.generation = s.generation
	for _, old := range s.keys {
		if !slices.ContainsFunc(keys, old.equal) {
			next.generation++
			break
		}
	}
	return next
}

// candidates returns the keys that may have signed a token with header h: those of the
// current key set or, if it has none and fetch is true, those of a newer set. The set is
// nil if there is no current set and fetch is false.
//
// Implements RFC 8725 §3.8 (keys); RFC 9068 §4 (keys); ASVS 5.0 §6.8.1.
func (i *issuer) candidates(ctx context.Context, h *header, fetch bool, now time.Time) (*keySet, candidates, error) {
	var set *keySet
	var err error
	if fetch {
		set, err = i.keySet(ctx, now)
	} else if set, err = i.keys.known(now); err != nil {
		return nil, candidates{}, nil //nolint:nilerr // verify rejects the claims without a signature check
	}
	if err != nil {
		return nil, candidates{}, err
	}
	found, missing := set.candidates(h.kid, h.algorithm)
	if !missing || !fetch {
		return set, found, nil
	}
	if set, err = i.keys.newer(ctx, now, h.kid); err != nil {
		return nil, candidates{}, i.keysUnavailable(ctx, err)
	}
	found, _ = set.candidates(h.kid, h.algorithm)
	return set, found, nil
}

// keySet returns the current set, after a fetch if one is due.
func (i *issuer) keySet(ctx context.Context, now time.Time) (*keySet, error) {
	set, err := i.keys.current(now)
	if err == nil {
		return set, nil
	}
	if set, err = i.keys.awaited(ctx, now); err != nil {
		return nil, i.keysUnavailable(ctx, err)
	}
	return set, nil
}

// keysUnavailable returns the 503 for an error of a source. If the caller closed its
// request, the reason is ReasonCanceled: the key set may be available.
func (i *issuer) keysUnavailable(ctx context.Context, err error) *gatehouse.Error {
	e := unavailable(ReasonKeysUnavailable, i, i.keys.retryAfter(), err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		e.Reason = ReasonCanceled
	case errors.Is(err, errPending):
		e.Reason, e.Level = ReasonKeyPending, slog.LevelWarn // a client can cause it with a random kid
	}
	return e
}

// fixedKeys is a source that does not change.
type fixedKeys struct{ set *keySet }

func (f fixedKeys) current(time.Time) (*keySet, error) { return f.set, nil }
func (f fixedKeys) known(time.Time) (*keySet, error)   { return f.set, nil }

func (f fixedKeys) awaited(context.Context, time.Time) (*keySet, error)       { return f.set, nil }
func (f fixedKeys) newer(context.Context, time.Time, string) (*keySet, error) { return f.set, nil }
func (f fixedKeys) retryAfter() time.Duration                                 { return 0 }
func (f fixedKeys) close()                                                    {}

// asymmetricOnly rejects HS* algorithms for public keys, so that a public key is
// never used as a shared secret.
func asymmetricOnly(i Issuer) error {
	var errs []error
	for _, a := range i.Algorithms {
		if _, ok := hmacHashes[a]; ok {
			errs = append(errs, fmt.Errorf("Keys: %s requires a SharedSecret, not public keys", a))
		}
	}
	return errors.Join(errs...)
}
