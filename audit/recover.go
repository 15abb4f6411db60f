// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"
)

// recoverCheckpoints reads the last checkpoint and removes an incomplete one.
func (w *writer) recoverCheckpoints() (tlog.Tree, error) {
	info, err := w.checkpoints.Stat()
	if err != nil {
		return tlog.Tree{}, err
	}
	last, end, err := lastCheckpoint(w.checkpoints, info.Size())
	if err != nil {
		return tlog.Tree{}, err
	}
	if err := w.cut(w.checkpoints, end); err != nil || last == nil {
		return tlog.Tree{}, err
	}
	point, err := openCheckpoint(last, w.key.public)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%w: is this the Key of the log?", err)
	}
	if point.origin != w.key.name {
		return tlog.Tree{}, fmt.Errorf("the log has the origin %q and Config.Origin is %q", point.origin, w.key.name)
	}
	w.signed = point.N
	return point.Tree, nil
}

// recoverRecords brings records and hashes to the same number of records, and
// checks that the hashes are those of the last checkpoint.
func (w *writer) recoverRecords(last tlog.Tree) error {
	info, err := w.records.Stat()
	if err != nil {
		return err
	}
	end, n, err := lastRecord(w.records, info.Size())
	if err != nil {
		return err
	}
	if n < 0 { // no record in this file: it was created by a rotation, or is new
		files, err := recordFiles(w.path)
		if err != nil {
			return err
		}
		if len(files) > 1 {
			if n, err = lastOf(files[len(files)-2]); err != nil {
				return err
			}
		}
	}
	w.size, w.identity = end, info
	if err := w.cut(w.records, end); err != nil {
		return err
	}
	count := n + 1
	if count < last.N {
		return fmt.Errorf("the last checkpoint signs %d records and the log has %d: restore it, see audit.Verify", last.N, count)
	}
	if w.tree, err = (hashes{w.hashes}).tree(last.N); err != nil || last.N > 0 && w.tree.root() != last.Hash {
		return fmt.Errorf("the hashes are not those of the last checkpoint: restore the log, see audit.Verify (%w)", err)
	}
	return w.recoverHashes(last.N, count, end < info.Size())
}

// recoverHashes compares the records behind the last checkpoint with their hashes, and
// adds the hashes that a killed process did not write. Records that were changed or
// removed meanwhile are an error. torn says that an incomplete last line was removed,
// which may be a record with a hash.
func (w *writer) recoverHashes(signed, count int64, torn bool) error {
	info, err := w.hashes.Stat()
	if err != nil {
		return err
	}
	at := tlog.StoredHashCount(signed) * tlog.HashSize
	stored := bufio.NewReader(io.NewSectionReader(w.hashes, at, info.Size()-at))
	var missing []byte
	if count > signed {
		in, err := openRecords(w.path, signed)
		if err != nil {
			return err
		}
		defer in.close()
		for w.tree.n < count {
			line, err := in.next()
			switch {
			case err != nil:
				return fmt.Errorf("record %d: %w", w.tree.n, err)
			case w.tree.n == signed && numberOf(line) < signed:
				continue // the file begins before the checkpoint
			case numberOf(line) != w.tree.n || !w.sealKey.isSealed(line, w.tree.before()...):
				return fmt.Errorf("record %d was changed: restore the log, see audit.Verify", w.tree.n)
			}
			want := w.hash(nil, line)
			got := make([]byte, len(want))
			n, err := io.ReadFull(stored, got)
			if !bytes.Equal(got[:n], want[:n]) { //nolint:forbidigo // hashes in a file, not secret
				return fmt.Errorf("record %d was changed: restore the log, see audit.Verify", w.tree.n-1)
			}
			if err != nil {
				missing = append(missing, want...)
			}
		}
	}
	allowed := tlog.StoredHashCount(count)
	if torn {
		allowed = tlog.StoredHashCount(count + 1)
	}
	if info.Size() > allowed*tlog.HashSize {
		return fmt.Errorf("record %d is missing: restore the log, see audit.Verify", count)
	}
	if err := w.cut(w.hashes, tlog.StoredHashCount(count)*tlog.HashSize-int64(len(missing))); err != nil {
		return err
	}
	_, err = w.hashes.Write(missing)
	return err
}
