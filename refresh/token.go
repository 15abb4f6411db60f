// SPDX-License-Identifier: Apache-2.0

package refresh

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/base64url"
)

// A refresh token is a prefix, by which people and secret scanners recognize it,
// and 80 bytes in base64url without padding:
//
//	family ID     16 bytes, public, the same for all tokens of the family
//	family secret 32 bytes, the same for all tokens of the family
//	token secret  32 bytes
//
// Without the family secret, an attacker who knows the public ID could revoke the family
// by presenting a random token, which would look like a rotated one.
const (
	prefix = "gatehouse_refresh_"

	familyIDBytes = 16
	secretBytes   = 32
	tokenBytes    = familyIDBytes + 2*secretBytes
	tokenChars    = len(prefix) + (tokenBytes*8+5)/6
)

// token is a parsed refresh token. The store has hashes of its secrets.
//
// Implements RFC 6749 §1.5 (opaque).
type token struct {
	id     [familyIDBytes]byte
	key    [secretBytes]byte // family secret
	secret [secretBytes]byte
}

// parseToken parses a refresh token. Each token has exactly one valid text.
func parseToken(text []byte) (t token, ok bool) {
	body, ok := bytes.CutPrefix(text, []byte(prefix))
	if !ok || len(text) != tokenChars {
		return token{}, false
	}
	var buffer [tokenBytes]byte
	defer clear(buffer[:])
	decoded, err := base64url.Decode(buffer[:0], body)
	if err != nil {
		return token{}, false
	}
	rest := decoded[copy(t.id[:], decoded):]
	rest = rest[copy(t.key[:], rest):]
	copy(t.secret[:], rest)
	return t, true
}

// newToken returns the first token of a new family.
//
// Implements RFC 6749 §10.4 (guess).
func newToken() (t token) {
	_, _ = rand.Read(t.id[:]) // never fails, see crypto/rand
	_, _ = rand.Read(t.key[:])
	return t.next()
}

// next returns another token of the same family.
func (t token) next() token {
	_, _ = rand.Read(t.secret[:])
	return t
}

func (t token) text() gatehouse.Secret {
	text := make([]byte, 0, tokenChars)
	text = append(text, prefix...)
	text = base64.RawURLEncoding.AppendEncode(text, bytes.Join([][]byte{t.id[:], t.key[:], t.secret[:]}, nil))
	return gatehouse.NewSecret(text)
}

// family returns the family ID.
func (t token) family() string { return base64.RawURLEncoding.EncodeToString(t.id[:]) }

func (t token) keyHash() Hash    { return sha256.Sum256(t.key[:]) }
func (t token) secretHash() Hash { return sha256.Sum256(t.secret[:]) }

// aead returns the cipher that encrypts the successor of t. Its key is derived from the
// secret of t. The store has only the hash of that secret.
func (t token) aead() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, t.secret[:], t.id[:], "gatehouse refresh successor 1", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.NewX(key)
}

// seal encrypts the secret of a successor for the holder of t.
func (t token) seal(successor token) ([]byte, error) {
	aead, err := t.aead()
	if err != nil {
		return nil, fmt.Errorf("seal successor: %w", err)
	}
	sealed := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+secretBytes+chacha20poly1305.Overhead)
	_, _ = rand.Read(sealed)
	return aead.Seal(sealed, sealed, successor.secret[:], nil), nil
}

// open decrypts the successor that was sealed for t.
func (t token) open(sealed []byte) (token, error) {
	aead, err := t.aead()
	if err != nil || len(sealed) < chacha20poly1305.NonceSizeX {
		return token{}, errors.New("open successor: malformed")
	}
	nonce, sealed := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	secret, err := aead.Open(nil, nonce, sealed, nil)
	if err != nil {
		return token{}, errors.New("open successor: malformed")
	}
	successor := t
	copy(successor.secret[:], secret)
	return successor, nil
}
