// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/audit"
)

// appended is an Appender in memory, with the error of its next calls.
type appended struct {
	mu      sync.Mutex
	records []string
	err     error
	once    bool // err is that of one call
}

func (a *appended) Append(ctx context.Context, record []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := errors.Join(a.err, ctx.Err()); err != nil {
		if a.once {
			a.err = nil
		}
		return err
	}
	a.records = append(a.records, string(record))
	return nil
}

func recorder(t *testing.T, a audit.Appender, maxAnonymous int) *audit.Recorder {
	t.Helper()
	return must(audit.NewRecorder(a, maxAnonymous))
}

func TestNewRecorderErrors(t *testing.T) {
	t.Parallel()
	for want, call := range map[string]func() (*audit.Recorder, error){
		"appender: required":                 func() (*audit.Recorder, error) { return audit.NewRecorder((*appended)(nil), 0) },
		"maxAnonymous: must not be negative": func() (*audit.Recorder, error) { return audit.NewRecorder(&appended{}, -1) },
	} {
		if _, err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewRecorder() error = %v, want %q", err, want)
		}
	}
}

// A recorder writes what the log writes, without the number and the seal, even if the
// client has disconnected.
func TestRecorderWritesRecordsOfLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, path := create(t, audit.Config{})
		kept := &appended{}
		r := recorder(t, kept, 0)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		var want []string
		for i := range 30 {
			if err := errors.Join(l.Observe(gone, event(i)), r.Observe(gone, event(i))); err != nil {
				t.Fatal(err)
			}
		}
		shut(t, l)
		for _, line := range lines(t, path)[1:] {
			want = append(want, regexp.MustCompile(`"seq":\d+,|,"mac":"[^"]*"`).ReplaceAllString(strings.TrimSpace(string(line)), ""))
		}
		if diff := cmp.Diff(want, kept.records); diff != "" {
			t.Errorf("records of the log (-) and of the recorder (+):\n%s", diff)
		}
	})
}

func TestRecorderFailsClosed(t *testing.T) {
	t.Parallel()
	kept := &appended{err: errors.New("down")}
	r := recorder(t, kept, 0)
	if err := r.Observe(t.Context(), event(1)); !errors.Is(err, kept.err) {
		t.Errorf("Observe() with the store down: error = %v, want %v", err, kept.err)
	}
	kept.err = nil
	if err := r.Observe(t.Context(), large(70_000)); err == nil || len(kept.records) > 0 {
		t.Errorf("Observe() of a large event: error = %v and %d records, want an error and none", err, len(kept.records))
	}
}

// Refusals of unknown callers beyond the rate become one record, which a failure does
// not lose.
func TestRecorderCountsAnonymousRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := &appended{}
		r := recorder(t, kept, 3)
		refusal := gatehouse.Event{Type: "login", Method: "GET", Decision: gatehouse.Rejected}
		for range 10 {
			if err := r.Observe(t.Context(), refusal); err != nil {
				t.Fatal(err)
			}
		}
		kept.err = errors.New("down")
		if err := r.Flush(t.Context()); !errors.Is(err, kept.err) {
			t.Errorf("Flush() with the store down: error = %v, want %v", err, kept.err)
		}
		if err := r.Observe(t.Context(), event(1)); !errors.Is(err, kept.err) {
			t.Errorf("Observe() with the store down: error = %v, want %v", err, kept.err)
		}
		kept.once = true
		if err := r.Observe(t.Context(), event(1)); err == nil || len(kept.records) != 3 {
			t.Errorf("Observe() without the record before: error = %v and %d records, want an error and 3", err, len(kept.records))
		}
		if err := errors.Join(r.Observe(t.Context(), event(1)), r.Flush(t.Context())); err != nil {
			t.Fatal(err)
		}
		if len(kept.records) != 5 || !strings.HasSuffix(kept.records[3], `"type":"audit_refusals","attrs":{"refusals":7}}`) {
			t.Errorf("records = %q, want the fourth of five with 7 refusals", kept.records)
		}
	})
}
