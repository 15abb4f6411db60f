// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Keys says where an issuer's keys come from: [StaticKeys], [KeyFile],
// [RemoteKeys], [Discover], [Keyfunc] or [SharedSecret]. Keys never cross
// issuers.
type Keys interface {
	// open checks what can be checked without a network and makes the source.
	open(i Issuer, c Config) (keySource, error)
}

// keySource has the keys of one issuer at hand.
type keySource interface {
	// current returns the set at hand without waiting, and an error if there
	// is none or it is too old to be trusted.
	current(now time.Time) (*keySet, error)
	// renewed returns the set after having tried to get a newer one. The error
	// says that it could not be told whether there is a newer one.
	// kid is the one that is missing, "" for none in particular.
	renewed(ctx context.Context, kid string) (*keySet, error)
	// retryAfter is when renewed may be able to tell more.
	retryAfter() time.Duration
	close()
}

// keySet is an immutable set of the keys of one issuer.
type keySet struct {
	keys []*key
	// generation counts the withdrawals of keys: what was verified under an
	// earlier generation must be verified again.
	generation uint64
	fetched    time.Time
}

// candidates are keys that may have signed a token, the rest nil. Their number
// bounds how many signature checks one token can cause.
type candidates [4]*key

// candidates returns the keys of that name which are for that algorithm.
// Without a name there must be exactly one. More than one key of a name is a
// mistake that issuers do make; a few are tried.
//
//	RFC 7517 §4.5: "different keys within the JWK Set SHOULD use distinct "kid"
//	values."
func (s *keySet) candidates(kid string, a Algorithm) candidates {
	var found candidates
	n := 0
	for _, k := range s.keys {
		// A shared secret has no name, and answers to every one.
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

// verify reports whether one of the candidates has made the signature.
func (c *candidates) verify(a Algorithm, signingInput string, signature []byte) bool {
	for _, k := range c {
		if k != nil && k.verify(a, signingInput, signature) {
			return true
		}
	}
	return false
}

// succeed makes keys the set that follows s, which may be nil.
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
			errs = append(errs, fmt.Errorf("Keys: %s needs a SharedSecret, never public keys", a))
		}
	}
	return errors.Join(errs...)
}
