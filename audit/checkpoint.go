// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// checkpoint is a signed root of the tree.
type checkpoint struct {
	origin string
	tlog.Tree
	text []byte // the signed note
}

// noteKey signs or verifies notes: [note.Signer] and [note.Verifier].
type noteKey struct {
	name   string
	id     uint32
	public crypto.PublicKey
	signer crypto.Signer // nil for a verifier
}

// The types of signatures of C2SP signed-note.
const typeEd25519 = 0x01

// newKey returns the key of a log with this origin. It accepts Ed25519 and ECDSA
// with P-256.
func newKey(origin string, public crypto.PublicKey, signer crypto.Signer) (*noteKey, error) {
	k := &noteKey{name: origin, public: public, signer: signer}
	var sum [sha256.Size]byte
	switch public := public.(type) {
	case ed25519.PublicKey:
		sum = sha256.Sum256(append([]byte(origin+"\n"), append([]byte{typeEd25519}, public...)...))
	case *ecdsa.PublicKey:
		if public == nil || public.Curve != elliptic.P256() {
			return nil, errors.New("want Ed25519 or ECDSA with P-256")
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return nil, err
		}
		sum = sha256.Sum256(der)
	default:
		return nil, fmt.Errorf("got %T, want Ed25519 or ECDSA with P-256", public)
	}
	k.id = binary.BigEndian.Uint32(sum[:4])
	return k, nil
}

func (k *noteKey) Name() string    { return k.name }
func (k *noteKey) KeyHash() uint32 { return k.id }

func (k *noteKey) Sign(text []byte) ([]byte, error) {
	if _, ok := k.public.(ed25519.PublicKey); ok {
		return k.signer.Sign(rand.Reader, text, crypto.Hash(0))
	}
	digest := sha256.Sum256(text)
	return k.signer.Sign(rand.Reader, digest[:], crypto.SHA256)
}

func (k *noteKey) Verify(text, signature []byte) bool {
	switch public := k.public.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(public, text, signature)
	case *ecdsa.PublicKey:
		digest := sha256.Sum256(text)
		return ecdsa.VerifyASN1(public, digest[:], signature)
	}
	return false
}

// isOrigin reports whether a text can be the origin of a checkpoint and the name of its
// key, by the rules of C2SP signed-note.
func isOrigin(origin string) bool {
	return origin != "" && !strings.ContainsFunc(origin, func(r rune) bool {
		return r <= ' ' || r == '+' || r == 0x7f || r >= 0x80
	})
}

// sign returns the signed checkpoint of a tree.
func (k *noteKey) sign(t *tree) ([]byte, error) {
	root := t.root()
	text := fmt.Sprintf("%s\n%d\n%s\n", k.name, t.n, base64.StdEncoding.EncodeToString(root[:]))
	return note.Sign(&note.Note{Text: text}, k)
}

// openCheckpoint verifies the signature of a checkpoint and parses it.
func openCheckpoint(text []byte, key crypto.PublicKey) (checkpoint, error) {
	origin, _, _ := strings.Cut(string(text), "\n")
	if !isOrigin(origin) {
		return checkpoint{}, errors.New("checkpoint: malformed origin")
	}
	k, err := newKey(origin, key, nil)
	if err != nil {
		return checkpoint{}, fmt.Errorf("key: %w", err)
	}
	n, err := note.Open(text, note.VerifierList(k))
	if _, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		return checkpoint{}, errors.New("checkpoint: no signature by this key: check that it is the key of the log")
	}
	if err != nil {
		return checkpoint{}, fmt.Errorf("checkpoint: %w: want one checkpoint, without the empty line after it", err)
	}
	for _, signature := range append(n.Sigs, n.UnverifiedSigs...) {
		if _, err := base64.StdEncoding.Strict().DecodeString(signature.Base64); err != nil {
			return checkpoint{}, errors.New("checkpoint: signature: not canonical base64")
		}
	}
	// C2SP tlog-checkpoint: origin, tree size without leading zeroes, root hash.
	lines := strings.Split(n.Text, "\n")
	if len(lines) != 4 {
		return checkpoint{}, errors.New("checkpoint: must have three lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return checkpoint{}, errors.New("checkpoint: malformed size")
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return checkpoint{}, errors.New("checkpoint: malformed root hash")
	}
	return checkpoint{origin: origin, Tree: tlog.Tree{N: size, Hash: root}, text: text}, nil
}

// checkpoints reads a file of checkpoints, each followed by an empty line.
type checkpoints struct{ *bufio.Reader }

// maxCheckpoint is the maximum size of a checkpoint with its signatures.
const maxCheckpoint = 64 << 10

// next returns the next note, io.EOF at the end, and io.ErrUnexpectedEOF if the
// last checkpoint is incomplete.
func (c checkpoints) next() ([]byte, error) {
	var text []byte
	for empty := 0; empty < 2; {
		line, err := c.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(text)+len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
		if len(line) == 1 {
			empty++
		}
		if text = append(text, line...); len(text) > maxCheckpoint {
			return nil, errors.New("checkpoint: too long")
		}
	}
	return text[:len(text)-1], nil
}
