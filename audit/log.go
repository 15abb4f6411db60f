// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Config configures a [Log].
type Config struct {
	// Path is the file of the records. Its directory must exist. Required. One
	// process at a time can open a log: each node has its own.
	Path string

	// Origin is the name of the log in its checkpoints, unique among all logs: a URL
	// without the scheme, such as "api.example.com/audit/node-1". Required, printable
	// ASCII without spaces and "+".
	Origin string

	// Key signs the checkpoints: Ed25519, which public witnesses require, or ECDSA with
	// P-256. Required. An ed25519.PrivateKey or *ecdsa.PrivateKey also seals each
	// record, so that Open refuses records that an attacker has added or changed after
	// the last checkpoint. With another Signer it finds only changes that contradict
	// the hashes of the log.
	Key crypto.Signer

	// CheckpointInterval is the longest time until a checkpoint signs a record: 10
	// s by default, from 100 ms to 1 h. Close signs the last records. If Key fails,
	// Observe returns its error until it has signed them.
	CheckpointInterval time.Duration

	// MaxBytes is the size at which a new file of records begins: 1 GiB by default,
	// at least 1 MiB.
	MaxBytes int64

	// BestEffort selects the events that may be lost: Observe does not wait for them
	// and returns no error. The number of lost events is recorded. By default there are
	// none: a request whose decision cannot be recorded is refused. Optional. It must
	// be safe for concurrent use.
	BestEffort func(gatehouse.Event) bool

	// MaxAnonymous is the number of refusals of unknown callers that are recorded in each
	// second: 50 by default. At each checkpoint one record contains the number of the
	// others, so that a caller without credentials cannot fill the disk.
	MaxAnonymous int
}

// The types of the records that the log itself writes.
const (
	// EventOpened: a process opened the log. The attribute unsigned is the number of
	// records that were written after the last checkpoint: not 0 if the process
	// before was killed.
	EventOpened gatehouse.EventType = "audit_opened"
	// EventLost: the attribute events is the number of events that were lost since
	// the last such record, see [Config.BestEffort]. It precedes the next record, and is
	// written at the next checkpoint or by Close if there is none.
	EventLost gatehouse.EventType = "audit_lost"
	// EventRefusals: the attribute refusals is the number of refusals of unknown
	// callers without a record of their own, see [Config.MaxAnonymous].
	EventRefusals gatehouse.EventType = "audit_refusals"
)

// ErrClosed is the error of [Log.Observe] after [Log.Close].
var ErrClosed = errors.New("audit: the log is closed")

// maxQueue bounds the number of events that wait for the disk. Further calls of
// Observe wait.
const maxQueue = 1024

// Log is an append-only log of events. It is a [gatehouse.Observer] and safe for
// concurrent use.
type Log struct {
	bestEffort func(gatehouse.Event) bool
	queue      chan entry
	lost       atomic.Int64
	refusals   refusals

	close    sync.Once
	closing  chan struct{}
	finished chan struct{}
	err      error // of the writer when it finished
}

// entry is an event that waits for the disk.
type entry struct {
	encoded []byte
	done    chan<- error // nil for best effort
}

// Open opens or creates a log and recovers it if a process was killed while it wrote. It
// reports all configuration errors at once. The time for opening does not depend on the
// size of the log.
func Open(config Config) (*Log, error) {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("audit: Config."+format, args...)) }
	if config.Path == "" {
		fail("Path: required")
	}
	if !isOrigin(config.Origin) {
		fail("Origin: got %q, want printable ASCII without spaces and plus signs", config.Origin)
	}
	var key *noteKey
	if typednil.Is(config.Key) {
		fail("Key: required")
	} else {
		var err error
		if key, err = newKey(config.Origin, config.Key.Public(), config.Key); err != nil {
			fail("Key: %w", err)
		}
	}
	if config.CheckpointInterval == 0 {
		config.CheckpointInterval = 10 * time.Second
	}
	if config.CheckpointInterval < 100*time.Millisecond || config.CheckpointInterval > time.Hour {
		fail("CheckpointInterval: got %v, want 100ms to 1h", config.CheckpointInterval)
	}
	if config.MaxBytes == 0 {
		config.MaxBytes = 1 << 30
	}
	if config.MaxBytes < 1<<20 {
		fail("MaxBytes: got %d, want at least %d", config.MaxBytes, 1<<20)
	}
	if config.MaxAnonymous == 0 {
		config.MaxAnonymous = defaultAnonymous
	}
	if config.MaxAnonymous < 0 {
		fail("MaxAnonymous: got %d, want at least 1", config.MaxAnonymous)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	w, err := openWriter(config.Path, config.MaxBytes, key)
	if err != nil {
		return nil, fmt.Errorf("audit: open %s: %w", config.Path, err)
	}
	l := &Log{
		bestEffort: config.BestEffort, refusals: refusals{most: config.MaxAnonymous},
		queue: make(chan entry, maxQueue), closing: make(chan struct{}), finished: make(chan struct{}),
	}
	opened, err := encodeRecord(context.Background(), string(EventOpened), []slog.Attr{
		slog.GroupAttrs("attrs", slog.Int64("unsigned", w.tree.n-w.signed)),
	})
	if err == nil {
		err = w.append([][]byte{opened})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("audit: open %s: %w", config.Path, err), w.close())
	}
	go l.run(w, config.CheckpointInterval)
	return l, nil
}

