// SPDX-License-Identifier: Apache-2.0

package gateotel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// A store of this package is one of another package with its calls timed. The time is
// that of the caller: it includes the wait for a connection. In-memory stores are
// returned as they are: their calls take no time, and the packages that use them report
// them as such. So is a nil store, which these packages refuse.

// timer records the duration of the calls of one store.
type timer struct {
	duration metric.Float64Histogram
	store    attribute.KeyValue
	results  []error // that are an answer of the store, and no failure
}

func (t *Telemetry) timer(store string, results ...error) timer {
	return timer{t.stores, attribute.String("gatehouse.store", store), results}
}

// record records a call that has ended with *err.
func (t timer) record(ctx context.Context, operation string, start time.Time, err *error) {
	attributes := []attribute.KeyValue{t.store, attribute.String("gatehouse.operation", operation)}
	if kind := t.failure(*err); kind != "" {
		attributes = append(attributes, attribute.String("error.type", kind))
	}
	t.duration.Record(ctx, time.Since(start).Seconds(), metric.WithAttributes(attributes...))
}

// failure returns the value of error.type, "" if the store has answered.
func (t timer) failure(err error) string {
	for _, result := range t.results {
		if errors.Is(err, result) {
			return ""
		}
	}
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return other
}
