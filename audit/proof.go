// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const proofHeader = "c2sp.org/tlog-proof@v1"

// Prove returns a proof in the format C2SP tlog-proof that record n is in the
// log. It proves against the last checkpoint, which must sign the record. The
// proof has at most 63 hashes: about 1.3 KB for a log of ten million records.
func Prove(path string, key crypto.PublicKey, n int64) ([]byte, error) {
	fail := func(err error) ([]byte, error) { return nil, fmt.Errorf("audit: prove record %d: %w", n, err) }
	last, err := LastCheckpoint(path)
	if err != nil {
		return fail(err)
	}
	point, err := openCheckpoint(last, key)
	if err != nil {
		return fail(err)
	}
	if n < 0 || n >= point.N {
		return fail(fmt.Errorf("the last checkpoint signs %d records", point.N))
	}
	file, err := openFile(path + hashesSuffix)
	if err != nil {
		return fail(err)
	}
	defer func() { _ = file.Close() }()
	siblings, err := tlog.ProveRecord(point.N, n, hashes{file})
	if err != nil {
		return fail(err)
	}
	out := fmt.Appendf(nil, "%s\nindex %d\n", proofHeader, n)
	for _, hash := range siblings {
		out = append(base64.StdEncoding.AppendEncode(out, hash[:]), '\n')
	}
	return append(append(out, '\n'), point.text...), nil
}

// CheckProof checks that a proof in the format C2SP tlog-proof proves that the
// log with this public key contains the record, a line without its line break.
// It returns the number of the record and the origin of the log. The caller must
// compare the origin if several logs share the key.
func CheckProof(proof, record []byte, key crypto.PublicKey) (n int64, origin string, err error) {
	fail := func(err error) (int64, string, error) { return 0, "", fmt.Errorf("audit: proof: %w", err) }
	if len(proof) > maxCheckpoint {
		return fail(errors.New("too long"))
	}
	head, text, found := bytes.Cut(proof, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || len(lines) < 2 || lines[0] != proofHeader {
		return fail(errors.New("not a tlog-proof"))
	}
	if strings.HasPrefix(lines[1], "extra ") { // opaque, and not signed
		lines = append(lines[:1], lines[2:]...)
	}
	if len(lines) < 2 {
		return fail(errors.New("no index"))
	}
	digits, found := strings.CutPrefix(lines[1], "index ")
	n, err = strconv.ParseInt(digits, 10, 64)
	if !found || err != nil || n < 0 || strconv.FormatInt(n, 10) != digits {
		return fail(errors.New("malformed index"))
	}
	var hashes tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return fail(errors.New("malformed hash"))
		}
		hashes = append(hashes, hash)
	}
	point, err := openCheckpoint(text, key)
	if err != nil {
		return fail(err)
	}
	if n >= point.N {
		return fail(fmt.Errorf("the checkpoint signs %d records and the index is %d", point.N, n))
	}
	if err := tlog.CheckRecord(hashes, point.N, point.Hash, n, tlog.RecordHash(record)); err != nil {
		return fail(err)
	}
	return n, point.origin, nil
}

// LastCheckpoint returns the last checkpoint of a log, without verifying its
// signature.
func LastCheckpoint(path string) ([]byte, error) {
	file, err := openFile(path + checkpointsSuffix)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	last, _, err := lastCheckpoint(file, info.Size())
	switch {
	case err != nil:
		return nil, fmt.Errorf("audit: %w", err)
	case last == nil:
		return nil, errors.New("audit: there is no checkpoint")
	}
	return last, nil
}

// lastCheckpoint returns the last complete checkpoint, nil if there is none, and
// where it ends.
func lastCheckpoint(file io.ReaderAt, size int64) (last []byte, end int64, err error) {
	start := max(0, size-2*maxCheckpoint)
	tail := make([]byte, size-start)
	if _, err := file.ReadAt(tail, start); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	// A checkpoint ends with a signature line and an empty line.
	const dash = "\n— "
	for {
		cut := bytes.LastIndex(tail, []byte("\n\n"))
		if cut < 0 {
			return nil, 0, nil
		}
		if line := bytes.LastIndexByte(tail[:cut], '\n'); line >= 0 && bytes.HasPrefix(tail[line:], []byte(dash)) {
			end = start + int64(cut) + 2
			body := tail[:cut+1]
			// It begins behind the one before: its second empty line from the end.
			first := 0
			if blank := bytes.LastIndex(body, []byte("\n\n")); blank >= 0 {
				if before := bytes.LastIndex(body[:blank], []byte("\n\n")); before >= 0 {
					first = before + 2
				}
			}
			return bytes.Clone(body[first:]), end, nil
		}
		tail = tail[:cut+1]
	}
}
