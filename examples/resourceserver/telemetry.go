// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/gatehouse-go/gatehouse"
	gateotel "github.com/gatehouse-go/gatehouse/adapter/otel"
)

// telemetry is the observer of everything: it writes the log and counts for the
// metrics, if they are configured.
type telemetry struct {
	*gateotel.Telemetry
	metrics http.Handler // nil if metrics are not configured
	stop    func()
}

func newTelemetry(config *config, logger *slog.Logger) (*telemetry, error) {
	t := &telemetry{stop: func() {}}
	observer := gatehouse.Log(logger)
	if config.AccessLog {
		observer = gatehouse.Observers(observer, gatehouse.ObserverFunc(noteDecision))
	}
	var err error
	if config.MetricsAddr == "" {
		t.Telemetry, err = gateotel.New(gateotel.Config{MeterProvider: noop.NewMeterProvider(), Observer: observer})
		return t, err
	}
	registry := prometheus.NewRegistry()
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, err
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter))
	t.Telemetry, err = gateotel.New(gateotel.Config{MeterProvider: provider, Observer: observer})
	t.metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	t.stop = func() { _ = provider.Shutdown(context.Background()) }
	return t, err
}

// isLoopbackAddr accepts addresses that only this machine can reach: the metrics have no
// authentication, and show how many requests fail and why.
func isLoopbackAddr(address string) bool {
	to, err := netip.ParseAddrPort(address)
	return err == nil && to.Addr().IsLoopback()
}

// serve serves GET /metrics until the returned function is called.
func (t *telemetry) serve(ctx context.Context, address string, logger *slog.Logger) (func(), error) {
	if t.metrics == nil {
		return func() {}, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("metrics_addr: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", t.metrics)
	server := &http.Server{
		Handler: mux, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener)
	}()
	logger.Info("metrics", "url", "http://"+listener.Addr().String()+"/metrics")
	return func() {
		_ = server.Close()
		<-ended
	}, nil
}

// close ends the metrics. The zero value and nil have none.
func (t *telemetry) close() {
	if t != nil && t.Telemetry != nil {
		_ = t.Telemetry.Close()
		t.stop()
	}
}
