// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/audit"
)

func TestOpenRefuses(t *testing.T) {
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	path := newPath(t)
	valid := audit.Config{Path: path, Origin: origin, Key: logKey}
	for name, test := range map[string]struct {
		change func(*audit.Config)
		want   string
	}{
		"path":           {func(c *audit.Config) { c.Path = "" }, "audit: Config.Path: required"},
		"directory":      {func(c *audit.Config) { c.Path = filepath.Join(path, "none") }, "audit: open " + filepath.Join(path, "none") + ": "},
		"origin":         {func(c *audit.Config) { c.Origin = "" }, "audit: Config.Origin: got"},
		"origin space":   {func(c *audit.Config) { c.Origin = "a b" }, `audit: Config.Origin: got "a b"`},
		"origin DEL":     {func(c *audit.Config) { c.Origin = "a\x7fb" }, "audit: Config.Origin: got"},
		"origin ASCII":   {func(c *audit.Config) { c.Origin = "a\u0080" }, "audit: Config.Origin: got"},
		"origin plus":    {func(c *audit.Config) { c.Origin = "a+b" }, "audit: Config.Origin: got"},
		"key":            {func(c *audit.Config) { c.Key = nil }, "audit: Config.Key: required"},
		"typed nil key":  {func(c *audit.Config) { c.Key = (*ecdsa.PrivateKey)(nil) }, "audit: Config.Key: required"},
		"curve":          {func(c *audit.Config) { c.Key = p384 }, "audit: Config.Key: want Ed25519"},
		"interval":       {func(c *audit.Config) { c.CheckpointInterval = time.Millisecond }, "audit: Config.CheckpointInterval: got 1ms"},
		"large interval": {func(c *audit.Config) { c.CheckpointInterval = 2 * time.Hour }, "audit: Config.CheckpointInterval: got 2h"},
		"refusals":       {func(c *audit.Config) { c.MaxAnonymous = -1 }, "audit: Config.MaxAnonymous: got -1"},
		"size":           {func(c *audit.Config) { c.MaxBytes = 1 }, "audit: Config.MaxBytes: got 1"},
	} {
		t.Run(name, func(t *testing.T) {
			c := valid
			test.change(&c)
			if _, err := audit.Open(c); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Open() error = %v, want %q", err, test.want)
			}
		})
	}
	shut(t, open(t, audit.Config{Path: path, CheckpointInterval: time.Hour})) // the longest
	t.Run("every mistake", func(t *testing.T) {
		_, err := audit.Open(audit.Config{MaxBytes: 1})
		if err == nil || strings.Count(err.Error(), "audit: Config.") != 4 {
			t.Errorf("Open() error = %v, want 4 mistakes", err)
		}
	})
}

// A log belongs to one process, one key and one origin.
func TestOpenRefusesOtherLog(t *testing.T) {
	path := written(t, 1)
	open(t, audit.Config{Path: path + ".2"}) // which is no file of the other log
	verify(t, path, 2)
	for name, test := range map[string]struct {
		config audit.Config
		want   string
	}{
		"open":    {audit.Config{Path: path + ".2", Origin: origin, Key: logKey}, "another process"},
		"key":     {audit.Config{Path: path, Origin: origin, Key: ecKey}, "is this the Key of the log?"},
		"origin":  {audit.Config{Path: path, Origin: "other", Key: logKey}, `Config.Origin is "other"`},
		"longer":  {audit.Config{Path: path, Origin: origin + "/2", Key: logKey}, `Config.Origin is "` + origin + `/2"`},
		"shorter": {audit.Config{Path: path, Origin: origin[:9], Key: logKey}, `Config.Origin is "` + origin[:9] + `"`},
	} {
		if _, err := audit.Open(test.config); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: Open() error = %v, want %q", name, err, test.want)
		}
	}
	write(t, path, nil)
	if _, err := audit.Open(audit.Config{Path: path, Origin: origin, Key: logKey}); err == nil || !strings.Contains(err.Error(), "signs 2 records and the log has 0") {
		t.Errorf("Open() of a log without its signed records error = %v, want one with the numbers", err)
	}
}

