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
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/jose"
	"github.com/gatehouse-go/gatehouse/internal/text"
)

// SigningKey is a private key of this issuer.
type SigningKey struct {
	// ID is the kid of the tokens that the key signs: printable ASCII, unique among
	// all keys of the issuer, including removed ones. The default is the
	// [Thumbprint] of the key.
	ID string

	// Algorithm is the only algorithm of the key. Required. For HS* use
	// SignerConfig.Secret instead.
	Algorithm Algorithm

	// Private is an *rsa.PrivateKey, an *ecdsa.PrivateKey or an
	// ed25519.PrivateKey. Required.
	Private crypto.Signer `json:"-"`

	// From is the time from which the key signs. Before From the key is only published,
	// so that every verifier fetches the key before its first use. The zero time means
	// immediately; use it only for the first key of an issuer.
	From time.Time
}

// Format writes the algorithm and the ID, never the private key, for every verb.
func (k SigningKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s %s", k.Algorithm, k.ID) }

// KeyRing is the keyring of an issuer: the current signing key, the next one, and old
// keys that signed tokens which have not expired. As an [http.Handler] it serves the
// public keys as a JWK Set, and as [Keys] it verifies the tokens of an issuer in the same
// process. It is safe for concurrent use.
//
// To rotate keys, generate a key whose From is so late that all verifiers have refreshed
// the key set by then. Call [KeyRing.Replace] with the new key and the old keys in every
// process. Remove an old key after the last token that it signed has expired.
type KeyRing struct {
	mu   sync.RWMutex
	keys []ringKey // ordered by From
	set  []byte    // the published JWK Set
}

type ringKey struct {
	SigningKey // without Private
	checked    *key

	// A function, because fmt cannot print the contents of a function. It would print the
	// bytes of an Ed25519 key, and follow the pointers of others.
	private func() crypto.Signer
}

// NewKeyRing returns a keyring. The From of at least one key must be zero or in
// the past.
func NewKeyRing(keys ...SigningKey) (*KeyRing, error) {
	r := new(KeyRing)
	if err := r.Replace(keys...); err != nil {
		return nil, err
	}
	return r, nil
}

// Replace replaces all keys of the keyring, with the same rules as NewKeyRing.
// If it returns an error, the keyring is unchanged.
func (r *KeyRing) Replace(keys ...SigningKey) error {
	var errs []error
	ring := make([]ringKey, 0, len(keys))
	published := make([]map[string]string, 0, len(keys))
	for n, k := range keys {
		checked, err := k.check()
		if err == nil && k.ID == "" {
			k.ID, err = Thumbprint(checked.public)
			checked.id = k.ID
		}
		if err == nil && slices.ContainsFunc(ring, func(other ringKey) bool { return other.ID == k.ID }) {
			err = errors.New("ID: duplicate")
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
		errs = append(errs, errors.New("jwtauth: SigningKey: no key is active: set From of one key to zero or a past time"))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	set, _ := json.Marshal(map[string]any{"keys": published}) // cannot fail: it has only strings
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys, r.set = ring, set
	return nil
}

func (k SigningKey) check() (*key, error) {
	switch {
	case len(k.ID) > maxKid || !text.IsPrintable(k.ID):
		return nil, fmt.Errorf("ID: must be printable ASCII of at most %d characters", maxKid)
	case k.Private == nil:
		return nil, errors.New("Private: required")
	}
	if _, ok := algorithms[k.Algorithm]; !ok {
		return nil, fmt.Errorf("Algorithm: %q is not an algorithm for key pairs", string(k.Algorithm))
	}
	switch k.Private.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
	default:
		return nil, fmt.Errorf("Private: is a %T, want *rsa.PrivateKey, *ecdsa.PrivateKey or ed25519.PrivateKey", k.Private)
	}
	checked, err := newKey(k.ID, publicOf(k.Private), k.Algorithm, []Algorithm{k.Algorithm})
	if err != nil {
		return nil, fmt.Errorf("Private: %w", err)
	}
	return checked, nil
}

// publicOf returns the public key of private, or an empty key for an Ed25519 key of the
// wrong length.
func publicOf(private crypto.Signer) crypto.PublicKey {
	if k, ok := private.(ed25519.PrivateKey); ok && len(k) != ed25519.PrivateKeySize {
		return ed25519.PublicKey(nil)
	}
	return private.Public()
}

// publicJWK returns the JWK of a key, RFC 7517 section 4 and RFC 7518 section 6.
func publicJWK(k SigningKey, public crypto.PublicKey) map[string]string {
	jwk := jose.Members(public)
	jwk["kid"], jwk["alg"], jwk["use"] = k.ID, string(k.Algorithm), "sig"
	return jwk
}

// signing returns the key that signs now: the one with the latest From that is not
// in the future.
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

// ServeHTTP answers GET and HEAD with the JWK Set of the public keys.
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
	// Verifiers limit the age of a set themselves. Caches on the way must not delay a new
	// key.
	h.Set("Cache-Control", "max-age=60")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*")
	if request.Method == http.MethodGet {
		_, _ = w.Write(set)
	}
}

// open implements [Keys].
func (r *KeyRing) open(i Issuer, c Config) (keySource, error) {
	if r == nil {
		return nil, errors.New("Keys: KeyRing: required")
	}
	if err := asymmetricOnly(i); err != nil {
		return nil, err
	}
	return &ringSource{ring: r, algorithms: i.Algorithms, events: newKeyEvents(i, c)}, nil
}

// ringSource is the source of the current keys of a keyring.
type ringSource struct {
	ring       *KeyRing
	algorithms []Algorithm
	events     *keyEvents

	mu   sync.Mutex
	seen []byte // the published set from which set was built
	set  *keySet
}

func (s *ringSource) current(now time.Time) (*keySet, error) {
	s.ring.mu.RLock()
	published, keys := s.ring.set, s.ring.keys
	s.ring.mu.RUnlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	// Replace stores a new published set and never changes one.
	if s.set == nil || &s.seen[0] != &published[0] {
		var usable []*key
		for _, k := range keys {
			if slices.Contains(s.algorithms, k.Algorithm) {
				usable = append(usable, k.checked)
			}
		}
		old := s.set
		s.set, s.seen = old.succeed(usable, now), published
		s.events.withdrawn(old, s.set)
	}
	if len(s.set.keys) == 0 {
		return nil, errNoKey
	}
	return s.set, nil
}

func (s *ringSource) known(now time.Time) (*keySet, error) { return s.current(now) }

func (s *ringSource) awaited(_ context.Context, now time.Time) (*keySet, error) {
	return s.current(now)
}

func (s *ringSource) newer(_ context.Context, now time.Time, _ string) (*keySet, error) {
	return s.current(now)
}

func (s *ringSource) retryAfter() time.Duration { return time.Minute }
func (s *ringSource) close()                    { s.events.close() }

// SignJWT signs a JWT that is not an access token with the current key, such as
// a client assertion. An empty typ is omitted from the header.
func (r *KeyRing) SignJWT(typ string, claims map[string]any) (gatehouse.Secret, error) {
	token, err := r.sign(typ, claims)
	if err != nil {
		return gatehouse.Secret{}, fmt.Errorf("jwtauth: sign: %w", err)
	}
	return gatehouse.NewSecret([]byte(token)), nil
}

// SignDetached signs a payload that is not a JWT with the current key, such as the
// canonical JSON of a document. It returns the encoded header and the encoded signature
// of a JWS with detached content, RFC 7515 appendix F. typ is required, and must not be
// the type of a token, such as JWT.
func (r *KeyRing) SignDetached(typ string, payload []byte) (protected, signature string, err error) {
	if typ == "" || strings.HasSuffix(strings.ToLower(typ), "jwt") {
		return "", "", fmt.Errorf("jwtauth: sign: typ: got %q, want a type that is not that of a token", typ)
	}
	k := r.signing()
	signed, err := signPayload(algorithms[k.Algorithm].method, header{algorithm: k.Algorithm, kid: k.ID, typ: typ}, k.private(), payload)
	if err != nil {
		return "", "", fmt.Errorf("jwtauth: sign: %w", err)
	}
	return signed[:strings.IndexByte(signed, '.')], signed[strings.LastIndexByte(signed, '.')+1:], nil
}
