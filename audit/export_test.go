// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// HashFile returns the hash file of records.
func HashFile(lines [][]byte) []byte {
	var w writer
	var out []byte
	for _, line := range lines {
		out = w.hash(out, bytes.TrimSuffix(line, []byte("\n")))
	}
	return out
}

// Root returns the root of the first n records of a log by the functions of
// package tlog.
func Root(n int64, hashes []byte) (tlog.Hash, error) {
	return tlog.TreeHash(n, tlogHashes(hashes))
}

type tlogHashes []byte

func (h tlogHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	read := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		copy(read[i][:], h[index*32:])
	}
	return read, nil
}

// WriteLarge writes a log of n records in batches, as a busy log does. It returns
// the offset of a byte in the record with the given number.
func WriteLarge(t testing.TB, path string, signer crypto.Signer, n, number int) (offset int64) {
	t.Helper()
	key, err := newKey("api.example.com/audit", signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	w, err := openWriter(path, 1<<62, key)
	if err != nil {
		t.Fatal(err)
	}
	record := []byte(`"type":"decision","decision":"allowed","subject":"alice","padding":"` + strings.Repeat("x", 300) + `"}`)
	batch := make([][]byte, 1000)
	for i := range batch {
		batch[i] = record
	}
	for done := 0; done < n; done += len(batch) {
		batch = batch[:min(len(batch), n-done)]
		if number >= done && number < done+len(batch) {
			if err := w.append(batch[:number-done]); err != nil {
				t.Fatal(err)
			}
			offset = w.size + 100
			if err := w.append(batch[number-done:]); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := w.append(batch); err != nil {
			t.Fatal(err)
		}
		if done%100_000 == 0 {
			if err := w.checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(w.checkpoint(), w.close()); err != nil {
		t.Fatal(err)
	}
	return offset
}

// Unsynced opens a log in which one file is a pipe, which takes what is written and cannot
// be synced. It returns the errors of a record, of a checkpoint and of the next record.
func Unsynced(t testing.TB, path string, signer crypto.Signer, suffix string) [3]error {
	t.Helper()
	key, err1 := newKey("api.example.com/audit", signer.Public(), signer)
	w, err2 := openWriter(path, 1<<62, key)
	reader, pipe, err3 := os.Pipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	file := map[string]**os.File{"": &w.records, hashesSuffix: &w.hashes, checkpointsSuffix: &w.checkpoints}[suffix]
	t.Cleanup(func() { _ = errors.Join(reader.Close(), w.close()) })
	_, *file = (*file).Close(), pipe
	record := [][]byte{[]byte(`"type":"decision"}`)}
	return [3]error{w.append(record), w.checkpoint(), w.append(record)}
}

// Recover recovers a log in which one file can only be read, or only be written.
func Recover(t testing.TB, path string, signer crypto.Signer, suffix string, flag int) error {
	t.Helper()
	key, err := newKey("api.example.com/audit", signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	w := &writer{path: path, key: key, sealKey: key.sealKey()}
	t.Cleanup(func() { _ = w.close() })
	for name, file := range map[string]**os.File{"": &w.records, hashesSuffix: &w.hashes, checkpointsSuffix: &w.checkpoints} {
		mode := os.O_RDWR
		if name == suffix {
			mode = flag
		}
		if *file, err = os.OpenFile(path+name, mode, 0); err != nil {
			t.Fatal(err)
		}
	}
	last, err := w.recoverCheckpoints()
	if err != nil {
		return err
	}
	return w.recoverRecords(last)
}

// BeginVerify opens the files as [Verify] does and returns the rest of it.
func BeginVerify(path string, key crypto.PublicKey) (finish func() (int64, error), err error) {
	v := verifier{key: key}
	if err := v.open(path); err != nil {
		return nil, err
	}
	return func() (int64, error) {
		defer v.close()
		err := v.run()
		return v.tree.n, err
	}, nil
}
