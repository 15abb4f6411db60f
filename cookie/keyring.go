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
	"github.com/gatehouse-go/gatehouse/internal/base64url"
)

// A sealed value is, in base64url without padding:
//
//	key id, 1 octet | nonce, 24 octets | XChaCha20-Poly1305 of (expiry, 8 octets | value)
//
// The nonce is random: 192 bits suffice for any number of values. Name and purpose are
// the associated data. The expiry is in seconds since 1970, UTC.
const (
	idOctets       = 1
	expiryOctets   = 8
	overheadOctets = idOctets + chacha20poly1305.NonceSizeX + expiryOctets + chacha20poly1305.Overhead
)

const (
	minKeyBytes = 32
	maxKeys     = 8
)

var (
	// ErrSeal means that no key of the keyring sealed the value under this name and
	// for this purpose, or that the value was changed.
	ErrSeal = errors.New("cookie: sealed value: invalid for this keyring, name and purpose")

	// ErrExpired means that the value is authentic but expired.
	ErrExpired = errors.New("cookie: sealed value: expired")
)

// Keyring holds the keys that seal values with XChaCha20-Poly1305. A sealed value
// is confidential and authentic, bound to a name and to a purpose, and expires. It
// can be replayed until then.
//
// A Keyring is safe for concurrent use.
type Keyring struct {
	keys []sealingKey
}

// sealingKey is an XChaCha20-Poly1305 key. It has functions instead of a cipher.AEAD,
// because fmt prints the targets of pointers but not the contents of functions.
type sealingKey struct {
	id   byte
	seal func(dst, nonce, plaintext, data []byte) []byte
	open func(dst, nonce, ciphertext, data []byte) ([]byte, error)
}

// NewKeyring returns a keyring for one to eight secrets of at least 32 random
// bytes each; see [gatehouse.LoadSecret]. A secret may be text, such as the 64
// characters that "openssl rand -hex 32" prints. It reports all errors at once.
//
// The first secret seals; all of them open sealed values. To rotate keys,
// append the new secret on every server, then move it to the front, and remove
// the old secret when the last value that it sealed has expired.
func NewKeyring(secrets ...gatehouse.Secret) (*Keyring, error) {
	var errs []error
	switch {
	case len(secrets) == 0:
		errs = append(errs, errors.New("cookie: NewKeyring: at least one secret is required"))
	case len(secrets) > maxKeys:
		errs = append(errs, fmt.Errorf("cookie: NewKeyring: %d secrets, at most %d are allowed", len(secrets), maxKeys))
	}
	k := &Keyring{}
	for i, secret := range secrets {
		if secret.Len() < minKeyBytes {
			errs = append(errs, fmt.Errorf("cookie: NewKeyring: secret %d has %d bytes, needs at least %d", i, secret.Len(), minKeyBytes))
			continue
		}
		for _, other := range secrets[:i] {
			if secret.Equal(other) {
				errs = append(errs, fmt.Errorf("cookie: NewKeyring: secret %d occurs twice", i))
			}
		}
		key, err := newKey(secret)
		errs = append(errs, err)
		k.keys = append(k.keys, key)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return k, nil
}

// newKey derives the key and its id from the secret by HKDF, so that the secret
// may have any form and other uses. The id reveals nothing about the key.
//
// It fails only in a process that allows only the ciphers of FIPS 140.
func newKey(secret gatehouse.Secret) (sealingKey, error) {
	var key [chacha20poly1305.KeySize + idOctets]byte
	derived, err1 := hkdf.Key(sha256.New, secret.Reveal(), nil, "gatehouse cookie seal 1", len(key))
	copy(key[:], derived)
	aead, err2 := chacha20poly1305.NewX(key[:chacha20poly1305.KeySize])
	if err := errors.Join(err1, err2); err != nil {
		return sealingKey{}, fmt.Errorf("cookie: NewKeyring: %w", err)
	}
	return sealingKey{id: key[chacha20poly1305.KeySize], seal: aead.Seal, open: aead.Open}, nil
}

// Seal returns value sealed under a name and for a purpose until expires, which
// is rounded down to the second. The text is base64url without padding; its length
// reveals the length of the value.
func (k *Keyring) Seal(name, purpose string, value []byte, expires time.Time) string {
	return k.seal(associated(name, purpose), value, expires)
}

// Open returns the value of text, which [Keyring.Seal] returned for this name and
// this purpose. The error is [ErrSeal] or [ErrExpired].
func (k *Keyring) Open(name, purpose, text string) ([]byte, error) {
	return k.open(associated(name, purpose), text)
}

// associated returns the associated data. The length in front makes the text of each pair
// of name and purpose unique.
func associated(name, purpose string) []byte {
	data := binary.AppendUvarint(nil, uint64(len(name)))
	data = append(data, name...)
	return append(data, purpose...)
}

// Implements RFC 6265bis §8.3.
func (k *Keyring) seal(data, value []byte, expires time.Time) string {
	key := k.keys[0]
	sealed := make([]byte, idOctets+chacha20poly1305.NonceSizeX, overheadOctets+len(value))
	sealed[0] = key.id
	nonce := sealed[idOctets:]
	_, _ = rand.Read(nonce) // never fails, see crypto/rand
	plain := make([]byte, 0, expiryOctets+len(value))
	plain = binary.BigEndian.AppendUint64(plain, uint64(expires.Unix())) //nolint:gosec // open converts it back
	plain = append(plain, value...)
	return base64.RawURLEncoding.EncodeToString(key.seal(sealed, nonce, plain, data))
}

func (k *Keyring) open(data []byte, text string) ([]byte, error) {
	sealed, err := base64url.Decode(nil, text)
	if err != nil || len(sealed) < overheadOctets {
		return nil, ErrSeal
	}
	nonce, box := sealed[idOctets:idOctets+chacha20poly1305.NonceSizeX], sealed[idOctets+chacha20poly1305.NonceSizeX:]
	for _, key := range k.keys {
		if key.id != sealed[0] {
			continue
		}
		plain, err := key.open(box[:0], nonce, box, data)
		if err != nil {
			// Decode again: two keys can have the same id, and a failed Open has cleared
			// the box.
			_, _ = base64url.Decode(sealed[:0], text)
			continue
		}
		expires := int64(binary.BigEndian.Uint64(plain)) //nolint:gosec // authentic, so seal wrote it
		if !time.Now().Before(time.Unix(expires, 0)) {
			return nil, ErrExpired
		}
		return plain[expiryOctets:], nil
	}
	return nil, ErrSeal
}
