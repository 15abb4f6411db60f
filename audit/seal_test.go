// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-go/gatehouse/audit"
)

// What a caller without the key has written into a closed log is never signed by the
// next process, also if everything beside the records is removed.
func TestOpenRefusesForgedRecords(t *testing.T) {
	forged := func(n int) []byte { return fmt.Appendf(nil, "{\"seq\":%d,\"type\":\"decision\"}\n", n) }
	for name, c := range map[string]struct {
		change func(lines [][]byte) [][]byte
		alone  bool // hashes and checkpoints are removed
		want   string
	}{
		"nothing":        {func(l [][]byte) [][]byte { return l }, false, ""},
		"nothing, alone": {func(l [][]byte) [][]byte { return l }, true, ""},
		"added":          {func(l [][]byte) [][]byte { return append(l, forged(6)) }, false, "record 6 was changed"},
		"copied": {func(l [][]byte) [][]byte {
			return append(l, bytes.Replace(l[5], []byte(`"seq":5`), []byte(`"seq":6`), 1))
		}, false, "record 6 was changed"},
		"changed, alone": {edit(3, "reports", "Reports"), true, "record 3 was changed"},
		"removed and numbered anew, alone": {func(l [][]byte) [][]byte {
			l[4] = bytes.Replace(l[5], []byte(`"seq":5`), []byte(`"seq":4`), 1)
			return l[:5]
		}, true, "record 4 was changed"},
	} {
		for kind, key := range map[string]crypto.Signer{"Ed25519": logKey, "P-256": ecKey} {
			t.Run(name+" "+kind, func(t *testing.T) {
				path := newPath(t)
				config := audit.Config{Path: path, Key: key, Origin: origin}
				l := open(t, config)
				observe(t, l, 5)
				shut(t, l)
				write(t, path, bytes.Join(c.change(bytes.SplitAfter(read(t, path), []byte("\n"))[:6]), nil))
				if c.alone {
					if err := errors.Join(os.Remove(path+".hashes"), os.Remove(path+".checkpoints")); err != nil {
						t.Fatal(err)
					}
				}
				l, err := audit.Open(config)
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Fatalf("Open() error = %v, want %q", err, c.want)
				}
				if err == nil {
					shut(t, l)
				}
			})
		}
	}
}

// hardware is a key of which only the public half can be read.
type hardware struct{ crypto.Signer }

// Without the private key in memory, records have no seal, and the log works.
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
		observe(t, l, 1)
		if last, err := audit.LastCheckpoint(path); err != nil || !bytes.HasPrefix(last, []byte(origin+"\n1\n")) {
			t.Errorf("LastCheckpoint() = %q, %v, want size 1", last, err)
		}
		observe(t, l, 1)
		fail()
		key.down.Store(false)
		shut(t, l)
		if report := verify(t, path, 3); report.Signed != 3 {
			t.Errorf("Verify() = %d signed records, want 3", report.Signed)
		}
	})
}
