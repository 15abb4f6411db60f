// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	hashesSuffix      = ".hashes"
	checkpointsSuffix = ".checkpoints"
)

// writer owns the files of an open log.
type writer struct {
	path     string
	maxBytes int64
	key      *noteKey
	sealKey  sealKey // nil without the key in memory

	records     *os.File
	identity    os.FileInfo // of records
	size        int64       // of records
	hashes      *os.File
	checkpoints *os.File

	tree   tree
	signed int64 // size of the last checkpoint
	due    bool  // a checkpoint could not be signed: no record may follow before it is
	broken error // why nothing can be written anymore
	buffer []byte
	stored []tlog.Hash
}

// openWriter opens the files of a log. The order of writing is: records, synced; hashes;
// and for a checkpoint: hashes synced, then the checkpoint. So a killed process can leave
// an incomplete last line, missing hashes or an incomplete checkpoint, but nothing else.
func openWriter(path string, maxBytes int64, key *noteKey) (_ *writer, err error) {
	w := &writer{path: path, maxBytes: maxBytes, key: key, sealKey: key.sealKey()}
	defer func() {
		if err != nil {
			_ = w.close()
		}
	}()
	for suffix, file := range map[string]**os.File{"": &w.records, hashesSuffix: &w.hashes, checkpointsSuffix: &w.checkpoints} {
		// The records name callers: no other user may read them.
		if *file, err = os.OpenFile(path+suffix, os.O_RDWR|os.O_CREATE, 0o600); err != nil { //nolint:gosec // the application names its log
			return nil, err
		}
	}
	if err := lock(w.hashes); err != nil {
		return nil, err
	}
	if err := syncDir(path); err != nil { // the names of new files
		return nil, err
	}
	last, err := w.recoverCheckpoints()
	if err != nil {
		return nil, err
	}
	return w, w.recoverRecords(last)
}

// hash adds a record to the tree, and its hashes to out.
func (w *writer) hash(out, line []byte) []byte {
	w.stored = w.tree.append(tlog.RecordHash(line), w.stored)
	for i := range w.stored {
		out = append(out, w.stored[i][:]...)
	}
	return out
}

// append writes records, each without its number, and syncs them.
func (w *writer) append(records [][]byte) error {
	if w.broken != nil {
		return w.broken
	}
	if w.due {
		if err := w.checkpoint(); err != nil {
			return err
		}
	}
	if w.size >= w.maxBytes {
		if err := w.rotate(); err != nil {
			return w.fail(err)
		}
	}
	if named, err := os.Stat(w.path); err != nil || !os.SameFile(named, w.identity) {
		return w.fail(errors.New("the file of the records was removed or replaced"))
	}
	before := tree{w.tree.n, slices.Clone(w.tree.peaks)}
	lines := w.buffer[:0]
	var out []byte
	for _, record := range records {
		start := len(lines)
		lines = w.sealKey.seal(number(lines, w.tree.n, record), start, w.tree.before()...)
		out = w.hash(out, lines[start:])
		lines = append(lines, '\n')
	}
	w.buffer = lines
	if _, err := w.records.Write(lines); err != nil {
		// A full disk: remove the part, so that the next record is whole.
		w.tree = before
		if cutErr := w.cut(w.records, w.size); cutErr != nil {
			return w.fail(errors.Join(err, cutErr))
		}
		return fmt.Errorf("audit: write: %w", err)
	}
	if err := w.records.Sync(); err != nil {
		return w.fail(err) // what is on the disk is unknown, so no record may follow
	}
	w.size += int64(len(lines))
	if _, err := w.hashes.Write(out); err != nil {
		_ = w.fail(err) // the records are on the disk: Open computes the hashes
	}
	return nil
}

// fail makes the log unusable: opening it again recovers it.
func (w *writer) fail(err error) error {
	w.broken = fmt.Errorf("audit: write: %w: no record can be written until the log is opened again", err)
	return w.broken
}

// checkpoint signs the records since the last checkpoint.
func (w *writer) checkpoint() error {
	if w.broken != nil || w.signed == w.tree.n {
		return w.broken
	}
	if err := w.hashes.Sync(); err != nil {
		return w.fail(err)
	}
	text, err := w.key.sign(&w.tree)
	if w.due = err != nil; w.due {
		return fmt.Errorf("audit: sign: %w", err)
	}
	if _, err := w.checkpoints.Write(append(text, '\n')); err != nil {
		return w.fail(err)
	}
	if err := w.checkpoints.Sync(); err != nil {
		return w.fail(err)
	}
	w.signed = w.tree.n
	return nil
}

// rotate begins a new file of records.
func (w *writer) rotate() error {
	first, err := firstRecord(w.path)
	if err != nil {
		return err
	}
	if err := os.Rename(w.path, rotated(w.path, first)); err != nil {
		return err
	}
	next, err := os.OpenFile(w.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(w.records.Close(), syncDir(w.path))
	w.records, w.size = next, 0
	identity, statErr := next.Stat()
	w.identity = identity
	return errors.Join(err, statErr)
}

// cut truncates a file to size and continues there.
func (w *writer) cut(file *os.File, size int64) error {
	if err := file.Truncate(size); err != nil {
		return err
	}
	_, err := file.Seek(size, io.SeekStart)
	return err
}

func (w *writer) close() error {
	var errs []error
	for _, file := range []*os.File{w.records, w.checkpoints, w.hashes} {
		if file != nil {
			errs = append(errs, file.Close())
		}
	}
	return errors.Join(errs...)
}

// syncDir makes the names in the directory of a file durable.
func syncDir(path string) error {
	dir, err := openFile(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
