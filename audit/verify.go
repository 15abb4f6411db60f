// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bufio"
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/mod/sumdb/tlog"
)

// Report is the result of [Verify] for a log without a fault.
type Report struct {
	// Origin is the name of the log in its checkpoints.
	Origin string
	// Records is the number of records.
	Records int64
	// Signed is the number of records that the last checkpoint signs. It is less
	// than Records while the log is open, or after its process was killed.
	Signed int64
	// Checkpoint is the last checkpoint. Keep a copy on another machine.
	Checkpoint []byte
}

// Verify reads a log once, with memory that does not depend on its size, and checks every
// record against the hashes, and the hashes against every checkpoint. key is the public
// key of the log. kept are checkpoints that were kept elsewhere: the log must contain
// their records. Without one, Verify cannot detect that everything after an earlier
// checkpoint was removed.
//
// The error is a [*Fault] that names the first record that was changed, or
// another error if a file cannot be read. The records after the last checkpoint
// are compared with the hashes only. The log may be open in another process: then
// Verify ends at the first record whose hash was not yet written when it began.
func Verify(path string, key crypto.PublicKey, kept ...[]byte) (Report, error) {
	v := verifier{key: key}
	for i, text := range kept {
		point, err := openCheckpoint(text, key)
		if err != nil {
			return Report{}, fmt.Errorf("audit: kept checkpoint %d: %w", i, err)
		}
		v.kept = append(v.kept, point)
	}
	if err := v.open(path); err != nil {
		return Report{}, fmt.Errorf("audit: verify: %w", err)
	}
	defer v.close()
	if err := v.run(); err != nil {
		return Report{}, err
	}
	return Report{Origin: v.last.origin, Records: v.tree.n, Signed: v.last.N, Checkpoint: v.last.text}, nil
}

// verifier is one pass of Verify.
type verifier struct {
	key  crypto.PublicKey
	kept []checkpoint

	records    *records
	hashFile   *os.File
	hashes     *bufio.Reader
	writing    bool // a process has the log open
	pointsFile *os.File
	points     checkpoints

	tree    tree
	last    checkpoint  // the last one that matched
	pending *checkpoint // the next one, nil at the end
	suspect *Fault      // the first record since last that differs from its hash
	damaged *Fault      // the first wrong hash of an intact record
}

// open opens the files against the order in which they are written, and reads no
// more of checkpoints and hashes than they have now. So each checkpoint has its
// hashes, and each hash its record, also while a process writes.
func (v *verifier) open(path string) (err error) {
	defer func() {
		if err != nil {
			v.close()
		}
	}()
	if v.hashFile, err = openFile(path + hashesSuffix); err != nil {
		return err
	}
	v.writing = isOpen(v.hashFile)
	if v.pointsFile, err = openFile(path + checkpointsSuffix); err != nil {
		return err
	}
	points, err := present(v.pointsFile)
	if err != nil {
		return err
	}
	hashes, err := present(v.hashFile)
	if err != nil {
		return err
	}
	v.points, v.hashes = checkpoints{bufio.NewReader(points)}, bufio.NewReaderSize(hashes, 64<<10)
	v.records, err = openRecords(path, 0)
	return err
}

// present reads what a file has now.
func present(file *os.File) (io.Reader, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return io.LimitReader(file, info.Size()), nil
}

func (v *verifier) close() {
	if v.records != nil {
		v.records.close()
	}
	for _, file := range []*os.File{v.hashFile, v.pointsFile} {
		if file != nil {
			_ = file.Close()
		}
	}
}

func (v *verifier) run() error {
	if err := v.advance(); err != nil {
		return err
	}
	var stored []tlog.Hash
	for {
		if err := v.compare(); err != nil {
			return err
		}
		line, err := v.records.next()
		if errors.Is(err, io.EOF) {
			return v.end()
		} else if errors.Is(err, errTooLong) {
			return &Fault{First: v.tree.n, Problem: Changed}
		} else if err != nil {
			return fmt.Errorf("audit: verify: record %d: %w", v.tree.n, err)
		}
		n, number := v.tree.n, numberOf(line)
		record := tlog.RecordHash(line)
		size := int(tlog.StoredHashCount(n+1)-tlog.StoredHashCount(n)) * tlog.HashSize
		if _, err := v.hashes.Peek(size); err != nil && v.writing && v.suspect == nil && number == n {
			return v.written()
		}
		stored = v.tree.append(record, stored)
		equal := true
		for i := range stored {
			var want tlog.Hash
			_, err := io.ReadFull(v.hashes, want[:])
			equal = equal && err == nil && want == stored[i]
		}
		if v.suspect == nil && (!equal || number != n) {
			v.suspect = &Fault{First: n, Problem: v.classify(n, number, record)}
		}
	}
}

