// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/audit"
	"github.com/gatehouse-go/gatehouse/internal/leaktest"
)

func TestMain(m *testing.M) {
	time.Local = time.FixedZone("", 3600) // shows times that are not in UTC
	if run := os.Getenv("GATEHOUSE_AUDIT_WRITER"); run != "" {
		writeUntilKilled(run)
	}
	leaktest.Main(m)
}

var (
	_, logKey, _ = ed25519.GenerateKey(rand.Reader)
	ecKey, _     = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
)

const origin = "api.example.com/audit"

func open(t *testing.T, c audit.Config) *audit.Log {
	t.Helper()
	if c.Key == nil {
		c.Key = logKey
	}
	if c.Origin == "" {
		c.Origin = origin
	}
	l, err := audit.Open(c)
	if err != nil {
		t.Fatalf("Open(%s) error = %v, want nil", c.Path, err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func newPath(t *testing.T) string { return filepath.Join(t.TempDir(), "audit.jsonl") }

// create opens a new log and returns its path.
func create(t *testing.T, c audit.Config) (*audit.Log, string) {
	t.Helper()
	c.Path = newPath(t)
	return open(t, c), c.Path
}

func observe(t *testing.T, l *audit.Log, n int) {
	t.Helper()
	for i := range n {
		send(t, l, event(i))
	}
}

func send(t *testing.T, l *audit.Log, e gatehouse.Event) {
	t.Helper()
	if err := l.Observe(t.Context(), e); err != nil {
		t.Fatalf("Observe(%s) error = %v, want nil", e.Type, err)
	}
}

// large returns an event with an attribute of n bytes.
func large(n int) gatehouse.Event {
	return gatehouse.Event{Type: "large", Attrs: []slog.Attr{slog.String("a", strings.Repeat("x", n))}}
}

func event(i int) gatehouse.Event {
	return gatehouse.Event{Type: gatehouse.EventDecision, Decision: gatehouse.Allowed, Path: fmt.Sprint("/reports/", i)}
}

func shut(t *testing.T, l *audit.Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("Close() error = %v, want nil", err)
	}
}

// written returns the path of a closed log in which each of the given numbers of
// events is signed by a checkpoint of its own. Each opening adds a record.
func written(t *testing.T, events ...int) string {
	t.Helper()
	path := newPath(t)
	for _, n := range events {
		l := open(t, audit.Config{Path: path})
		observe(t, l, n)
		shut(t, l)
	}
	return path
}

func verify(t *testing.T, path string, want int64, kept ...[]byte) audit.Report {
	t.Helper()
	report, err := audit.Verify(path, logKey.Public(), kept...)
	if err != nil || report.Records != want {
		t.Fatalf("Verify() = %d records, %v, want %d, nil", report.Records, err, want)
	}
	return report
}

func wantFault(t *testing.T, path string, first int64, problem audit.Problem, kept ...[]byte) {
	t.Helper()
	_, err := audit.Verify(path, logKey.Public(), kept...)
	fault, ok := errors.AsType[*audit.Fault](err)
	if !ok || fault.First != first || fault.Problem != problem {
		t.Errorf("Verify() error = %v, want record %d %s", err, first, problem)
	}
}

// record is a part of a record.
type record struct {
	Type  string
	Attrs struct{ Events, Refusals int }
}

func records(t *testing.T, path string) []record {
	t.Helper()
	all := make([]record, len(lines(t, path)))
	for i, line := range lines(t, path) {
		if err := json.Unmarshal(line, &all[i]); err != nil {
			t.Fatalf("record %q: %v", line, err)
		}
	}
	return all
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	return must(os.ReadFile(path))
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func lines(t *testing.T, path string) [][]byte {
	t.Helper()
	return bytes.SplitAfter(bytes.TrimSuffix(read(t, path), []byte("\n")), []byte("\n"))
}

func join(lines ...[]byte) []byte {
	var out []byte
	for _, line := range lines {
		out = append(append(out, bytes.TrimSuffix(line, []byte("\n"))...), '\n')
	}
	return out
}

// edit returns a function that changes one line.
func edit(i int, old, text string) func([][]byte) [][]byte {
	return func(l [][]byte) [][]byte {
		return slices.Replace(l, i, i+1, bytes.Replace(l[i], []byte(old), []byte(text), 1))
	}
}

// logKeyOf returns the same key in every process.
func logKeyOf(path string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(path))
	return ed25519.NewKeyFromSeed(seed[:])
}

// signer signs notes with the key of a log of this name.
type signer struct {
	ed25519.PrivateKey
	name string
}

func (s signer) Name() string { return s.name }

func (s signer) KeyHash() uint32 {
	sum := sha256.Sum256(append([]byte(s.name+"\n\x01"), s.Public().(ed25519.PublicKey)...))
	return binary.BigEndian.Uint32(sum[:])
}

func (s signer) Sign(text []byte) ([]byte, error) { return ed25519.Sign(s.PrivateKey, text), nil }
