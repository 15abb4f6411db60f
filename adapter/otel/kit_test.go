// SPDX-License-Identifier: Apache-2.0

package gateotel_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	gateotel "github.com/gatehouse-go/gatehouse/adapter/otel"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// newTelemetry returns a Telemetry and what reads its metrics.
func newTelemetry(t testing.TB, config gateotel.Config) (*gateotel.Telemetry, *sdkmetric.ManualReader) {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	config.MeterProvider = sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	telemetry := must(gateotel.New(config))
	t.Cleanup(func() {
		if err := telemetry.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	})
	return telemetry, reader
}

// collect returns the value of each series, the count of a histogram, by name and
// attributes.
func collect(t testing.TB, reader *sdkmetric.ManualReader) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	series := make(map[string]float64)
	add := func(name string, attributes attribute.Set, value float64) {
		var text []string
		for _, a := range attributes.ToSlice() {
			text = append(text, strings.TrimPrefix(string(a.Key), "gatehouse.")+"="+a.Value.String())
		}
		slices.Sort(text)
		series[name+"{"+strings.Join(text, ",")+"}"] += value
	}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, float64(p.Value))
				}
			case metricdata.Gauge[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(m.Name, p.Attributes, float64(p.Count))
				}
			default:
				t.Fatalf("%s has the data %T", m.Name, data)
			}
		}
	}
	return series
}

// wantMetrics compares the metrics, one series a line.
func wantMetrics(t testing.TB, reader *sdkmetric.ManualReader, want string) {
	t.Helper()
	if diff := cmp.Diff(want, lines(collect(t, reader), "")); diff != "" {
		t.Errorf("metrics (-want +got):\n%s", diff)
	}
}

// lines returns the series with this prefix as text, one line each.
func lines(series map[string]float64, prefix string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(series)) {
		if strings.HasPrefix(name, prefix) {
			fmt.Fprintln(&b, name, series[name])
		}
	}
	return b.String()
}
