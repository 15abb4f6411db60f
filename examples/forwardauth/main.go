// SPDX-License-Identifier: Apache-2.0

// Forwardauth answers the authentication requests of a reverse proxy, so that an
// application behind the proxy needs no login of its own. Copy this folder.
//
//	go run ./examples/forwardauth -config FILE
//
// nginx asks it with auth_request, Traefik and Caddy with forward authentication. The
// login, the sessions and the logout are those of package signin. README.md describes
// the configuration; nginx.conf is the configuration of the proxy.
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
		fmt.Fprintln(os.Stderr, "forwardauth:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. Standard output gets one line, when the server listens.
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
	defer func() { _ = app.signin.Close() }()
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
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 25*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("shutdown: %w", errors.Join(err, server.Close()))
	}
	return nil
}