func TestRecord(t *testing.T) {
	l, path := create(t, audit.Config{})
	secret := gatehouse.NewSecret([]byte("hunter2"))
	start := time.Now()
	send(t, l, gatehouse.Event{
		Type: gatehouse.EventDecision, Decision: gatehouse.Denied, Reason: "scopes_missing", Code: "insufficient_scope", Status: 403,
		Principal: gatehouse.Principal{
			Kind: gatehouse.KindUser, Subject: "alice", Issuer: "https://auth.example.com", Tenant: "acme", Client: "web", Method: "jwt", Binding: "dpop",
			Scopes: must(gatehouse.NewScopes("data:read")), Actors: gatehouse.NewActors(gatehouse.Actor{Subject: "helper-1"}, gatehouse.Actor{Subject: "helper-2"}),
		},
		Issuer: "https://auth.example.com", Credential: "jti-1", Method: "POST", Host: "api.example.com",
		Path: "/\n\u202e\xff" + strings.Repeat("x", 2000), Route: "POST /{any}",
		Cause: errors.New("a\nb"), Duration: 1500 * time.Microsecond, Attrs: []slog.Attr{slog.Any("secret", secret), slog.String("level", "l"), slog.String("msg", "m")},
	})
	send(t, l, gatehouse.Event{Type: "small"})
	shut(t, l)
	if small := must(audit.Record(path, 2)); !regexp.MustCompile(`^\{"seq":2,"time":"[^"]+","type":"small","mac":"[^"]+"\}$`).Match(small) {
		t.Errorf("Record(2) = %s, want no other members", small)
	}
	record := must(audit.Record(path, 1))
	var got map[string]any
	if err := json.Unmarshal(record, &got); err != nil {
		t.Fatalf("Record(1) = %s: %v", record, err)
	}
	if at, err := time.Parse(time.RFC3339, got["time"].(string)); err != nil || at.Before(start) || at.After(time.Now()) || at.Location() != time.UTC {
		t.Errorf("time = %v, want the time of the event in UTC", got["time"])
	}
	if p := got["path"].(string); len(p) > 1100 || !strings.HasPrefix(p, "/\n") {
		t.Errorf("path has %d bytes, want at most 1,100", len(p))
	}
	if mac, _ := got["mac"].(string); len(mac) != 22 {
		t.Errorf("mac = %v, want 128 bits", got["mac"])
	}
	delete(got, "mac")
	delete(got, "time")
	delete(got, "path")
	want := map[string]any{
		"seq": 1.0, "type": "decision", "decision": "denied", "reason": "scopes_missing", "error": "insufficient_scope", "status": 403.0,
		"method": "POST", "host": "api.example.com", "route": "POST /{any}", "issuer": "https://auth.example.com",
		"subject": "alice", "tenant": "acme", "client": "web", "proof": "jwt", "binding": "dpop", "actors": []any{"helper-1", "helper-2"}, "scopes": "data:read", "credential": "jti-1",
		"attrs": map[string]any{"secret": "[redacted]", "level": "l", "msg": "m"}, "cause": "a\nb", "duration_us": 1500.0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Record(1) differs (-want +got):\n%s", diff)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the log = %v, %v, want 0600", info.Mode(), err)
	}
	if _, err := audit.Record(path, 3); err == nil {
		t.Error("Record(3) error = nil, want one")
	}
	if _, err := audit.Record("none", 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Record() of no log error = %v, want %v", err, os.ErrNotExist)
	}
}

// An event that is too large is an error, so the request is refused.
func TestObserveRefusesLargeEvent(t *testing.T) {
	synctest.Test(t, testLargeEvent) // where each time has the same length
}

