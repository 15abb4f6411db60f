// SPDX-License-Identifier: Apache-2.0

package gateotel_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gatehouse-go/gatehouse"
	gateotel "github.com/gatehouse-go/gatehouse/adapter/otel"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/internal/alloctest"
)

// alice is a caller, and what a decision on her request knows. Only a type, a decision,
// a reason and a level may become attributes of metrics.
var alice = gatehouse.Principal{
	Kind: gatehouse.KindUser, Subject: "alice", Issuer: "https://issuer.example", Tenant: "acme", Client: "spa", Method: "jwt", Binding: "dpop",
}

func decision(d gatehouse.Decision, reason gatehouse.Reason, level slog.Level) gatehouse.Event {
	return gatehouse.Event{
		Type: gatehouse.EventDecision, Decision: d, Reason: reason, Code: "invalid_token", Level: level, Principal: alice, Credential: "key-1",
		Issuer: alice.Issuer, Method: "GET", Host: "api.example", Path: "/secret", Route: "GET /{id}", Duration: time.Millisecond,
		Cause: errors.New("cause"), Attrs: []slog.Attr{slog.String("account", "acme")},
	}
}

func TestEventsAreCounted(t *testing.T) {
	telemetry, reader := newTelemetry(t, gateotel.Config{})
	for range 2 {
		for _, e := range []gatehouse.Event{
			decision(gatehouse.Allowed, "", slog.LevelDebug),
			decision(gatehouse.Rejected, "jwtauth_expired", slog.LevelWarn),
			decision(gatehouse.Unavailable, "jwtauth_keys_unavailable", slog.LevelError+1),
			{Type: apikey.EventLeaked, Level: slog.LevelInfo, Credential: "key-1", Principal: alice},
		} {
			if err := telemetry.Observe(t.Context(), e); err != nil {
				t.Errorf("Observe(%v) error = %v", e, err)
			}
		}
	}
	want := `gatehouse.decision.duration{decision=allowed,event.type=decision} 2
gatehouse.decision.duration{decision=rejected,event.type=decision} 2
gatehouse.decision.duration{decision=unavailable,event.type=decision} 2
gatehouse.decisions{decision=allowed,event.type=decision,level=debug,reason=} 2
gatehouse.decisions{decision=rejected,event.type=decision,level=warn,reason=jwtauth_expired} 2
gatehouse.decisions{decision=unavailable,event.type=decision,level=error,reason=jwtauth_keys_unavailable} 2
gatehouse.events{decision=,event.type=apikey_leaked,level=info,reason=} 2
`
	wantMetrics(t, reader, want)
}

// An event that another observer fails to record is not what the gate does.
func TestObserverFails(t *testing.T) {
	failure := errors.New("the disk is full")
	var seen []gatehouse.Decision
	telemetry, reader := newTelemetry(t, gateotel.Config{Observer: gatehouse.ObserverFunc(func(_ context.Context, e gatehouse.Event) error {
		seen = append(seen, e.Decision)
		return failure
	})})
	for _, e := range []gatehouse.Event{decision(gatehouse.Allowed, "", slog.LevelDebug), {Type: apikey.EventRotated}} {
		if err := telemetry.Observe(t.Context(), e); !errors.Is(err, failure) {
			t.Errorf("Observe(%s) error = %v, want that of Config.Observer", e.Type, err)
		}
	}
	if diff := cmp.Diff([]gatehouse.Decision{gatehouse.Allowed, ""}, seen); diff != "" {
		t.Errorf("events of Config.Observer (-want +got):\n%s", diff)
	}
	want := `gatehouse.decision.duration{decision=unavailable,event.type=decision} 1
gatehouse.decisions{decision=unavailable,event.type=decision,level=error,reason=observer_failed} 1
gatehouse.events{decision=,event.type=apikey_rotated,level=error,reason=observer_failed} 1
`
	wantMetrics(t, reader, want)
}

// A program that makes reasons of texts does not fill the memory of the metrics.
func TestLabelsAreBounded(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	telemetry := must(gateotel.New(gateotel.Config{MeterProvider: sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithCardinalityLimit(0))}))
	for n := range 2000 {
		e := decision(gatehouse.Denied, gatehouse.Reason(fmt.Sprint("reason ", n)), slog.LevelWarn)
		_ = telemetry.Observe(t.Context(), e)
	}
	series := collect(t, reader)
	if got := strings.Count(lines(series, "gatehouse.decisions"), "\n"); got != 1001 {
		t.Errorf("%d series, want 1,001", got)
	}
	if got := series["gatehouse.decisions{decision=,event.type=_OTHER,level=warn,reason=_OTHER}"]; got != 1000 {
		t.Errorf("_OTHER = %v, want 1,000", got)
	}
}

