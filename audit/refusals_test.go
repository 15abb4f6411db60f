// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/audit"
)

// Refusals of unknown callers beyond the rate become one record. All other events keep
// theirs.
func TestAnonymousRefusalsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, path := create(t, audit.Config{MaxAnonymous: 1})
		for range 3 { // one in each second
			send(t, l, gatehouse.Event{Decision: gatehouse.Rejected})
			time.Sleep(time.Second)
		}
		shut(t, l)
		verify(t, path, 1+3)
		for _, line := range lines(t, path) {
			if bytes.Contains(line, []byte("audit_refusals")) {
				t.Errorf("a record of one refusal in each second is %s, want none that counts", line)
			}
		}

		l, path = create(t, audit.Config{MaxAnonymous: 3})
		known := gatehouse.Principal{Method: "key", Subject: "alice"}
		for i := range 10 {
			for _, e := range []gatehouse.Event{
				{Type: "login", Method: "GET", Decision: []gatehouse.Decision{gatehouse.Rejected, gatehouse.Unavailable, ""}[i%3]},
				{Type: gatehouse.EventDecision, Decision: gatehouse.Denied, Principal: known},
				{Type: gatehouse.EventDecision, Decision: gatehouse.Rejected, Principal: known},
			} {
				send(t, l, e)
			}
		}
		shut(t, l)
		verify(t, path, 1+3+10+10+1)
		if last := lines(t, path)[24]; !bytes.Contains(last, []byte(`"audit_refusals","attrs":{"refusals":7}`)) {
			t.Errorf("the last record is %s, want 7 refusals", last)
		}
	})
}

// By default 50 refusals in a second have their own records.
func TestDefaultMaxAnonymous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, path := create(t, audit.Config{})
		kept := &appended{}
		r := recorder(t, kept, 0)
		for range 60 {
			refusal := gatehouse.Event{Type: "login", Decision: gatehouse.Rejected}
			if err := errors.Join(l.Observe(t.Context(), refusal), r.Observe(t.Context(), refusal)); err != nil {
				t.Fatal(err)
			}
		}
		shut(t, l)
		verify(t, path, 1+50+1)
		if len(kept.records) != 50 {
			t.Errorf("the recorder has %d records, want 50", len(kept.records))
		}
	})
}

// No event is recorded in a file that has no name any more.
func TestRemovedFileStopsTheLog(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		l, path := create(t, audit.Config{})
		observe(t, l, 1)
		if err := os.Rename(path, path+".moved"); err != nil {
			t.Fatal(err)
		}
		if replaced {
			write(t, path, read(t, path+".moved"))
		}
		if err := l.Observe(context.Background(), event(1)); err == nil || !strings.Contains(err.Error(), "removed or replaced") {
			t.Errorf("Observe() error = %v, want one of the file that was removed, or replaced: %t", err, replaced)
		}
	}
}

// Without a new file of records, no event is recorded until the log is opened again.
func TestFailedRotationStopsTheLog(t *testing.T) {
	l, path := create(t, audit.Config{MaxBytes: 1 << 20})
	blocked := path + ".0000000000000000000"
	if err := os.Mkdir(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	written := int64(1)
	for l.Observe(t.Context(), large(60_000)) == nil {
		written++
	}
	if err := l.Observe(t.Context(), event(0)); err == nil || !strings.Contains(err.Error(), "until the log is opened again") {
		t.Errorf("Observe() after a failed rotation error = %v, want that the log must be opened again", err)
	}
	if err := errors.Join(l.Close(), os.Remove(blocked)); err == nil {
		t.Error("Close() after a failed rotation error = nil, want that of the rotation")
	}
	shut(t, open(t, audit.Config{Path: path, MaxBytes: 1 << 20}))
	verify(t, path, written+1)
}

// A file whose first record has no number gets no name by it.
func TestRotationOfDamagedFile(t *testing.T) {
	l, path := create(t, audit.Config{MaxBytes: 1 << 20})
	for range 17 {
		send(t, l, large(60_000))
	}
	shut(t, l)
	write(t, path, join(edit(0, `"seq"`, `"Seq"`)(lines(t, path))...))
	l = open(t, audit.Config{Path: path, MaxBytes: 1 << 20})
	var err error
	for range 3 {
		err = errors.Join(err, l.Observe(t.Context(), large(60_000)))
	}
	if err == nil || !strings.Contains(err.Error(), "the first record has no number") {
		t.Errorf("Observe() error = %v, want that the first record has no number", err)
	}
}

// A file of records that cannot be read is not a fault of the log.
func TestVerifyOfUnreadableFile(t *testing.T) {
	path := written(t, 1)
	first, second := path+".0000000000000000000", path+".0000000000000000001"
	check := func(want string, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := audit.Verify(path, logKey.Public()); err == nil || !strings.Contains(err.Error(), want) || errors.As(err, new(*audit.Fault)) {
			t.Errorf("Verify() error = %v, want %q and no fault", err, want)
		}
	}
	check("no such file", errors.Join(os.Symlink("none", first), os.Symlink("none", second)))
	check("is a directory", errors.Join(os.Remove(first), os.Mkdir(first, 0o700)))
}

// The hashes of a log are those that its last checkpoint signs.
func TestOpenRefusesOtherHashes(t *testing.T) {
	path := written(t, 3) // four records: the last hash is the root
	hashes := read(t, path+".hashes")
	hashes[len(hashes)-1] ^= 1
	write(t, path+".hashes", hashes)
	_, err := audit.Open(audit.Config{Path: path, Origin: origin, Key: logKey})
	if err == nil || !strings.Contains(err.Error(), "the hashes are not those of the last checkpoint") {
		t.Errorf("Open() error = %v, want one of the hashes", err)
	}
}