func testLargeEvent(t *testing.T) {
	l, path := create(t, audit.Config{})
	if err := l.Observe(t.Context(), large(audit.MaxRecord)); err == nil {
		t.Error("Observe(large) error = nil, want one")
	}
	accepted := int64(0)
	for n := audit.MaxRecord - 200; n < audit.MaxRecord; n++ { // each is refused, or can be read
		if l.Observe(t.Context(), large(n)) == nil {
			accepted++
		}
	}
	if accepted == 0 {
		t.Error("Observe(just small enough) error = nil for no event")
	}
	shut(t, l)
	verify(t, path, 1+accepted)
	last := must(audit.Record(path, accepted))
	if digits := len("9223372036854775807") - len(fmt.Sprint(accepted)); len(last) != audit.MaxRecord-digits {
		t.Errorf("the largest record has %d bytes, want %d less %d for the number", len(last), audit.MaxRecord, digits)
	}
	if err := l.Observe(t.Context(), event(0)); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Observe() after Close error = %v, want %v", err, audit.ErrClosed)
	}
}

// Callers at the same time share the disk, each record is there once, and a
// reader of the open log finds no fault.
func TestConcurrentEvents(t *testing.T) {
	l, path := create(t, audit.Config{CheckpointInterval: 100 * time.Millisecond, Key: ecKey})
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for i := range 100 {
				if err := l.Observe(context.Background(), event(i)); err != nil {
					t.Errorf("Observe() error = %v, want nil", err)
				}
			}
		})
	}
	for range 20 {
		var fault *audit.Fault
		if _, err := audit.Verify(path, ecKey.Public()); errors.As(err, &fault) && fault.Problem != audit.CheckpointChanged {
			t.Errorf("Verify() of the open log error = %v, want nil", err)
		}
	}
	group.Wait()
	shut(t, l)
	report, err := audit.Verify(path, ecKey.Public())
	if err != nil || report.Records != 1601 || report.Signed != 1601 || report.Origin != origin {
		t.Errorf("Verify() = %+v, %v, want 1601 records, all signed", report, err)
	}
	if bytes.Count(read(t, path), []byte("/reports/99")) != 16 {
		t.Error("a record is missing or there twice")
	}
	for _, key := range []crypto.PublicKey{"none", (*ecdsa.PublicKey)(nil)} {
		if _, err := audit.Verify(path, key); err == nil {
			t.Errorf("Verify() with the key %#v error = nil, want one", key)
		}
	}
}

// Verify sees the log as it was when Verify began, whatever is written meanwhile:
// records, checkpoints and new files.
func TestVerifyWhileWriting(t *testing.T) {
	path := newPath(t)
	config := audit.Config{Path: path, MaxBytes: 1 << 20}
	shut(t, open(t, config))
	for range 40 {
		begun := must(audit.BeginVerify(path, logKey.Public())) // which does not keep a writer out
		l := open(t, config)
		_, _ = begun()
		finish, err := audit.BeginVerify(path, logKey.Public())
		if err != nil {
			t.Fatalf("BeginVerify() error = %v, want nil", err)
		}
		send(t, l, large(60_000))
		send(t, l, event(0)) // in a new file if the one before is full now
		got, err := finish()
		shut(t, l)
		report, afterwards := audit.Verify(path, logKey.Public())
		if err != nil || afterwards != nil || got != report.Records-2 {
			t.Errorf("Verify() = %d records, %v; afterwards %d, %v; want two less", got, err, report.Records, afterwards)
		}
	}
	if files, err := filepath.Glob(path + ".0*"); err != nil || len(files) < 2 {
		t.Errorf("Glob() = %v, %v, want at least two full files", files, err)
	}
}