func TestSpans(t *testing.T) {
	secret := strings.Repeat("x", 200)
	long := decision(gatehouse.Denied, "scopes_missing", slog.LevelWarn)
	long.Principal.Tenant = secret
	for name, test := range map[string]struct {
		identities bool
		events     []gatehouse.Event
		want       string
	}{
		"decision": {
			false,
			[]gatehouse.Event{decision(gatehouse.Rejected, "jwtauth_expired", slog.LevelWarn)},
			"gatehouse.reason=jwtauth_expired gatehouse.decision=rejected gatehouse.code=invalid_token gatehouse.kind=user gatehouse.method=jwt gatehouse.binding=dpop",
		},
		"last decision stands": {false, []gatehouse.Event{
			{Type: gatehouse.EventDecision, Decision: gatehouse.Allowed}, {Type: gatehouse.EventDecision, Decision: gatehouse.Denied, Reason: "r"},
		}, "gatehouse.decision=denied gatehouse.reason=r"},
		"identities": {
			true,
			[]gatehouse.Event{decision(gatehouse.Allowed, "", slog.LevelDebug)},
			"enduser.id=alice gatehouse.tenant=acme gatehouse.client=spa gatehouse.credential=key-1 gatehouse.decision=allowed gatehouse.code=invalid_token " +
				"gatehouse.kind=user gatehouse.method=jwt gatehouse.binding=dpop",
		},
		"long text": {
			true,
			[]gatehouse.Event{long},
			"gatehouse.reason=scopes_missing enduser.id=alice gatehouse.tenant=" + secret[:128] + " gatehouse.client=spa gatehouse.credential=key-1 " +
				"gatehouse.decision=denied gatehouse.code=invalid_token gatehouse.kind=user gatehouse.method=jwt gatehouse.binding=dpop",
		},
		"another event": {
			false,
			[]gatehouse.Event{{Type: apikey.EventLeaked, Level: slog.LevelWarn, Credential: "key-1"}},
			"[apikey_leaked gatehouse.level=warn]",
		},
		"another event with identities": {
			true,
			[]gatehouse.Event{{Type: apikey.EventLeaked, Level: slog.LevelWarn, Credential: "key-1", Reason: "r"}},
			"[apikey_leaked gatehouse.reason=r gatehouse.credential=key-1 gatehouse.level=warn]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			telemetry, _ := newTelemetry(t, gateotel.Config{SpanIdentities: test.identities})
			spans := tracetest.NewSpanRecorder()
			ctx, span := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("").Start(t.Context(), "GET /")
			for _, e := range test.events {
				_ = telemetry.Observe(ctx, e)
			}
			span.End()
			var got []string
			for _, a := range spans.Ended()[0].Attributes() {
				got = append(got, string(a.Key)+"="+a.Value.String())
			}
			for _, e := range spans.Ended()[0].Events() {
				text := []string{e.Name}
				for _, a := range e.Attributes {
					text = append(text, string(a.Key)+"="+a.Value.String())
				}
				got = append(got, fmt.Sprint(text))
			}
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("span (-want +got):\n%s", diff)
			}
		})
	}
}

// What a decision costs beside the gate: nothing that must be collected.
func TestAllocations(t *testing.T) {
	telemetry, _ := newTelemetry(t, gateotel.Config{})
	e := decision(gatehouse.Allowed, "", slog.LevelDebug)
	ctx := t.Context()
	alloctest.AtMost(t, 0, func() { _ = telemetry.Observe(ctx, e) })
}

func TestNewReportsEveryMistake(t *testing.T) {
	_, err := gateotel.New(gateotel.Config{MeterProvider: (*sdkmetric.MeterProvider)(nil), Observer: gatehouse.ObserverFunc(nil)})
	for _, want := range []string{"Config.MeterProvider: is a nil *metric.MeterProvider", "Config.Observer: is a nil gatehouse.ObserverFunc"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New() error = %v, want %q", err, want)
		}
	}
}

func TestDefaultMeterProvider(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	telemetry := must(gateotel.New(gateotel.Config{}))
	_ = telemetry.Observe(t.Context(), decision(gatehouse.Allowed, "", slog.LevelDebug))
	if got := lines(collect(t, reader), "gatehouse.decisions"); !strings.HasSuffix(got, " 1\n") {
		t.Errorf("metrics of otel.GetMeterProvider() = %q, want one decision", got)
	}
}

// Durations are in seconds.
func TestDurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		telemetry, reader := newTelemetry(t, gateotel.Config{})
		if err := telemetry.Observe(t.Context(), decision(gatehouse.Allowed, "", slog.LevelInfo)); err != nil {
			t.Fatal(err)
		}
		if _, err := telemetry.APIKeys(failing{before: func() { time.Sleep(250 * time.Millisecond) }}).Find(t.Context(), "id"); err != nil {
			t.Fatal(err)
		}
		var all metricdata.ResourceMetrics
		if err := reader.Collect(t.Context(), &all); err != nil {
			t.Fatal(err)
		}
		got := make(map[string]float64)
		for _, m := range all.ScopeMetrics[0].Metrics {
			if data, ok := m.Data.(metricdata.Histogram[float64]); ok {
				got[m.Name] = data.DataPoints[0].Sum
			}
		}
		want := map[string]float64{"gatehouse.decision.duration": 0.001, "gatehouse.store.duration": 0.25}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sums of durations (-want +got):\n%s", diff)
		}
	})
}
