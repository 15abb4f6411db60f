// SPDX-License-Identifier: Apache-2.0

package jwtauth

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
)

// A refresh token is text of two parts: a prefix that says what it is, to people
// and to those who scan for leaked secrets, and 80 bytes in base64url without
// padding:
//
//	id of the family      16  public, the same for all tokens of the family
//	secret of the family  32  the same for all tokens of the family
//	secret of the token   32
//
// The secret of the family is there so that who knows no more than the public
// id cannot end a family, by presenting a token that looks as if it had been
// used before.
const (
	refreshPrefix = "gatehouse_refresh_"

	familyIDBytes = 16
	secretBytes   = 32
)

const (
	refreshBytes = familyIDBytes + 2*secretBytes
	refreshChars = len(refreshPrefix) + (refreshBytes*8+5)/6
)

// refreshToken is a refresh token that has been taken apart.
type refreshToken struct {
	id     [familyIDBytes]byte
	key    [secretBytes]byte // the secret of the family
	secret [secretBytes]byte
}

// parseRefreshToken reads the one text that stands for a token.
func parseRefreshToken(text []byte) (t refreshToken, ok bool) {
	// So many characters stand for so many bytes, or do not decode.
	body, ok := bytes.CutPrefix(text, []byte(refreshPrefix))
	if !ok || len(text) != refreshChars {
		return refreshToken{}, false
	}
	var room [refreshBytes]byte
	defer clear(room[:])
	decoded, err := decode(room[:0], string(body))
	if err != nil {
		return refreshToken{}, false
	}
	rest := decoded[copy(t.id[:], decoded):]
	rest = rest[copy(t.key[:], rest):]
	copy(t.secret[:], rest)
	return t, true
}

// newRefreshToken makes the first token of a new family.
func newRefreshToken() (t refreshToken) {
	_, _ = rand.Read(t.id[:]) // never fails, see crypto/rand
	_, _ = rand.Read(t.key[:])
	return t.next()
}

// next makes another token of the same family.
func (t refreshToken) next() refreshToken {
	_, _ = rand.Read(t.secret[:])
	return t
}

func (t refreshToken) text() gatehouse.Secret {
	text := make([]byte, 0, refreshChars)
	text = append(text, refreshPrefix...)
	text = base64.RawURLEncoding.AppendEncode(text, bytes.Join([][]byte{t.id[:], t.key[:], t.secret[:]}, nil))
	return gatehouse.NewSecret(text)
}

// family is the public id.
func (t refreshToken) family() string { return base64.RawURLEncoding.EncodeToString(t.id[:]) }

func (t refreshToken) keyHash() SecretHash    { return sha256.Sum256(t.key[:]) }
func (t refreshToken) secretHash() SecretHash { return sha256.Sum256(t.secret[:]) }

// box seals and opens the successor of a token. Its key is derived from the
// secret of the token, which is nowhere but with whoever holds it: what is
// stored opens with no other.
func (t refreshToken) box() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, t.secret[:], t.id[:], "gatehouse refresh successor 1", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	return chacha20poly1305.NewX(key)
}

// seal returns the secret of a successor as only the holder of t can read it.
func (t refreshToken) seal(successor refreshToken) ([]byte, error) {
	box, err := t.box()
	if err != nil {
		return nil, fmt.Errorf("jwtauth: seal the successor: %w", err)
	}
	sealed := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+secretBytes+chacha20poly1305.Overhead)
	_, _ = rand.Read(sealed)
	return box.Seal(sealed, sealed, successor.secret[:], nil), nil
}

// open returns the successor that was sealed for t.
func (t refreshToken) open(sealed []byte) (refreshToken, error) {
	box, err := t.box()
	if err != nil || len(sealed) < chacha20poly1305.NonceSizeX {
		return refreshToken{}, errors.New("jwtauth: the successor cannot be opened")
	}
	nonce, sealed := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	secret, err := box.Open(nil, nonce, sealed, nil)
	if err != nil {
		return refreshToken{}, errors.New("jwtauth: the successor cannot be opened")
	}
	successor := t
	copy(successor.secret[:], secret)
	return successor, nil
}