// A checkpoint has the ID of the key, and no other signature than that of the log.
func TestCheckpointSignature(t *testing.T) {
	id := sha256.Sum256(must(x509.MarshalPKIXPublicKey(ecKey.Public())))
	for _, test := range []struct {
		key crypto.Signer
		id  []byte
	}{{logKey, nil}, {ecKey, id[:4]}} {
		l, path := create(t, audit.Config{Key: test.key})
		shut(t, l)
		text, encoded, _ := bytes.Cut(read(t, path+".checkpoints"), []byte("— "+origin+" "))
		signature, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(encoded)))
		if err != nil || !bytes.HasPrefix(signature, test.id) {
			t.Fatalf("signature = %x, %v, want the key ID %x", signature, err, test.id)
		}
		signature[len(signature)-1] ^= 1
		write(t, path+".checkpoints", fmt.Appendf(text, "— %s %s\n\n", origin, base64.StdEncoding.EncodeToString(signature)))
		_, err = audit.Verify(path, test.key.Public())
		if fault, ok := errors.AsType[*audit.Fault](err); !ok || fault.Problem != audit.CheckpointChanged {
			t.Errorf("Verify() with another signature of a %T error = %v, want %s", test.key, err, audit.CheckpointChanged)
		}
	}
}

func TestCheckpointInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, path := create(t, audit.Config{})
		observe(t, l, 3)
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if _, err := audit.LastCheckpoint(path); err == nil {
			t.Error("LastCheckpoint() after 9 s error = nil, want none to be there")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		first, err := audit.LastCheckpoint(path)
		if err != nil || !bytes.HasPrefix(first, []byte(origin+"\n4\n")) {
			t.Errorf("LastCheckpoint() after 11 s = %q, %v, want size 4", first, err)
		}
		time.Sleep(time.Minute) // no new record, no new checkpoint
		shut(t, l)
		if got := read(t, path+".checkpoints"); bytes.Count(got, []byte("— ")) != 1 {
			t.Errorf("checkpoints = %q, want one", got)
		}
	})
}

// Rotated files are one log.
func TestRotation(t *testing.T) {
	l, path := create(t, audit.Config{MaxBytes: 1 << 20})
	for range 40 {
		send(t, l, large(60_000))
	}
	shut(t, l)
	files, err := filepath.Glob(path + ".[0-9]*")
	if err != nil || len(files) != 2 || !strings.HasSuffix(files[0], ".0000000000000000000") {
		t.Fatalf("rotated files = %v, want two, the first from record 0", files)
	}
	for _, other := range []string{path + ".2", path + ".2026-11-29T05:20:00", filepath.Join(filepath.Dir(path), strings.Repeat("0", 19))} {
		write(t, other, []byte("a file of another log\n"))
	}
	verify(t, path, 41)
	if mode := must(os.Stat(path)).Mode().Perm(); mode != 0o600 {
		t.Errorf("mode of a rotated log = %v, want 0600", mode)
	}
	for _, n := range []int64{0, 17, 18, 19, 36, 40} {
		if _, err := audit.Record(path, n); err != nil {
			t.Errorf("Record(%d) error = %v, want nil", n, err)
		}
	}
	l = open(t, audit.Config{Path: path, MaxBytes: 1 << 20})
	observe(t, l, 1)
	shut(t, l)
	verify(t, path, 43)
	// A process that is killed during a rotation leaves no file without a number.
	var first struct{ Seq int64 }
	if err := json.Unmarshal(lines(t, path)[0], &first); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, fmt.Sprintf("%s.%019d", path, first.Seq)); err != nil {
		t.Fatal(err)
	}
	write(t, path, nil)
	if _, err := audit.Record(path, 42); err != nil {
		t.Errorf("Record(42) in front of an empty file error = %v, want nil", err)
	}
	shut(t, open(t, audit.Config{Path: path}))
	verify(t, path, 44)
	if err := os.Remove(files[1]); err != nil {
		t.Fatal(err)
	}
	_, err = audit.Verify(path, logKey.Public())
	if fault, ok := errors.AsType[*audit.Fault](err); !ok || fault.Problem != audit.Missing {
		t.Errorf("Verify() without the second file error = %v, want %s", err, audit.Missing)
	}
}

