// SPDX-License-Identifier: Apache-2.0

// Package gatetessera appends audit records to a transparency log of
// [github.com/transparency-dev/tessera], which serves them as C2SP tlog-tiles from
// files, object storage or a database, to auditors and witnesses on other machines.
//
// Create a Tessera appender with the driver of the storage, without antispam, which would
// discard a record that equals an earlier one. Pass [New] its Add function, and the
// result to audit.NewRecorder. The index of the entry is the number of the record.
package gatetessera

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/transparency-dev/tessera"

	"github.com/gatehouse-go/gatehouse/audit"
)

// Config configures an [Appender].
type Config struct {
	// Add is the function Add of a [tessera.Appender]. Required.
	Add tessera.AddFn

	// Published makes Append wait until a checkpoint signs the record, at least the
	// checkpoint interval of the log. Optional: by default Append waits until the
	// storage of the log has the record.
	Published *tessera.PublicationAwaiter

	// Timeout bounds Append: 5 s if zero. With Published it must be longer than the
	// checkpoint interval.
	Timeout time.Duration
}

// Appender is an [audit.Appender] on a transparency log. It is safe for concurrent use.
type Appender struct{ config Config }

var _ audit.Appender = (*Appender)(nil)

// New returns an appender, or an error that names every invalid field.
func New(config Config) (*Appender, error) {
	var errs []error
	if config.Add == nil {
		errs = append(errs, errors.New("gatetessera: Config.Add: required"))
	}
	if config.Timeout < 0 {
		errs = append(errs, fmt.Errorf("gatetessera: Config.Timeout: got %v, must not be negative", config.Timeout))
	}
	if config.Timeout == 0 {
		config.Timeout = 5 * time.Second
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Appender{config}, nil
}

// Append implements [audit.Appender]. After a timeout the record may be appended later.
func (a *Appender) Append(ctx context.Context, record []byte) error {
	ctx, cancel := context.WithTimeout(ctx, a.config.Timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- a.add(ctx, record) }() // waiting for a future ignores the context
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("gatetessera: append: %w", err)
	}
	return nil
}

func (a *Appender) add(ctx context.Context, record []byte) error {
	// Tessera batches entries of many requests: the end of the first request must not
	// cancel the others.
	future := a.config.Add(context.WithoutCancel(ctx), tessera.NewEntry(record))
	if a.config.Published == nil {
		_, err := future()
		return err
	}
	_, _, err := a.config.Published.Await(ctx, future)
	return err
}
