// SPDX-License-Identifier: Apache-2.0

// Llmgateway is a gateway in front of the OpenAI and Anthropic APIs: callers have access
// tokens or API keys, models have tiers, and budgets are never exceeded. Copy this folder.
//
//	go run ./examples/llmgateway -config FILE
//	go run ./examples/llmgateway -fake 127.0.0.1:9000
//
// The second form is an upstream for tests, which streams and counts. README.md describes
// the configuration and the routes. The server speaks plain HTTP: run it behind a proxy
// that terminates TLS.
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
	"strconv"
	"syscall"
	"time"
	_ "time/tzdata" // for a server without a time zone database
)

// shutdownTimeout bounds the wait for requests in progress.
const shutdownTimeout = 15 * time.Second

func main() {
	path := flag.String("config", "", "JSON `file` with the configuration")
	fake := flag.String("fake", "", "serve a fake upstream at this `address` instead")
	flag.Parse()
	if (*path == "") == (*fake == "") || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if *fake != "" {
		err := serveFake(ctx, *fake, os.Stdout)
		fmt.Fprintln(os.Stderr, "llmgateway:", err)
		os.Exit(1)
	}
	if err := run(ctx, *path, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "llmgateway:", err)
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
	listener, err := listen(ctx, config.Addr)
	if err != nil {
		return fmt.Errorf("%s:\naddr: %w", path, err)
	}
	defer listener.Close()
	app, err := newApp(config, "http://"+listener.Addr().String(), logger)
	if err != nil {
		return fmt.Errorf("%s:\n%w", path, err)
	}
	defer app.close()
	minted, err := app.start(ctx)
	if err != nil {
		return fmt.Errorf("%s:\n%w", path, err)
	}
	server := newServer(app.handler)
	server.ErrorLog = slog.NewLogLogger(logger.Handler(), slog.LevelWarn)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "%slistening http://%s\n", minted, listener.Addr())

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

// listen opens the address of the configuration.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	_, port, err := net.SplitHostPort(addr)
	if _, numErr := strconv.ParseUint(port, 10, 16); err != nil || numErr != nil {
		return nil, fmt.Errorf(`%q is not host:port, such as "127.0.0.1:8080"`, addr)
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", addr)
}

// newServer returns a server with timeouts. A stream may take long: its writes have the
// deadlines of slow.
func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    512 << 10, // far above the limit for tokens: the gate rejects oversized ones
	}
}