// A best-effort event neither waits nor fails, and the number of lost ones is in
// the log.
func TestBestEffort(t *testing.T) {
	l, path := create(t, audit.Config{BestEffort: func(e gatehouse.Event) bool { return e.Type == "chatty" }})
	for range 50_000 {
		send(t, l, gatehouse.Event{Type: "chatty"})
	}
	observe(t, l, 1)
	shut(t, l)
	send(t, l, gatehouse.Event{Type: "chatty"})
	there, lost := 0, 0
	for _, record := range records(t, path) {
		if record.Type == "chatty" {
			there++
		}
		lost += record.Attrs.Events
	}
	if there+lost != 50_000 || there < 1024 {
		t.Errorf("%d records and %d lost, want 50,000 in all", there, lost)
	}
}

// A best-effort event that is too large for a record is counted as lost, and no record
// without content takes its place.
func TestBestEffortOfALargeEvent(t *testing.T) {
	l, path := create(t, audit.Config{BestEffort: func(gatehouse.Event) bool { return true }})
	send(t, l, large(audit.MaxRecord))
	send(t, l, gatehouse.Event{Type: "small"})
	shut(t, l)
	var types []string
	for _, record := range records(t, path) {
		types = append(types, record.Type)
	}
	if diff := cmp.Diff([]string{"audit_opened", "audit_lost", "small"}, types); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// slow is a key that signs when it is released.
type slow struct {
	crypto.Signer
	release chan struct{}
}

func (s slow) Sign(r io.Reader, text []byte, o crypto.SignerOpts) ([]byte, error) {
	<-s.release
	return s.Signer.Sign(r, text, o)
}

// While the queue is full, Observe waits until the request ends or the log is closed.
func TestObserveOfBusyLog(t *testing.T) {
	for range 8 { // Close and the queue race
		synctest.Test(t, testBusyLog)
	}
}

func testBusyLog(t *testing.T) {
	key := slow{logKey, make(chan struct{})}
	l, path := create(t, audit.Config{Key: key, BestEffort: func(e gatehouse.Event) bool { return e.Type == "chatty" }})
	time.Sleep(10 * time.Second)
	synctest.Wait() // it signs a checkpoint
	waiting := make(chan error, 1)
	go func() { waiting <- l.Observe(t.Context(), event(0)) }()
	synctest.Wait()
	for range 1023 {
		send(t, l, gatehouse.Event{Type: "chatty"})
	}
	hungUp := errors.New("hung up")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(hungUp)
	if err := l.Observe(ctx, event(0)); !errors.Is(err, hungUp) {
		t.Errorf("Observe(ended request) error = %v, want %v", err, hungUp)
	}
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	synctest.Wait()
	if err := l.Observe(t.Context(), event(0)); !errors.Is(err, audit.ErrClosed) {
		t.Errorf("Observe() during Close error = %v, want %v", err, audit.ErrClosed)
	}
	close(key.release)
	if err := errors.Join(<-closed, <-waiting); err != nil {
		t.Errorf("Close() and Observe() before it: error = %v, want nil", err)
	}
	verify(t, path, 1+1024)
}

// A process that is killed at any point leaves a log that opens and verifies.
func TestRecovery(t *testing.T) {
	whole := written(t, 3, 2)
	for _, test := range []struct {
		suffix string
		least  int // bytes that stay: they were synced before what comes after them
	}{{"", len(join(lines(t, whole)[:6]...)) + 1}, {".hashes", 7 * 32}, {".checkpoints", 0}} {
		data := read(t, whole+test.suffix)
		for size := test.least; size < len(data); size += 29 {
			path := newPath(t)
			for _, suffix := range []string{"", ".hashes", ".checkpoints"} {
				write(t, path+suffix, read(t, whole+suffix))
			}
			write(t, path+test.suffix, data[:size])
			if test.suffix != ".checkpoints" { // the second checkpoint comes after both
				points := read(t, path+".checkpoints")
				write(t, path+".checkpoints", points[:len(points)/2])
			}
			l, err := audit.Open(audit.Config{Path: path, Origin: origin, Key: logKey})
			if err != nil {
				t.Fatalf("%q cut to %d bytes: Open() error = %v, want nil", test.suffix, size, err)
			}
			shut(t, l)
			if _, err := audit.Verify(path, logKey.Public()); err != nil {
				t.Fatalf("%q cut to %d bytes: Verify() error = %v, want nil", test.suffix, size, err)
			}
		}
	}
	// A long name, which makes checkpoints long.
	long := audit.Config{Path: newPath(t), Origin: strings.Repeat("a", 30_000)}
	for range 2 {
		shut(t, open(t, long))
	}
	points := read(t, long.Path+".checkpoints")
	write(t, long.Path+".checkpoints", points[:len(points)-9])
	shut(t, open(t, long))
	verify(t, long.Path, 3)
	shut(t, open(t, long)) // now there are more than the last two
	if last := verify(t, long.Path, 4).Checkpoint; !bytes.Equal(must(audit.LastCheckpoint(long.Path)), last) {
		t.Errorf("LastCheckpoint() is not the one that signs 4 records, %.40q", last)
	}
	for _, test := range []struct {
		path             string
		record, unsigned int64 // the record of an opening
	}{{whole, 4, 0}, {long.Path, 1, 0}, {long.Path, 2, 1}} {
		if record := must(audit.Record(test.path, test.record)); !bytes.Contains(record, fmt.Appendf(nil, `"unsigned":%d}`, test.unsigned)) {
			t.Errorf("Record(%d) = %s, want %d unsigned records before it", test.record, record, test.unsigned)
		}
	}
	// A large record, and a large part of another one.
	l, path := create(t, audit.Config{})
	send(t, l, large(audit.MaxRecord-1000))
	shut(t, l)
	write(t, path, append(read(t, path), `{"seq":2,"text":"`+strings.Repeat("x", audit.MaxRecord-1000)...))
	shut(t, open(t, audit.Config{Path: path}))
	verify(t, path, 3)
}

// writeUntilKilled writes events and prints the number of those that are
// acknowledged.
func writeUntilKilled(path string) {
	l, err := audit.Open(audit.Config{Path: path, Origin: origin, Key: logKeyOf(path), CheckpointInterval: 100 * time.Millisecond, MaxBytes: 1 << 20})
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		if err := l.Observe(context.Background(), event(i)); err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString(".")
	}
}

