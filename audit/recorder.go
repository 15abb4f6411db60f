// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

// Appender keeps records outside of this machine: a table of a database (Audit of
// store/sqlstore) or a transparency log (module adapter/tessera).
type Appender interface {
	// Append appends a record, one JSON object of at most [MaxRecord] bytes without a
	// number, and returns nil only once it is durable. After an error the record may
	// have been appended. The context is not canceled with the request: Append bounds
	// its own time. It must be safe for concurrent use.
	Append(ctx context.Context, record []byte) error
}

// Recorder is a [gatehouse.Observer] that appends each event to an [Appender] as the
// same JSON that a [Log] writes, without the members seq and mac, which the Appender
// adds if it has a [Sealer]. It is safe for concurrent use.
type Recorder struct {
	appender Appender
	refusals refusals
}

// NewRecorder returns a recorder. maxAnonymous is [Config.MaxAnonymous]: 50 if zero.
func NewRecorder(appender Appender, maxAnonymous int) (*Recorder, error) {
	if typednil.Is(appender) {
		return nil, errors.New("audit: NewRecorder: appender: required")
	}
	if maxAnonymous < 0 {
		return nil, errors.New("audit: NewRecorder: maxAnonymous: must not be negative")
	}
	if maxAnonymous == 0 {
		maxAnonymous = defaultAnonymous
	}
	return &Recorder{appender: appender, refusals: refusals{most: maxAnonymous}}, nil
}

// Observe appends an event. It returns an error unless the record is durable, so that
// the request is refused. Refusals of unknown callers beyond the maximum are counted,
// and the next record is preceded by one with their number.
func (r *Recorder) Observe(ctx context.Context, e gatehouse.Event) error {
	if isAnonymousRefusal(e) && !r.refusals.admit(time.Now()) {
		return nil
	}
	encoded, err := encode(ctx, e)
	if err != nil {
		return err
	}
	if err := r.Flush(ctx); err != nil {
		return err
	}
	return r.append(ctx, encoded)
}

// Flush appends the record of the counted refusals, if there are any. Call it before
// the process ends.
func (r *Recorder) Flush(ctx context.Context) error {
	n := r.refusals.take()
	record := counted(EventRefusals, "refusals", n) //nolint:contextcheck // slog ignores the context
	if record == nil {
		return nil
	}
	err := r.append(ctx, record)
	if err != nil {
		r.refusals.add(n)
	}
	return err
}

func (r *Recorder) append(ctx context.Context, encoded []byte) error {
	// Record the event even if the client disconnects.
	return r.appender.Append(context.WithoutCancel(ctx), append([]byte{'{'}, encoded...))
}
