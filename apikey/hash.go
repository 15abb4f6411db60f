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

// Pepper is the key of an HMAC-SHA-256 that replaces the SHA-256 of secrets.
// An attacker with write access to the store cannot create keys without it.
type Pepper struct {
	// Version identifies the pepper in the store. Required, greater than zero.
	Version uint32
	// Secret is at least 32 random bytes; see [gatehouse.LoadSecret].
	Secret gatehouse.Secret
}

// hasher hashes keys. A hash covers the whole text before the checksum, so that it is not
// valid for another ID or environment.
//
// It hashes each credential with all configured peppers before the call of the store, so
// that the response time does not depend on the stored pepper.
type hasher struct {
	versions []uint32 // the first one hashes new secrets
	pool     sync.Pool
}

// scratch is the working memory for one credential.
type scratch struct {
	text [maxKeyChars]byte
	macs []hash.Hash // one for each version but 0
	sums [maxPeppers + 1][sha256.Size]byte
}

// testHookHash, if set, is called for each hash.
var testHookHash func()

func newHasher(peppers []Pepper, allowUnpeppered bool) (*hasher, error) {
	h := &hasher{}
	var errs []error
	if len(peppers) > maxPeppers {
		errs = append(errs, fmt.Errorf("apikey: Config.Peppers: got %d, at most %d are allowed", len(peppers), maxPeppers))
	}
	seen := make(map[uint32]bool)
	for i, p := range peppers {
		switch {
		case p.Version == 0:
			errs = append(errs, fmt.Errorf("apikey: Config.Peppers[%d].Version: required, greater than 0", i))
		case seen[p.Version]:
			errs = append(errs, fmt.Errorf("apikey: Config.Peppers[%d].Version: %d occurs twice", i, p.Version))
		case p.Secret.Len() < minPepperBytes:
			errs = append(errs, fmt.Errorf("apikey: Config.Peppers[%d].Secret: got %d bytes, at least %d are required", i, p.Secret.Len(), minPepperBytes))
		}
		seen[p.Version] = true
		h.versions = append(h.versions, p.Version)
	}
	if len(peppers) == 0 && allowUnpeppered {
		errs = append(errs, errors.New("apikey: Config.AllowUnpeppered: has no effect without Peppers: remove it"))
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

// get returns working memory for one credential; put clears it and takes it back.
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

// fresh returns the hash of the text of a new key.
func (h *hasher) fresh(text []byte) Hash {
	s := h.get()
	defer h.put(s)
	h.hashOne(s, 0, text[:len(text)-checksumChars])
	return Hash{Sum: s.sums[0], Pepper: h.versions[0]}
}

// match reports whether s contains the stored hash, in constant time.
func (h *hasher) match(s *scratch, stored *Hash) bool {
	found := 0
	for i, version := range h.versions {
		same := subtle.ConstantTimeCompare(s.sums[i][:], stored.Sum[:])
		if version == stored.Pepper { // not secret
			found |= same
		}
	}
	return found == 1
}
