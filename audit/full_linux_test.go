// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/audit"
)

// ownProcess reports whether this process has only the test t. If not, it runs t in a
// process of its own: limits count for a whole process, where also the testing package
// writes files.
func ownProcess(t *testing.T) bool {
	t.Helper()
	const variable = "GATEHOUSE_AUDIT_TEST"
	if os.Getenv(variable) == t.Name() {
		return true
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$") //nolint:gosec // this test
	command.Env = append(os.Environ(), variable+"="+t.Name())
	if output, err := command.CombinedOutput(); err != nil || !strings.Contains(string(output), "--- PASS: "+t.Name()) {
		t.Errorf("%s in a process of its own: error %v, output:\n%s", t.Name(), err, output)
	}
	return false
}

// limitFiles calls during while no file of this process can grow beyond size bytes: a
// write stores what fits and fails, as on a full disk.
func limitFiles(t *testing.T, size int64, during func()) {
	t.Helper()
	var before syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: uint64(size), Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before); err != nil {
			t.Errorf("Setrlimit() error = %v, so no file can grow", err)
		}
	}()
	during()
}

// A batch that does not fit on the disk leaves no trace in the log. Its callers get an
// error, and the events and refusals without a waiting caller are counted later, also by
// Close.
func TestLogContinuesAfterFullDisk(t *testing.T) {
	if !ownProcess(t) {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		chatty, refusal := gatehouse.Event{Type: "chatty"}, gatehouse.Event{Type: "refusal", Decision: gatehouse.Rejected}
		l, path := create(t, audit.Config{})
		shut(t, l)
		write(t, path, append(read(t, path), `{"seq":1,"an incomplete line":`...))
		limitFiles(t, 10, func() {
			if _, err := audit.Open(audit.Config{Path: path, Origin: origin, Key: logKey}); !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), "audit: open "+path) {
				t.Errorf("Open() on a full disk: error = %v, want %v of %s", err, syscall.EFBIG, path)
			}
		})
		l = open(t, audit.Config{
			Path: path, MaxAnonymous: 1, CheckpointInterval: time.Minute,
			BestEffort: func(e gatehouse.Event) bool { return e.Type == chatty.Type },
		})
		send := func(n int, e gatehouse.Event, want error) {
			for range n {
				if err := l.Observe(t.Context(), e); !errors.Is(err, want) {
					t.Errorf("Observe(%s) error = %v, want %v", e.Type, err, want)
				}
			}
		}
		checkpoint := func() {
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		const rounds = 5 // the disk is full after even and odd numbers of records
		for range rounds {
			send(2, chatty, nil)
			send(1, event(0), nil)
			checkpoint()
			limitFiles(t, must(os.Stat(path)).Size()+10, func() {
				for range 2 { // the second failure must keep the counts of the first
					send(3, chatty, nil)
					send(1, event(0), syscall.EFBIG)
					send(1, refusal, syscall.EFBIG)
					send(4, refusal, nil) // the others of this second
					checkpoint()
				}
			})
		}
		shut(t, l)

		got := map[string]int{}
		all := records(t, path)
		for _, record := range all {
			got[record.Type]++
			got["events that are lost"] += record.Attrs.Events
			got["refusals that are counted"] += record.Attrs.Refusals
		}
		want := map[string]int{
			"audit_opened": 2, "decision": rounds, "chatty": 2 * rounds, "audit_lost": rounds, "audit_refusals": rounds,
			"events that are lost": 6 * rounds, "refusals that are counted": 8 * rounds,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("records and counts (-want +got):\n%s", diff)
		}
		verify(t, path, int64(len(all)))
	})
}

// A hash or a checkpoint of which only a part is on the disk stops the log: what follows
// it would be wrong. Open recovers the log.
func TestPartOfHashOrCheckpointStopsTheLog(t *testing.T) {
	if !ownProcess(t) {
		return
	}
	for suffix, prepare := range map[string]func(t *testing.T, path string) audit.Config{
		".hashes": func(t *testing.T, path string) audit.Config { // more than the records after their rotation
			audit.WriteLarge(t, path, logKey, 3000, -1)
			return audit.Config{Path: path, MaxBytes: 1 << 20}
		},
		".checkpoints": func(t *testing.T, path string) audit.Config { // more than the records
			c := audit.Config{Path: path, Origin: strings.Repeat("a", 2000)}
			shut(t, open(t, c))
			return c
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			path := newPath(t)
			config := prepare(t, path)
			l := open(t, config)
			limitFiles(t, must(os.Stat(path+suffix)).Size()+10, func() {
				observe(t, l, 1) // its record fits
				time.Sleep(time.Minute)
				synctest.Wait()
			})
			if err := l.Observe(t.Context(), event(1)); !errors.Is(err, syscall.EFBIG) {
				t.Errorf("%s: Observe() error = %v, want %v", suffix, err, syscall.EFBIG)
			}
			if err := l.Close(); !errors.Is(err, syscall.EFBIG) {
				t.Errorf("%s: Close() error = %v, want %v", suffix, err, syscall.EFBIG)
			}
			shut(t, open(t, config))
			if _, err := audit.Verify(path, logKey.Public()); err != nil {
				t.Errorf("%s: Verify() error = %v, want nil", suffix, err)
			}
		})
	}
}

// A file that cannot be read or cut is an error, and stays as it is.
func TestRecoveryOfUnreadableFiles(t *testing.T) {
	path := written(t, 3, 2)
	points := read(t, path+".checkpoints")
	write(t, path+".checkpoints", points[:len(points)/2]) // so that records and hashes are compared
	if err := audit.Recover(t, path, logKey, "", os.O_RDWR); err != nil {
		t.Fatalf("Recover() error = %v, want nil", err)
	}
	for _, suffix := range []string{"", ".hashes", ".checkpoints"} {
		for _, flag := range []int{os.O_RDONLY, os.O_WRONLY} {
			before := read(t, path+suffix)
			if err := audit.Recover(t, path, logKey, suffix, flag); err == nil || !bytes.Equal(read(t, path+suffix), before) {
				t.Errorf("Recover() with %q opened with the flag %d: error = %v, want one and the file as it was", suffix, flag, err)
			}
		}
	}
}

// A file that cannot be synced stops the log, and no checkpoint signs hashes that may be
// lost.
func TestFailedSyncStopsTheLog(t *testing.T) {
	for suffix, want := range map[string][3]error{
		"":             {syscall.EINVAL, syscall.EINVAL, syscall.EINVAL},
		".hashes":      {nil, syscall.EINVAL, syscall.EINVAL},
		".checkpoints": {nil, syscall.EINVAL, syscall.EINVAL},
	} {
		path := newPath(t)
		for i, err := range audit.Unsynced(t, path, logKey, suffix) {
			if !errors.Is(err, want[i]) {
				t.Errorf("%q cannot be synced: error of step %d = %v, want %v", suffix, i, err, want[i])
			}
		}
		if points := read(t, path+".checkpoints"); len(points) > 0 {
			t.Errorf("%q cannot be synced: checkpoint = %s, want none", suffix, points)
		}
	}
}