// Observe appends an event to the log. It returns nil once the record is on the
// disk. Concurrent calls share the wait for the disk.
func (l *Log) Observe(ctx context.Context, e gatehouse.Event) error {
	if isAnonymousRefusal(e) && !l.refusals.admit(time.Now()) {
		return nil
	}
	encoded, err := encode(ctx, e)
	if l.bestEffort != nil && l.bestEffort(e) {
		l.offer(encoded, err)
		return nil
	}
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	select {
	case l.queue <- entry{encoded, done}: // even if the client has disconnected
	default:
		select {
		case <-l.closing:
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("audit: the log is busy: %w", context.Cause(ctx))
		case l.queue <- entry{encoded, done}:
		}
	}
	// The record is written in any case: return its result, not the end of the request.
	select {
	case err := <-done:
		return err
	case <-l.finished:
		select {
		case err := <-done:
			return err
		default:
			return ErrClosed
		}
	}
}

// offer queues a best-effort event unless the queue is full. A later record says how
// many are lost.
func (l *Log) offer(encoded []byte, err error) {
	if err != nil {
		l.lost.Add(1)
		return
	}
	select {
	case <-l.closing:
	case l.queue <- entry{encoded: encoded}:
	default:
		l.lost.Add(1)
	}
}

// Close writes what is queued, signs a last checkpoint and closes the files.
func (l *Log) Close() error {
	l.close.Do(func() { close(l.closing) })
	<-l.finished
	return l.err
}

// run writes batches of records until the log is closed. It alone uses w.
func (l *Log) run(w *writer, interval time.Duration) {
	defer close(l.finished)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case first := <-l.queue:
			l.write(w, first)
		case <-tick.C:
			l.writeCounts(w)
			_ = w.checkpoint() // the next append returns or repeats a failure
		case <-l.closing:
			for len(l.queue) > 0 {
				l.write(w, <-l.queue)
			}
			l.writeCounts(w)
			l.err = errors.Join(w.checkpoint(), w.close())
			return
		}
	}
}

// write writes the queued entries, first and those behind it, as one batch.
func (l *Log) write(w *writer, first entry) {
	batch := []entry{first}
	for len(l.queue) > 0 && len(batch) < maxQueue {
		batch = append(batch, <-l.queue)
	}
	records := make([][]byte, 0, len(batch)+1)
	lost := l.lost.Swap(0)
	if record := counted(EventLost, "events", lost); record != nil {
		records = append(records, record)
	}
	for _, e := range batch {
		records = append(records, e.encoded)
	}
	err := w.append(records)
	for _, e := range batch {
		switch {
		case e.done != nil:
			e.done <- err
		case err != nil:
			lost++
		}
	}
	if err != nil {
		l.lost.Add(lost)
	}
}

// writeCounts writes the numbers of the lost events and of the refusals without a record
// of their own.
func (l *Log) writeCounts(w *writer) {
	lost, refused := l.lost.Swap(0), l.refusals.take()
	var records [][]byte
	for _, record := range [][]byte{counted(EventLost, "events", lost), counted(EventRefusals, "refusals", refused)} {
		if record != nil {
			records = append(records, record)
		}
	}
	if len(records) > 0 && w.append(records) != nil {
		l.lost.Add(lost)
		l.refusals.add(refused)
	}
}

// counted returns a record with a number, nil if it is zero.
func counted(event gatehouse.EventType, name string, n int64) []byte {
	if n == 0 {
		return nil
	}
	record, _ := encodeRecord(context.Background(), string(event), []slog.Attr{slog.GroupAttrs("attrs", slog.Int64(name, n))}) // cannot fail: it is short
	return record
}
