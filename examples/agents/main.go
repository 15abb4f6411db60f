// SPDX-License-Identifier: Apache-2.0

// Agents is an MCP server for AI agents: four tools, each with the proof, the scope and
// the approval that its effect requires, a token endpoint for the agents, a page on which
// people approve, and an audit log. Copy this folder.
//
//	go run ./examples/agents                          the story, in one process
//	go run ./examples/agents -config FILE             the server
//	go run ./examples/agents -verify PATH -key FILE   check an audit log
//
// README.md describes the configuration, the routes and the story.
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

// shutdownTimeout bounds the wait for requests in progress. It exceeds the time that a
// call of a partner takes. Streams end at once.
const shutdownTimeout = 15 * time.Second

func main() {
	config := flag.String("config", "", "serve with this JSON `file`")
	verify := flag.String("verify", "", "check the audit log at this `path`")
	key := flag.String("key", "", "PEM `file` with the key of the audit log, for -verify")
	flag.Parse()
	if flag.NArg() > 0 || *config != "" && *verify != "" || (*verify == "") != (*key == "") {
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	var err error
	switch {
	case *verify != "":
		err = verifyTrail(*verify, *key, os.Stdout)
	case *config != "":
		err = run(ctx, *config, os.Stdout, os.Stderr)
	default:
		err = story(ctx, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "agents:", err)
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
	if err := serve(ctx, config, stdout, slog.New(slog.NewJSONHandler(stderr, nil))); err != nil {
		return fmt.Errorf("%s:\n%w", path, err)
	}
	return nil
}

func serve(ctx context.Context, config *config, stdout io.Writer, logger *slog.Logger) (err error) {
	app, err := newApp(config, logger) //nolint:contextcheck // what it starts ends with close
	if err != nil {
		return err
	}
	// The last checkpoint of the audit log is written here, after the last request.
	defer func() { err = errors.Join(err, app.close()) }()
	minted, err := app.start(ctx)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", config.Addr)
	if err != nil {
		return fmt.Errorf("addr: %w", err)
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
	scheme, accept := "http", server.Serve
	if app.tls != nil {
		scheme, server.TLSConfig = "https", app.tls
		accept = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	failed := make(chan error, 1)
	go func() { failed <- accept(listener) }()
	fmt.Fprintf(stdout, "%slistening %s://%s\n", minted, scheme, listener.Addr())

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	logger.Info("shutting down")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	app.endStreams()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("shutdown: %w", errors.Join(err, server.Close()))
	}
	return nil
}
