// SPDX-License-Identifier: Apache-2.0

package gateotel

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// A store of this package wraps a store and times its calls. The duration includes the
// wait for a connection. In-memory stores are returned unchanged, because their calls
// take no time, and so are nil stores, which New of the other packages rejects.

// timer records the duration of the calls of one store.
type timer struct {
	duration metric.Float64Histogram
	store    attribute.KeyValue
	results  []error // that are results of the store, not failures
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

// failure returns the value of error.type, "" if the call did not fail.
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
