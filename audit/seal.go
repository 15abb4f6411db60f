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
)

// The hashes can be computed without a key, so they do not prove that a record behind
// the last checkpoint is one of the log: the member mac of each record does. It is an
// HMAC-SHA256, cut to 128 bits, over the tree of the records before and the record.
const (
	sealBytes  = 16
	sealLength = len(`,"mac":""`) + (sealBytes*8+5)/6 // in a record
)

// sealKey returns the key of the seals, nil if the private key is not in memory.
func (k *noteKey) sealKey() []byte {
	var secret []byte
	switch private := k.signer.(type) {
	case ed25519.PrivateKey:
		secret = private.Seed()
	case *ecdsa.PrivateKey:
		var err error
		if secret, err = private.Bytes(); err != nil {
			return nil
		}
	default:
		return nil
	}
	// It fails only for a length that no hash allows.
	key, _ := hkdf.Key(sha256.New, secret, nil, "gatehouse audit seal 1 "+k.name, sha256.Size)
	return key
}

// seal adds the seal to the record that begins at start and is the next one of the tree.
func (w *writer) seal(lines []byte, start int) []byte {
	if w.sealKey == nil {
		return lines
	}
	lines = lines[:len(lines)-1] // the closing brace
	h := hmac.New(sha256.New, w.sealKey)
	for _, peak := range w.tree.peaks {
		_, _ = h.Write(peak[:])
	}
	_, _ = h.Write(lines[start:])
	lines = append(lines, `,"mac":"`...)
	lines = base64.RawURLEncoding.AppendEncode(lines, h.Sum(nil)[:sealBytes])
	return append(lines, `"}`...)
}

// isSealed reports whether this log has written the line as the next record.
func (w *writer) isSealed(line []byte) bool {
	end := len(line) - sealLength - 1
	return w.sealKey == nil || end > 0 && hmac.Equal(w.seal(append(bytes.Clone(line[:end]), '}'), 0), line)
}
