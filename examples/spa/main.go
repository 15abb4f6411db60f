// SPDX-License-Identifier: Apache-2.0

// Spa is a single-page app on one origin and its backend on another origin of the
// same site. Copy this folder.
//
//	go run ./examples/spa -config FILE
//
// The script never holds a token. The backend logs users in, keeps their tokens
// and gives the browser a cookie with a session ID. CORS admits one configured
// origin, which is also a trusted origin of the session. README.md describes the
// configuration and the routes. Both servers speak plain HTTP: run them behind a
// proxy that terminates TLS.
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
		fmt.Fprintln(os.Stderr, "spa:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. Standard output is for other programs: it gets two
// lines, when both servers listen.
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
	backend, err := new(net.ListenConfig).Listen(ctx, "tcp", config.Addr)
	if err != nil {
		return fmt.Errorf("%s:\naddr: %w", path, err)
	}
	defer backend.Close()
	page, err := new(net.ListenConfig).Listen(ctx, "tcp", config.AppAddr)
	if err != nil {
		return fmt.Errorf("%s:\napp_addr: %w", path, err)
	}
	defer page.Close()

	servers := []*http.Server{newServer(app.backend, logger), newServer(app.page, logger)}
	failed := make(chan error, len(servers))
	go func() { failed <- servers[0].Serve(backend) }()
	go func() { failed <- servers[1].Serve(page) }()
	fmt.Fprintf(stdout, "listening http://%s\npage http://%s\n", backend.Addr(), page.Addr())

	select {
	case err := <-failed:
		return errors.Join(err, servers[0].Close(), servers[1].Close())
	case <-ctx.Done():
	}
	logger.Info("shutting down")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	var errs []error
	for _, server := range servers {
		if err := server.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("shutdown: %w", errors.Join(err, server.Close())))
		}
	}
	return errors.Join(errs...)
}

func newServer(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
}
