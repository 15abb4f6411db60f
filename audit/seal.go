// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/gatehouse-go/gatehouse"
)

// Hashes can be computed without a key, so they do not prove that a record behind the
// last checkpoint is one of the log: the member mac of each record does. It is an
// HMAC-SHA256, truncated to 128 bits, over the preceding content and the record. The
// preceding content is the tree in a log with files, and otherwise the previous record.
const (
	sealBytes  = 16
	sealLength = len(`,"mac":""`) + (sealBytes*8+5)/6 // in a record
)

// sealKey makes and checks the seals of one log.
type sealKey []byte

func newSealKey(secret []byte, origin string) sealKey {
	// Fails only for a length above 255 hashes.
	key, _ := hkdf.Key(sha256.New, secret, nil, "gatehouse audit seal 1 "+origin, sha256.Size)
	return key
}

// seal adds the seal to the record that begins at start and follows before. Without a
// key it adds nothing.
func (k sealKey) seal(lines []byte, start int, before ...[]byte) []byte {
	if k == nil {
		return lines
	}
	lines = lines[:len(lines)-1] // the closing brace
	h := hmac.New(sha256.New, k)
	for _, part := range before {
		_, _ = h.Write(part)
	}
	_, _ = h.Write(lines[start:])
	lines = append(lines, `,"mac":"`...)
	lines = base64.RawURLEncoding.AppendEncode(lines, h.Sum(nil)[:sealBytes])
	return append(lines, `"}`...)
}

// isSealed reports whether this log has written the line after before.
func (k sealKey) isSealed(line []byte, before ...[]byte) bool {
	end := len(line) - sealLength - 1
	return k == nil || end > 0 && hmac.Equal(k.seal(append(bytes.Clone(line[:end]), '}'), 0, before...), line)
}

// sealKey returns the key of the seals, nil if the private key is not in memory.
func (k *noteKey) sealKey() sealKey {
	switch private := k.signer.(type) {
	case ed25519.PrivateKey:
		return newSealKey(private.Seed(), k.name)
	case *ecdsa.PrivateKey:
		if secret, err := private.Bytes(); err == nil {
			return newSealKey(secret, k.name)
		}
	}
	return nil
}

// before returns the preceding content for the seal of the next record.
func (t *tree) before() [][]byte {
	before := make([][]byte, len(t.peaks))
	for i := range t.peaks {
		before[i] = t.peaks[i][:]
	}
	return before
}

// Sealer numbers and seals the records of a log without files, such as those of a
// database. Each record has a seal over itself and the record before, so that without
// the secret no record can be changed, removed, inserted or moved unnoticed:
// [VerifyRecords] names the first such record. It is safe for concurrent use.
type Sealer struct {
	origin string
	key    sealKey
}

// NewSealer returns a sealer. origin is the name of the log, see [Config]. All processes
// that write to the log, and those that verify it, need the same secret: at least 32
// bytes. It does not sign checkpoints. To change the secret, begin a new log.
func NewSealer(origin string, secret gatehouse.Secret) (*Sealer, error) {
	var errs []error
	if !isOrigin(origin) {
		errs = append(errs, fmt.Errorf("audit: NewSealer: origin: got %q, want printable ASCII without spaces and plus signs", origin))
	}
	if n := len(secret.Reveal()); n < 32 {
		errs = append(errs, fmt.Errorf("audit: NewSealer: secret: got %d bytes, want at least 32", n))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Sealer{origin, newSealKey(secret.Reveal(), origin)}, nil
}

// Seal returns a record, a JSON object that is not empty, with its number seq and its
// seal. last is the record before, nil for number 0.
func (s *Sealer) Seal(seq int64, last, record []byte) ([]byte, error) {
	if len(record) < 3 || record[0] != '{' || record[len(record)-1] != '}' {
		return nil, errors.New("audit: Seal: want a JSON object with a member")
	}
	return s.key.seal(number(nil, seq, record[1:]), 0, last), nil
}
