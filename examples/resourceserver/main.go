// SPDX-License-Identifier: Apache-2.0

// Resourceserver is an API that accepts the access tokens of the configured
// issuers and, if configured, API keys. Copy this folder.
//
//	go run ./examples/resourceserver -config FILE
//
// README.md describes the configuration and the routes. The server speaks plain
// HTTP: run it behind a proxy that terminates TLS.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// shutdownTimeout bounds the wait for requests in progress. It exceeds the time
// that a request waits for a key set.
const shutdownTimeout = 15 * time.Second

func main() {
	path := flag.String("config", "", "JSON `file` with the configuration")
	flag.Parse()
	if *path == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, *path, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "resourceserver:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. Standard output is for other programs: it gets one
// line for each minted key and one when the server listens.
func run(ctx context.Context, path string, stdout, stderr io.Writer) error {
	config, err := readConfig(path)
	if err != nil {
		return fmt.Errorf("%s:\n%w", path, err)
	}
	logger := slog.New(slog.NewJSONHandler(stderr, nil))
	app, err := newApp(config, logger) //nolint:contextcheck // the metrics end with the program
	if err != nil {
		return fmt.Errorf("%s:\n%w", path, err)
	}
	defer app.close()
	minted, err := app.start(ctx)
	if err != nil {
		return fmt.Errorf("%s:\n%w", path, err)
	}
	endMetrics, err := app.watched.serve(ctx, config.MetricsAddr, logger)
	if err != nil {
		return fmt.Errorf("%s:\n%w", path, err)
	}
	defer endMetrics()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", config.Addr)
	if err != nil {
		return fmt.Errorf("%s:\naddr: %w", path, err)
	}
	server := &http.Server{
		Handler:           app.handler,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    512 << 10, // far above the limit for tokens: the gate rejects oversized ones
	}
	scheme, serve := "http", server.Serve
	if app.tls != nil {
		scheme, server.TLSConfig = "https", app.tls
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	failed := make(chan error, 1)
	go func() { failed <- serve(listener) }()
	fmt.Fprintf(stdout, "%slistening %s://%s\n", minted, scheme, listener.Addr())

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	logger.Info("shutting down")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("shutdown: %w", errors.Join(err, server.Close()))
	}
	return nil
}
