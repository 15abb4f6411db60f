// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/audit"
)

// What a caller without the key has changed is never signed by the next process: in a log
// that was closed, in one without anything beside the records, and in one whose process
// was killed.
func TestOpenRefusesForgedRecords(t *testing.T) {
	forged := func(n int) []byte { return fmt.Appendf(nil, "{\"seq\":%d,\"type\":\"decision\"}\n", n) }
	same := func(l [][]byte) [][]byte { return l }
	const hashes, points = ".hashes", ".checkpoints"
	closed, alone, killed := []string{hashes, points}, []string{}, []string{hashes}
	for name, c := range map[string]struct {
		change func(lines [][]byte) [][]byte
		files  []string // beside the records
		want   string   // "" if the log opens
	}{
		"closed":                {same, closed, ""},
		"closed, record added":  {func(l [][]byte) [][]byte { return append(l, forged(6)) }, closed, "record 6 was changed"},
		"closed, record copied": {func(l [][]byte) [][]byte { return edit(6, `"seq":5`, `"seq":6`)(append(l, l[5])) }, closed, "record 6 was changed"},
		"alone":                 {same, alone, ""},
		"alone, an empty line":  {func([][]byte) [][]byte { return [][]byte{[]byte("\n")} }, alone, "has no number"},
		"alone, record changed": {edit(3, "reports", "Reports"), alone, "record 3 was changed"},
		"alone, record removed and numbered anew": {func(l [][]byte) [][]byte {
			l[4] = bytes.Replace(l[5], []byte(`"seq":5`), []byte(`"seq":4`), 1)
			return l[:5]
		}, alone, "record 4 was changed"},
		"killed":                        {same, killed, ""},
		"killed, record changed":        {edit(3, "/reports/2", "/reports/9"), killed, "record 3 was changed"},
		"killed, record removed":        {func(l [][]byte) [][]byte { return append(l[:2], l[3:]...) }, killed, "record 2 was changed"},
		"killed, record inserted":       {func(l [][]byte) [][]byte { return append(l[:3:3], append([][]byte{l[3]}, l[3:]...)...) }, killed, "record 4 was changed"},
		"killed, records swapped":       {func(l [][]byte) [][]byte { l[2], l[3] = l[3], l[2]; return l }, killed, "record 2 was changed"},
		"killed, last record removed":   {func(l [][]byte) [][]byte { return l[:len(l)-1] }, killed, "record 5 is missing"},
		"killed, last record torn":      {func(l [][]byte) [][]byte { l[5] = l[5][:10]; return l }, killed, ""},
		"killed, incomplete line added": {func(l [][]byte) [][]byte { return append(l, []byte(`{"seq":6,"ti`)) }, killed, ""},
		"killed, two records torn":      {func(l [][]byte) [][]byte { l[4] = l[4][:10]; return l[:5] }, killed, "record 4 is missing"},
	} {
		for kind, key := range map[string]crypto.Signer{"Ed25519": logKey, "P-256": ecKey} {
			t.Run(name+" "+kind, func(t *testing.T) {
				l, path := create(t, audit.Config{Key: key})
				observe(t, l, 5)
				if len(c.files) != 1 {
					shut(t, l)
				}
				next := newPath(t)
				write(t, next, bytes.Join(c.change(bytes.SplitAfter(read(t, path), []byte("\n"))[:6]), nil))
				for _, suffix := range c.files {
					write(t, next+suffix, read(t, path+suffix))
				}
				again, err := audit.Open(audit.Config{Path: next, Key: key, Origin: origin})
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Fatalf("Open() error = %v, want %q", err, c.want)
				}
				if err == nil {
					shut(t, again)
					if _, err := audit.Verify(next, key.Public()); err != nil {
						t.Errorf("Verify() error = %v, want nil", err)
					}
				}
			})
		}
	}
}

// hardware is a key of which only the public half can be read.
type hardware struct{ crypto.Signer }

// Without the private key in memory, records have no seal, and the log works. Changes
// contradict the hashes.
func TestSignerWithoutSeal(t *testing.T) {
	path := newPath(t)
	for range 2 {
		l := open(t, audit.Config{Path: path, Key: hardware{logKey}})
		observe(t, l, 1)
		shut(t, l)
	}
	verify(t, path, 4)
	if bytes.Contains(read(t, path), []byte(`"mac"`)) {
		t.Error("the records have a seal, want none")
	}
	observe(t, open(t, audit.Config{Path: path, Key: hardware{logKey}}), 2) // and is killed
	next := newPath(t)
	for _, suffix := range []string{".hashes", ".checkpoints"} {
		write(t, next+suffix, read(t, path+suffix))
	}
	write(t, next, join(edit(5, "reports", "Reports")(lines(t, path))...))
	if _, err := audit.Open(audit.Config{Path: next, Key: hardware{logKey}, Origin: origin}); err == nil || !strings.Contains(err.Error(), "record 5 was changed") {
		t.Errorf("Open() error = %v, want that record 5 was changed", err)
	}
}

// unavailable is a key that cannot sign while down is set.
type unavailable struct {
	crypto.Signer
	down atomic.Bool
}

var errKey = errors.New("unavailable")

func (u *unavailable) Sign(r io.Reader, text []byte, o crypto.SignerOpts) ([]byte, error) {
	if u.down.Load() {
		return nil, errKey
	}
	return u.Signer.Sign(r, text, o)
}

// While a checkpoint cannot be signed, no record follows. It is signed before the next
// record, or by Close.
func TestUnavailableKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := &unavailable{Signer: logKey}
		l, path := create(t, audit.Config{Key: key})
		fail := func() {
			key.down.Store(true)
			time.Sleep(time.Minute)
			synctest.Wait()
		}
		fail()
		for range 2 {
			if err := l.Observe(t.Context(), event(0)); !errors.Is(err, errKey) {
				t.Errorf("Observe() error = %v, want %v", err, errKey)
			}
		}
		key.down.Store(false)
		for range 2 { // the second record waits for no checkpoint
			observe(t, l, 1)
			if last, err := audit.LastCheckpoint(path); err != nil || !bytes.HasPrefix(last, []byte(origin+"\n1\n")) {
				t.Errorf("LastCheckpoint() = %q, %v, want size 1", last, err)
			}
		}
		fail()
		key.down.Store(false)
		shut(t, l)
		if report := verify(t, path, 3); report.Signed != 3 {
			t.Errorf("Verify() = %d signed records, want 3", report.Signed)
		}
	})
}
