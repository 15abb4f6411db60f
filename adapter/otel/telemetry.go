// SPDX-License-Identifier: Apache-2.0

package gateotel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/internal/typednil"
)

const (
	scope = "github.com/gatehouse-go/gatehouse/adapter/otel"

	// other is the value of a text that is not recorded, as in error.type of the
	// semantic conventions.
	other = "_OTHER"

	maxLabels = 1000 // combinations of attributes of decisions and events
)

// Config configures a [Telemetry].
type Config struct {
	// MeterProvider creates the instruments: otel.GetMeterProvider() by default.
	MeterProvider metric.MeterProvider

	// Observer receives each event before it is counted, such as
	// gatehouse.Observers(gatehouse.Log(logger), log). If it returns an error, the event
	// is counted with the reason observer_failed, and a decision as unavailable, like the
	// response of the gate. Optional.
	Observer gatehouse.Observer

	// SpanIdentities adds the identity of the caller to spans: enduser.id, the tenant,
	// the client and the public ID of the credential. Metrics never have them.
	SpanIdentities bool
}

// Telemetry is an observer that counts events. It is safe for concurrent use.
type Telemetry struct {
	observer   gatehouse.Observer // nil for none
	identities bool

	decisions, events metric.Int64Counter
	durations, stores metric.Float64Histogram

	labels atomic.Pointer[map[labels]options]
	mu     sync.Mutex // held to replace labels

	sources      sources
	registration metric.Registration
}

var _ gatehouse.Observer = (*Telemetry)(nil)

// labels are the attributes of a decision or of another event.
type labels struct {
	event    gatehouse.EventType
	decision gatehouse.Decision
	reason   gatehouse.Reason
	level    string
}

// options are labels in a form that needs no allocation.
type options struct {
	count    []metric.AddOption
	duration []metric.RecordOption
}

// New returns a Telemetry. It reports all configuration errors at once.
func New(config Config) (*Telemetry, error) {
	var errs []error
	if config.MeterProvider == nil {
		config.MeterProvider = otel.GetMeterProvider()
	} else if typednil.Is(config.MeterProvider) {
		errs = append(errs, fmt.Errorf("gateotel: Config.MeterProvider: is a nil %T", config.MeterProvider))
	}
	if config.Observer != nil && typednil.Is(config.Observer) {
		errs = append(errs, fmt.Errorf("gateotel: Config.Observer: is a nil %T", config.Observer))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	t := &Telemetry{observer: config.Observer, identities: config.SpanIdentities}
	t.labels.Store(new(map[labels]options))
	meter := config.MeterProvider.Meter(scope)
	var err [4]error
	t.decisions, err[0] = meter.Int64Counter("gatehouse.decisions", metric.WithUnit("{decision}"), metric.WithDescription("Decisions on requests and calls."))
	t.events, err[1] = meter.Int64Counter("gatehouse.events", metric.WithUnit("{event}"), metric.WithDescription("Events other than decisions."))
	// A cached token takes microseconds, and a key set that is fetched seconds.
	bounds := metric.WithExplicitBucketBoundaries(0.00001, 0.000025, 0.0001, 0.00025, 0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 1, 2.5, 10)
	t.durations, err[2] = meter.Float64Histogram("gatehouse.decision.duration", metric.WithUnit("s"), metric.WithDescription("Duration of decisions."), bounds)
	t.stores, err[3] = meter.Float64Histogram("gatehouse.store.duration", metric.WithUnit("s"), metric.WithDescription("Duration of calls of stores."), bounds)
	if err := errors.Join(append(err[:], t.register(meter))...); err != nil {
		return nil, fmt.Errorf("gateotel: %w", err)
	}
	return t, nil
}

// Close unregisters the metrics that the Watch methods have added.
func (t *Telemetry) Close() error { return t.registration.Unregister() }

// Observe implements [gatehouse.Observer]. It returns the error of Config.Observer.
//
// If the context has a span that records, a decision sets its attributes
// gatehouse.decision, gatehouse.reason, gatehouse.code, gatehouse.kind, gatehouse.method
// and gatehouse.binding; the last decision on a request replaces earlier ones. Another
// event becomes an event of the span, with its type as name, gatehouse.reason and
// gatehouse.level.
func (t *Telemetry) Observe(ctx context.Context, e gatehouse.Event) error {
	var err error
	if t.observer != nil {
		if err = t.observer.Observe(ctx, e); err != nil {
			e.Reason, e.Level = gatehouse.ReasonObserverFailed, slog.LevelError
			if e.Decision != "" {
				e.Decision, e.Code = gatehouse.Unavailable, gatehouse.CodeTemporarilyUnavailable.String()
			}
		}
	}
	options := t.options(labels{e.Type, e.Decision, e.Reason, level(e.Level)})
	if e.Decision == "" {
		t.events.Add(ctx, 1, options.count...)
	} else {
		t.decisions.Add(ctx, 1, options.count...)
		t.durations.Record(ctx, e.Duration.Seconds(), options.duration...)
	}
	t.annotate(ctx, &e)
	return err
}

// level returns one of four levels.
func level(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "error"
	case l >= slog.LevelWarn:
		return "warn"
	case l >= slog.LevelInfo:
		return "info"
	}
	return "debug"
}

// options returns the options of labels, which are made once. Readers take no lock.
func (t *Telemetry) options(l labels) options {
	if found, ok := (*t.labels.Load())[l]; ok {
		return found
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	known := *t.labels.Load()
	if len(known) >= maxLabels {
		l = labels{event: other, reason: other, level: l.level}
	}
	if found, ok := known[l]; ok {
		return found
	}
	all := attribute.NewSet(
		attribute.String("gatehouse.event.type", string(l.event)), attribute.String("gatehouse.decision", string(l.decision)),
		attribute.String("gatehouse.reason", string(l.reason)), attribute.String("gatehouse.level", l.level),
	)
	few := attribute.NewSet(attribute.String("gatehouse.event.type", string(l.event)), attribute.String("gatehouse.decision", string(l.decision)))
	made := options{[]metric.AddOption{metric.WithAttributeSet(all)}, []metric.RecordOption{metric.WithAttributeSet(few)}}
	next := maps.Clone(known)
	if next == nil {
		next = make(map[labels]options)
	}
	next[l] = made
	t.labels.Store(&next)
	return made
}
