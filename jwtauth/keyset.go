// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
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
	// current returns the current set without waiting, and an error if there is
	// none or it is too old.
	current(now time.Time) (*keySet, error)
	// renewed tries to fetch a newer set and returns the set. An error means
	// that the newest set is unavailable. kid is the missing one, "" for none
	// in particular.
	renewed(ctx context.Context, kid string) (*keySet, error)
	// retryAfter returns the time until renewed may have another result.
	retryAfter() time.Duration
	close()
}

// keySet is an immutable set of the keys of one issuer.
type keySet struct {
	keys []*key
	// generation counts the sets from which a key was withdrawn. A token that an
	// earlier generation verified must be verified again.
	generation uint64
	fetched    time.Time
}

// candidates are the keys that may have signed a token; the rest is nil. The size
// bounds the signature checks for one token.
type candidates [4]*key

// candidates returns the keys with this kid for this algorithm, none if there are
// more than fit into candidates. For a token without a kid there must be exactly
// one key. Some issuers publish several keys with one kid, so a few are tried.
//
//	RFC 7517 §4.5: "different keys within the JWK Set SHOULD use distinct "kid"
//	values."
//
// Implements RFC 7515 §4.1.4; RFC 8725 §3.1 (one).
func (s *keySet) candidates(kid string, a Algorithm) candidates {
	var found candidates
	n := 0
	for _, k := range s.keys {
		// A shared secret has no kid and matches every one.
		if (kid == "" || k.id == kid || k.hmac != nil) && slices.Contains(k.algorithms, a) {
			if n == len(found) || n == 1 && kid == "" {
				return candidates{}
			}
			found[n] = k
			n++
		}
	}
	return found
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

// succeed returns the set of keys that follows s, which may be nil.
func (s *keySet) succeed(keys []*key) *keySet {
	next := &keySet{keys: keys, fetched: time.Now()}
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

// fixedKeys is a source that does not change.
type fixedKeys struct{ set *keySet }

func (f fixedKeys) current(time.Time) (*keySet, error)               { return f.set, nil }
func (f fixedKeys) renewed(context.Context, string) (*keySet, error) { return f.set, nil }
func (f fixedKeys) retryAfter() time.Duration                        { return 0 }
func (f fixedKeys) close()                                           {}

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
