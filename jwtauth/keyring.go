// SPDX-License-Identifier: Apache-2.0

package jwtauth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// SigningKey is a private key of this issuer.
type SigningKey struct {
	// ID is the kid of the tokens that it signs: printable ASCII, and never used
	// for another key. The [Thumbprint] of the key if empty.
	ID string

	// Algorithm is the one algorithm that the key is for. Required, and never
	// HS*: see [SignerConfig].
	Algorithm Algorithm

	// Private is an *rsa.PrivateKey, an *ecdsa.PrivateKey or an
	// ed25519.PrivateKey. Required.
	Private crypto.Signer `json:"-"`

	// From is when the key begins to sign; until then it is only published, so
	// that every verifier has it by the time that it is used. A zero time is at
	// once, which is right for the first key of an issuer and for no other.
	From time.Time
}

// Format writes the ID and the algorithm, and never the key, for every verb.
func (k SigningKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s %s", k.Algorithm, k.ID) }

// KeyRing holds the keys of an issuer: one that signs, the next one, and those
// whose tokens have not expired yet. It publishes them all, as a handler, and
// is safe for concurrent use.
//
// To rotate, make a new key whose From lies further ahead than any verifier
// takes to fetch the set again, and call [KeyRing.Replace] with it and the old
// ones, on every node. The old ones may be left out once the last token that
// they have signed has expired.
type KeyRing struct {
	mu   sync.RWMutex
	keys []ringKey // in the order of From
	set  []byte    // as it is published
}

type ringKey struct {
	SigningKey // without Private
	checked    *key

	// A function, because nothing looks into one: fmt would print the bytes of
	// an Ed25519 key, and follow the pointer to another one.
	private func() crypto.Signer
}

// NewKeyRing makes a ring of at least one key that signs now.
func NewKeyRing(keys ...SigningKey) (*KeyRing, error) {
	r := new(KeyRing)
	if err := r.Replace(keys...); err != nil {
		return nil, err
	}
	return r, nil
}

// Replace puts keys in place of those in the ring. On an error the ring stays
// as it is.
func (r *KeyRing) Replace(keys ...SigningKey) error {
	var errs []error
	ring := make([]ringKey, 0, len(keys))
	published := make([]map[string]string, 0, len(keys))
	for n, k := range keys {
		checked, err := k.check()
		if err == nil && k.ID == "" {
			k.ID, err = Thumbprint(checked.public)
		}
		if err == nil && slices.ContainsFunc(ring, func(other ringKey) bool { return other.ID == k.ID }) {
			err = errors.New("ID: is there twice")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("jwtauth: SigningKey[%d].%w", n, err))
			continue
		}
		private := k.Private
		k.Private = nil
		ring = append(ring, ringKey{k, checked, func() crypto.Signer { return private }})
		published = append(published, publicJWK(k, checked.public))
	}
	slices.SortStableFunc(ring, func(a, b ringKey) int { return a.From.Compare(b.From) })
	if len(ring) == 0 || ring[0].From.After(time.Now()) {
		errs = append(errs, errors.New("jwtauth: SigningKey: none signs now"))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	set, _ := json.Marshal(map[string]any{"keys": published}) // cannot fail: it is all text
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.set = ring, set
	return nil
}

func (k SigningKey) check() (*key, error) {
	switch {
	case len(k.ID) > maxKid || !text.IsPrintable(k.ID):
		return nil, fmt.Errorf("ID: must be printable ASCII, at most %d characters", maxKid)
	case k.Private == nil:
		return nil, errors.New("Private: required")
	}
	if _, ok := algorithms[k.Algorithm]; !ok {
		return nil, fmt.Errorf("Algorithm: %q is not one for signing with a key pair", string(k.Algorithm))
	}
	switch k.Private.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
	default:
		return nil, fmt.Errorf("Private: is a %T", k.Private)
	}
	checked, err := newKey(k.ID, publicOf(k.Private), k.Algorithm, []Algorithm{k.Algorithm})
	if err != nil {
		return nil, fmt.Errorf("Private: %w", err)
	}
	return checked, nil
}

// publicOf returns the public key in the form in which verifiers take it.
func publicOf(private crypto.Signer) crypto.PublicKey {
	if k, ok := private.(ed25519.PrivateKey); ok && len(k) != ed25519.PrivateKeySize {
		return ed25519.PublicKey(nil)
	}
	return private.Public()
}

// publicJWK writes a key as RFC 7517 and RFC 7518 section 6 ask for.
func publicJWK(k SigningKey, public crypto.PublicKey) map[string]string {
	jwk := requiredMembers(public)
	jwk["kid"], jwk["alg"], jwk["use"] = k.ID, string(k.Algorithm), "sig"
	return jwk
}

// signing returns the key that signs now: of those whose time has come, the
// last.
func (r *KeyRing) signing() ringKey {
	now := time.Now()
	r.mu.RLock()
	defer r.mu.RUnlock()
	current := r.keys[0]
	for _, k := range r.keys[1:] {
		if !k.From.After(now) {
			current = k
		}
	}
	return current
}

func (r *KeyRing) sign(typ string, claims map[string]any) (string, error) {
	k := r.signing()
	return sign(algorithms[k.Algorithm].method, header{algorithm: k.Algorithm, kid: k.ID, typ: typ}, k.private(), claims)
}

// ServeHTTP answers GET and HEAD with the JWK Set. It holds public keys only.
func (r *KeyRing) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	h := w.Header()
	if request.Method != http.MethodGet && request.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		return
	}
	r.mu.RLock()
	set := r.set
	r.mu.RUnlock()
	h.Set("Content-Type", "application/jwk-set+json")
	// Verifiers decide for themselves how old a set may be; caches in between
	// must not make a new key late.
	h.Set("Cache-Control", "max-age=60")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*")
	if request.Method == http.MethodGet {
		_, _ = w.Write(set)
	}
}

// open implements [Keys]: an API that verifies the tokens of its own keyring
// always has the current keys.
func (r *KeyRing) open(i Issuer, _ Config) (keySource, error) {
	if r == nil {
		return nil, errors.New("Keys: the KeyRing is nil")
	}
	if err := asymmetricOnly(i); err != nil {
		return nil, err
	}
	return &ringSource{ring: r, algorithms: i.Algorithms}, nil
}

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

// SignJWT signs a JWT that is not an access token with the current key, such as a
// client assertion. An empty typ is left out of the header.
func (r *KeyRing) SignJWT(typ string, claims map[string]any) (gatehouse.Secret, error) {
	token, err := r.sign(typ, claims)
	if err != nil {
		return gatehouse.Secret{}, fmt.Errorf("jwtauth: sign: %w", err)
	}
	return gatehouse.NewSecret([]byte(token)), nil
}
