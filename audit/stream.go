// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// SignRecords reads the records of a log without files, such as those of a database,
// and returns a checkpoint that signs them, in the format of the checkpoints of a
// [Log]. Like VerifyRecords, it refuses records that contradict seal or a kept
// checkpoint, so pass the last checkpoint. It reads all records in constant memory.
// Keep the checkpoints outside of the database. For the key see [Config].
func SignRecords(records iter.Seq2[[]byte, error], seal *Sealer, key crypto.Signer, kept ...[]byte) ([]byte, error) {
	if seal == nil {
		return nil, errSealer
	}
	if typednil.Is(key) {
		return nil, errors.New("audit: SignRecords: key: required")
	}
	signer, err := newKey(seal.origin, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("audit: SignRecords: key: %w", err)
	}
	t, _, err := readRecords(records, seal, key.Public(), kept)
	if err != nil {
		return nil, err
	}
	text, err := signer.sign(&t)
	if err != nil {
		return nil, fmt.Errorf("audit: sign: %w", err)
	}
	return text, nil
}

var errSealer = errors.New("audit: seal: required")

// VerifyRecords reads the records of a log without files, such as those of a database,
// the first one first, and compares them with their seals and with the checkpoints that
// [SignRecords] has made with the private half of the key. It needs at least one
// checkpoint. It returns the number of records and the number of those that a checkpoint
// signs.
//
// A [*Fault] names the first record that was changed. If an attacker has the secret of
// seal, the fault may only name the range between two checkpoints ([Rewritten]): with
// more checkpoints this range is shorter. Records that were removed from the end are
// reported as missing if a checkpoint signs them.
func VerifyRecords(records iter.Seq2[[]byte, error], seal *Sealer, key crypto.PublicKey, checkpoints ...[]byte) (total, signed int64, err error) {
	if seal == nil {
		return 0, 0, errSealer
	}
	if len(checkpoints) == 0 {
		return 0, 0, errors.New("audit: VerifyRecords: checkpoints: at least one is required")
	}
	t, signed, err := readRecords(records, seal, key, checkpoints)
	return t.n, signed, err
}

func readRecords(records iter.Seq2[[]byte, error], seal *Sealer, key crypto.PublicKey, checkpoints [][]byte) (t tree, signed int64, err error) {
	points := make(map[int64]checkpoint, len(checkpoints))
	var largest int64
	for _, text := range checkpoints {
		point, err := openCheckpoint(text, key)
		if err != nil {
			return t, 0, fmt.Errorf("audit: %w", err)
		}
		other, ok := points[point.N]
		switch {
		case point.origin != seal.origin:
			return t, 0, fmt.Errorf("audit: checkpoint: got the origin %q, want %q", point.origin, seal.origin)
		case ok && other.Hash != point.Hash:
			return t, 0, fmt.Errorf("audit: checkpoint: two with %d records contradict each other", point.N)
		}
		points[point.N] = point
		largest = max(largest, point.N)
	}
	check := func() error {
		point, ok := points[t.n]
		if ok && point.Hash != t.root() {
			return &Fault{First: signed, Last: max(t.n-1, 0), Problem: Rewritten}
		}
		if ok {
			signed = t.n
		}
		return nil
	}
	if err := check(); err != nil {
		return t, 0, err
	}
	var stored []tlog.Hash
	var last []byte
	for line, err := range records {
		if err != nil {
			return t, signed, fmt.Errorf("audit: record %d: %w", t.n, err)
		}
		switch n := numberOf(line); {
		case n < 0:
			return t, signed, &Fault{First: t.n, Problem: Changed}
		case n > t.n:
			return t, signed, &Fault{First: t.n, Problem: Missing}
		case n < t.n:
			return t, signed, &Fault{First: t.n, Problem: OutOfPlace}
		case !seal.key.isSealed(line, last):
			return t, signed, &Fault{First: t.n, Problem: Changed}
		}
		last = append(last[:0], line...)
		stored = t.append(tlog.RecordHash(line), stored)
		if err := check(); err != nil {
			return t, signed, err
		}
	}
	if t.n < largest {
		return t, signed, &Fault{First: t.n, Problem: Missing}
	}
	return t, signed, nil
}
