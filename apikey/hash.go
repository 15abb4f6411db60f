// SPDX-License-Identifier: Apache-2.0

package apikey

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"sync"

	"github.com/gatehouse-go/gatehouse"
)

const (
	maxPeppers     = 4
	minPepperBytes = 32
)

// Pepper is a key that turns the hash of a secret from SHA-256 into
// HMAC-SHA-256. Who can write to the store but does not know the pepper cannot
// make keys.
type Pepper struct {
	// Version is stored beside each hash, greater than zero.
	Version uint32
	// Secret has at least 32 random bytes; see [gatehouse.LoadSecret].
	Secret gatehouse.Secret
}

// hasher computes hashes. What is hashed is the whole key up to its checksum,
// so that a hash is good for no other id and no other environment.
//
// A credential is hashed with every pepper that is configured, whatever the
// store will say, so that no answer depends on how many hashes it took.
type hasher struct {
	versions []uint32 // the first one hashes new secrets
	pool     sync.Pool
}

// scratch is the room in which one credential is looked at.
type scratch struct {
	text [maxKeyChars]byte
	macs []hash.Hash // one for each version but 0
	sums [maxPeppers + 1][sha256.Size]byte
}

// testHookHash is called for every hash that is computed.
var testHookHash func()

func newHasher(peppers []Pepper, allowUnpeppered bool) (*hasher, error) {
	h := &hasher{}
	var errs []error
	if len(peppers) > maxPeppers {
		errs = append(errs, fmt.Errorf("apikey: Config.Peppers: %d are too many, at most %d are allowed", len(peppers), maxPeppers))
	}
	seen := make(map[uint32]bool)
	for i, p := range peppers {
		switch {
		case p.Version == 0:
			errs = append(errs, fmt.Errorf("apikey: Config.Peppers[%d]: Version must be greater than zero", i))
		case seen[p.Version]:
			errs = append(errs, fmt.Errorf("apikey: Config.Peppers[%d]: version %d occurs twice", i, p.Version))
		case p.Secret.Len() < minPepperBytes:
			errs = append(errs, fmt.Errorf("apikey: Config.Peppers[%d]: has %d bytes, needs at least %d", i, p.Secret.Len(), minPepperBytes))
		}
		seen[p.Version] = true
		h.versions = append(h.versions, p.Version)
	}
	if len(peppers) == 0 && allowUnpeppered {
		errs = append(errs, errors.New("apikey: Config.AllowUnpeppered: has no meaning without Peppers"))
	}
	if len(peppers) == 0 || allowUnpeppered {
		h.versions = append(h.versions, 0)
	}
	secrets := make([]gatehouse.Secret, len(peppers))
	for i, p := range peppers {
		secrets[i] = p.Secret
	}
	h.pool.New = func() any {
		s := &scratch{macs: make([]hash.Hash, len(secrets))}
		for i, secret := range secrets {
			s.macs[i] = hmac.New(sha256.New, secret.Reveal())
		}
		return s
	}
	return h, errors.Join(errs...)
}

// get returns room for one credential; put takes it back and forgets what was
// in it.
func (h *hasher) get() *scratch { return h.pool.Get().(*scratch) }

func (h *hasher) put(s *scratch) {
	clear(s.text[:])
	clear(s.sums[:])
	h.pool.Put(s)
}

// hash fills s with the hashes of body, one for each version.
func (h *hasher) hash(s *scratch, body []byte) {
	for i := range h.versions {
		h.hashOne(s, i, body)
	}
}

func (h *hasher) hashOne(s *scratch, i int, body []byte) {
	if testHookHash != nil {
		testHookHash()
	}
	if h.versions[i] == 0 {
		s.sums[i] = sha256.Sum256(body)
		return
	}
	mac := s.macs[i]
	mac.Reset()
	mac.Write(body)
	mac.Sum(s.sums[i][:0])
}

// fresh returns the hash of a new secret.
func (h *hasher) fresh(text []byte) Hash {
	s := h.get()
	defer h.put(s)
	h.hashOne(s, 0, text[:len(text)-checksumChars])
	return Hash{Sum: s.sums[0], Pepper: h.versions[0]}
}

// match reports whether s holds the hash that is stored. Its time does not
// depend on the bytes of either.
func (h *hasher) match(s *scratch, stored *Hash) bool {
	found := 0
	for i, version := range h.versions {
		same := subtle.ConstantTimeCompare(s.sums[i][:], stored.Sum[:])
		if version == stored.Pepper { // which is no secret
			found |= same
		}
	}
	return found == 1
}
