// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto/sha256"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is a Merkle tree of RFC 6962 section 2.1 that knows only its complete
// subtrees, the largest first: one for each bit of n.
type tree struct {
	n     int64 // number of records
	peaks []tlog.Hash
}

// append adds the hash of a record. It returns the hashes of all subtrees that
// the record completes, its own first: what the hash file stores for the record.
// The result is valid until the next call.
func (t *tree) append(record tlog.Hash, stored []tlog.Hash) []tlog.Hash {
	stored = append(stored[:0], record)
	for bits := t.n; bits&1 == 1; bits >>= 1 {
		last := len(t.peaks) - 1
		record = tlog.NodeHash(t.peaks[last], record)
		t.peaks = t.peaks[:last]
		stored = append(stored, record)
	}
	t.peaks = append(t.peaks, record)
	t.n++
	return stored
}

// root returns the hash of the tree.
func (t *tree) root() tlog.Hash {
	if t.n == 0 {
		return sha256.Sum256(nil)
	}
	root := t.peaks[len(t.peaks)-1]
	for i := len(t.peaks) - 2; i >= 0; i-- {
		root = tlog.NodeHash(t.peaks[i], root)
	}
	return root
}

// hashes reads a hash file.
type hashes struct{ io.ReaderAt }

// ReadHashes implements [tlog.HashReader].
func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	read := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if _, err := h.ReadAt(read[i][:], index*tlog.HashSize); err != nil {
			return nil, err
		}
	}
	return read, nil
}

// tree returns the tree of the first n records.
func (h hashes) tree(n int64) (tree, error) {
	t := tree{n: n}
	var done int64
	for level := 62; level >= 0; level-- {
		if n>>level&1 == 1 {
			peak, err := h.ReadHashes([]int64{tlog.StoredHashIndex(level, done>>level)})
			if err != nil {
				return tree{}, err
			}
			t.peaks = append(t.peaks, peak[0])
			done += 1 << level
		}
	}
	return t, nil
}
