// SPDX-License-Identifier: Apache-2.0

package cookie

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/gatehouse-go/gatehouse"
)

// A sealed value is, in base64url without padding:
//
//	key id, 1 octet | nonce, 24 octets | XChaCha20-Poly1305 of (expiry, 8 octets | value)
//
// The nonce is random, which 192 bits allow for any number of values. Name and
// purpose are the associated data. The expiry is in seconds since 1970.
const (
	idOctets       = 1
	expiryOctets   = 8
	overheadOctets = idOctets + chacha20poly1305.NonceSizeX + expiryOctets + chacha20poly1305.Overhead
)

const (
	minKeyBytes = 32
	maxKeys     = 8
)

// The reasons for which a sealed value does not open.
var (
	// ErrSeal says that no key of the ring has sealed the value under this name
	// and for this purpose, or that it has been changed since.
	ErrSeal = errors.New("cookie: not sealed by a key of the ring under this name and for this purpose")
	// ErrExpired says that the seal is good and the time is over.
	ErrExpired = errors.New("cookie: the sealed value has expired")
)

// Ring is the keys that seal values: so that nobody else can read them, change
// them, move them to another name or use them for another purpose, or use them
// for longer than they are meant to last. It does not keep a value from being
// used twice.
//
// It is safe for concurrent use.
type Ring struct {
	keys []ringKey

	// encoding refuses bits behind the last octet, so that there is one way to
	// write a sealed value.
	encoding *base64.Encoding
}

// ringKey is an XChaCha20-Poly1305 key. It has functions in place of the
// cipher.AEAD, because nothing looks into one: fmt follows pointers.
type ringKey struct {
	id   byte
	seal func(dst, nonce, plaintext, data []byte) []byte
	open func(dst, nonce, ciphertext, data []byte) ([]byte, error)
}

// NewRing makes a ring of secrets of at least 32 random bytes each, at most
// eight; see [gatehouse.LoadSecret]. A secret may be text, such as the 64
// characters that "openssl rand -hex 32" prints.
//
// The first one seals, all of them open. To change keys, put a new one behind
// the first on every server, then move it to the front, and take the old one
// away when the last value that it has sealed has expired.
func NewRing(secrets ...gatehouse.Secret) (*Ring, error) {
	var errs []error
	switch {
	case len(secrets) == 0:
		errs = append(errs, errors.New("cookie: NewRing: at least one secret is required"))
	case len(secrets) > maxKeys:
		errs = append(errs, fmt.Errorf("cookie: NewRing: %d secrets are too many, at most %d are allowed", len(secrets), maxKeys))
	}
	r := &Ring{encoding: base64.RawURLEncoding.Strict()}
	for i, secret := range secrets {
		if secret.Len() < minKeyBytes {
			errs = append(errs, fmt.Errorf("cookie: NewRing: secret %d has %d bytes, needs at least %d", i, secret.Len(), minKeyBytes))
			continue
		}
		for _, other := range secrets[:i] {
			if secret.Equal(other) {
				errs = append(errs, fmt.Errorf("cookie: NewRing: secret %d occurs twice", i))
			}
		}
		key, err := newRingKey(secret)
		errs = append(errs, err)
		r.keys = append(r.keys, key)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

// newRingKey derives the key and its id, so that the secret may have any form
// and may be used elsewhere too. The id says nothing about the key.
//
// It fails only where the process may use no cipher but those of FIPS 140.
func newRingKey(secret gatehouse.Secret) (ringKey, error) {
	var key [chacha20poly1305.KeySize + idOctets]byte
	derived, err1 := hkdf.Key(sha256.New, secret.Reveal(), nil, "gatehouse cookie seal 1", len(key))
	copy(key[:], derived)
	aead, err2 := chacha20poly1305.NewX(key[:chacha20poly1305.KeySize])
	if err := errors.Join(err1, err2); err != nil {
		return ringKey{}, fmt.Errorf("cookie: NewRing: %w", err)
	}
	return ringKey{id: key[chacha20poly1305.KeySize], seal: aead.Seal, open: aead.Open}, nil
}

// Seal returns value, sealed under a name and for a purpose until expires, to
// the second. The text is of the characters of base64url, and its length tells
// that of the value.
func (r *Ring) Seal(name, purpose string, value []byte, expires time.Time) string {
	return r.seal(associated(name, purpose), value, expires)
}

// Open returns the value that [Ring.Seal] has sealed under this name and for
// this purpose. The error is [ErrSeal] or [ErrExpired].
func (r *Ring) Open(name, purpose, text string) ([]byte, error) {
	return r.open(associated(name, purpose), text)
}

// associated returns the associated data. The length in front keeps apart what
// would otherwise be the same text.
func associated(name, purpose string) []byte {
	data := binary.AppendUvarint(nil, uint64(len(name)))
	data = append(data, name...)
	return append(data, purpose...)
}

func (r *Ring) seal(data, value []byte, expires time.Time) string {
	key := r.keys[0]
	sealed := make([]byte, idOctets+chacha20poly1305.NonceSizeX, overheadOctets+len(value))
	sealed[0] = key.id
	nonce := sealed[idOctets:]
	_, _ = rand.Read(nonce) // never fails, see crypto/rand
	plain := make([]byte, 0, expiryOctets+len(value))
	// A time before 1970 is over in either case.
	plain = binary.BigEndian.AppendUint64(plain, uint64(max(expires.Unix(), 0)))
	plain = append(plain, value...)
	return base64.RawURLEncoding.EncodeToString(key.seal(sealed, nonce, plain, data))
}

func (r *Ring) open(data []byte, text string) ([]byte, error) {
	// What the decoder stops at, and the line breaks that it skips, make the text
	// longer than its octets need.
	sealed, _ := r.encoding.DecodeString(text)
	if len(sealed) < overheadOctets || len(text) != r.encoding.EncodedLen(len(sealed)) {
		return nil, ErrSeal
	}
	nonce, box := sealed[idOctets:idOctets+chacha20poly1305.NonceSizeX], sealed[idOctets+chacha20poly1305.NonceSizeX:]
	for _, key := range r.keys {
		if key.id != sealed[0] {
			continue
		}
		plain, err := key.open(box[:0], nonce, box, data)
		if err != nil {
			// Two keys have the same id now and then, and Open has cleared the box.
			_, _ = r.encoding.Decode(sealed, []byte(text))
			continue
		}
		expires := int64(binary.BigEndian.Uint64(plain)) //nolint:gosec // authentic, so it is what seal has put there
		if !time.Now().Before(time.Unix(expires, 0)) {
			return nil, ErrExpired
		}
		return plain[expiryOctets:], nil
	}
	return nil, ErrSeal
}