// classify says what happened at record n, where a record with another number or
// hash stands.
func (v *verifier) classify(n, number int64, record tlog.Hash) Problem {
	// The hash that the file has for a record, none if the file ends before it.
	written := func(n int64) (h tlog.Hash) {
		_, _ = v.hashFile.ReadAt(h[:], tlog.StoredHashIndex(0, n)*tlog.HashSize)
		return h
	}
	next := v.records.peek()
	nextIsThis := next != nil && tlog.RecordHash(next) == written(n)
	switch {
	case written(n) == (tlog.Hash{}):
		return Inserted // behind the end of the log
	case nextIsThis && record == written(n+1):
		return OutOfPlace
	case nextIsThis:
		return Inserted
	case number > n && record == written(number):
		return Missing
	case number >= 0 && number < n && record == written(number):
		return OutOfPlace
	}
	return Changed
}

// compare checks the checkpoints of the records so far.
func (v *verifier) compare() error {
	for i := range v.kept {
		if v.kept[i].N == v.tree.n && v.kept[i].Hash != v.tree.root() {
			return v.rewritten()
		}
	}
	for v.pending != nil && v.pending.N == v.tree.n {
		if v.pending.Hash != v.tree.root() {
			return v.rewritten()
		}
		if v.damaged == nil && v.suspect != nil {
			v.damaged = &Fault{First: v.suspect.First, Problem: HashesChanged}
		}
		v.last, v.suspect = *v.pending, nil
		if err := v.advance(); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) rewritten() error {
	if v.suspect != nil {
		return v.suspect
	}
	return &Fault{First: v.last.N, Last: v.tree.n - 1, Problem: Rewritten}
}

// advance reads the next checkpoint.
func (v *verifier) advance() error {
	v.pending = nil
	text, err := v.points.next()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && v.writing {
		return nil
	}
	var point checkpoint
	if err == nil {
		point, err = openCheckpoint(text, v.key)
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("it is incomplete; if the process was killed, open the log once")
	case err != nil:
	case v.last.origin != "" && point.origin != v.last.origin:
		err = fmt.Errorf("got the origin %q, want %q", point.origin, v.last.origin)
	case point.N < v.last.N:
		err = fmt.Errorf("it signs %d records and the one before %d", point.N, v.last.N)
	default:
		v.pending = &point
		return nil
	}
	return &Fault{First: v.last.N, Problem: CheckpointChanged, Cause: err}
}

// written ends the pass where the process that has the log open had not yet
// written all hashes of the record.
func (v *verifier) written() error {
	_, _ = v.hashes.Discard(v.hashes.Buffered())
	return v.end()
}

// end checks what remains after the last record.
func (v *verifier) end() error {
	largest := int64(-1)
	for i := range v.kept {
		largest = max(largest, v.kept[i].N)
	}
	_, err := v.hashes.ReadByte()
	switch {
	case v.suspect != nil:
		return v.suspect
	case v.pending != nil || largest > v.tree.n || err == nil:
		return &Fault{First: v.tree.n, Problem: Missing}
	case v.damaged != nil:
		return v.damaged
	case v.last.text == nil:
		return &Fault{Problem: CheckpointChanged, Cause: errors.New("there is no checkpoint")}
	case largest > v.last.N:
		return &Fault{First: v.last.N, Problem: CheckpointChanged, Cause: errors.New("checkpoints were removed")}
	}
	return nil
}

// Record returns the record with number n, without its line break.
func Record(path string, n int64) ([]byte, error) {
	in, err := openRecords(path, n)
	if err != nil {
		return nil, fmt.Errorf("audit: record %d: %w", n, err)
	}
	defer in.close()
	for {
		line, err := in.next()
		if err != nil {
			return nil, fmt.Errorf("audit: record %d: %w", n, err)
		}
		if numberOf(line) == n {
			return bytes.Clone(line), nil
		}
	}
}
