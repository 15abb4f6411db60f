// SPDX-License-Identifier: Apache-2.0

// Signin is a web application with a login at an authorization server: a backend
// for frontend (BFF). Copy this folder.
//
//	go run ./examples/signin -config FILE
//
// The browser gets a cookie with a session ID and nothing else. The tokens stay on
// the server, which refreshes them and makes the calls that need them. README.md
// describes the configuration and the routes. The server speaks plain HTTP: run it
// behind a proxy that terminates TLS.
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
// that a request waits for another server.
const shutdownTimeout = 25 * time.Second

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
		fmt.Fprintln(os.Stderr, "signin:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. Standard output is for other programs: it gets one
// line, when the server listens.
func run(ctx context.Context, path string, stdout, stderr io.Writer) error {
	config, err := readConfig(path)
	if err != nil {
		return fmt.Errorf("%s:\n%w", path, err)
	}
	logger := slog.New(slog.NewJSONHandler(stderr, nil))
	app, err := newApp(config, logger)
	if err != nil {
		return fmt.Errorf("%s:\n%w", path, err)
	}
	defer app.close()
	if err := app.start(ctx); err != nil {
		return fmt.Errorf("%s:\n%w", path, err)
	}
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
		MaxHeaderBytes:    64 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "listening http://%s\n", listener.Addr())

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