// Real kills: no acknowledged record is lost and the log verifies each time.
func TestKilled(t *testing.T) {
	path := newPath(t)
	key := logKeyOf(path)
	acknowledged := 0
	for range 5 {
		out := &killer{after: 300}
		command := exec.CommandContext(t.Context(), os.Args[0]) //nolint:gosec // this test
		command.Env = append(os.Environ(), "GATEHOUSE_AUDIT_WRITER="+path)
		command.Stdout, out.kill = out, func() { _ = command.Process.Kill() }
		if err := command.Run(); err == nil {
			t.Fatal("the writer ended by itself")
		}
		acknowledged += out.n
		l, err := audit.Open(audit.Config{Path: path, Origin: origin, Key: key})
		if err != nil {
			t.Fatalf("Open() after a kill error = %v, want nil", err)
		}
		shut(t, l)
		report, err := audit.Verify(path, key.Public())
		if err != nil || report.Records < int64(acknowledged) {
			t.Fatalf("Verify() after a kill = %d records, %v, want at least %d", report.Records, err, acknowledged)
		}
	}
}

// killer kills the process that writes to it.
type killer struct {
	n, after int
	kill     func()
}

func (k *killer) Write(b []byte) (int, error) {
	if k.n += len(b); k.n >= k.after {
		k.kill()
	}
	return len(b), nil
}
