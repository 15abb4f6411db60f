// SPDX-License-Identifier: Apache-2.0

// M2m has two services without users: billing calls reports. Each token of billing is
// bound to its TLS certificate (RFC 8705) or to a key (DPoP, RFC 9449), so that a copy
// of it is useless on another machine. Copy this folder.
//
//	go run ./examples/m2m                         # the story, against npm oidc-provider
//	go run ./examples/m2m -config FILE reports    # the API
//	go run ./examples/m2m -config FILE billing    # its client: one call with each binding
//
// README.md has the output of the story and describes the configuration.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gatehouse-go/gatehouse"
)

const timeout = 15 * time.Second // of a request, and of a shutdown

func main() {
	path := flag.String("config", "", "JSON `file` with the configuration of the services")
	npm := flag.String("npm", "", "`directory` with node_modules/oidc-provider, for the story")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, flag.Args(), *path, *npm, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "m2m:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, path, npm string, stdout, stderr io.Writer) error {
	if len(args) == 0 && path == "" {
		return story(ctx, npm, stdout, stderr)
	}
	if len(args) != 1 || path == "" {
		return errors.New("usage: m2m [-npm DIRECTORY], or m2m -config FILE reports|billing")
	}
	c, err := readConfig(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	switch args[0] {
	case "reports":
		return serveReports(ctx, c, stdout, stderr)
	case "billing":
		return callReports(ctx, c, stdout)
	}
	return fmt.Errorf("%q is no service: want reports or billing", args[0])
}

// serveReports runs the API until ctx ends.
func serveReports(ctx context.Context, c config, stdout, stderr io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Reports.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	logger := slog.New(slog.NewJSONHandler(stderr, nil))
	api, err := newReports(c, gatehouse.Log(logger)) //nolint:contextcheck // its backends outlive every request
	if err != nil {
		return err
	}
	defer api.close()
	api.server.ErrorLog = slog.NewLogLogger(logger.Handler(), slog.LevelWarn)
	failed := make(chan error, 1)
	go func() { failed <- api.server.ServeTLS(listener, "", "") }()
	fmt.Fprintln(stdout, "listening", listener.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	return api.server.Shutdown(ctx)
}

// callReports calls the API once with each binding that is configured.
func callReports(ctx context.Context, c config, stdout io.Writer) error {
	for _, binding := range []string{bindingMTLS, bindingDPoP} {
		if c.Billing.Clients[binding] == "" {
			continue
		}
		b, err := newBilling(c, binding)
		if err != nil {
			return err
		}
		status, body, err := get(ctx, b.http, c.Reports.Origin+"/reports", nil)
		b.close()
		if err != nil {
			return fmt.Errorf("%s: %w", binding, err)
		}
		if status != http.StatusOK {
			return fmt.Errorf("%s: reports answered %d: %s", binding, status, body)
		}
		fmt.Fprintf(stdout, "%s: %s\n", binding, body)
	}
	return nil
}

// get sends a request with headers and returns the status and the body of the response.
func get(ctx context.Context, client *http.Client, address string, header http.Header) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	maps.Copy(r.Header, header)
	response, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return response.StatusCode, string(body), err
}
