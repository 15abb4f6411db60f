// SPDX-License-Identifier: Apache-2.0

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
	"strings"
	"syscall"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/examples/internal/engine"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "keyserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out, problems io.Writer) error {
	flags := flag.NewFlagSet("keyserver", flag.ContinueOnError)
	flags.SetOutput(problems)
	addr := flags.String("addr", "127.0.0.1:8081", "where to listen: a loopback address, or one behind a proxy that speaks TLS")
	storeURL := flags.String("store", "memory:", "sqlite:PATH, postgres://…, redis://…, or env:NAME or file:PATH holding one of these")
	tenant := flags.String("tenant", "acme", "whose keys these are")
	scopes := flags.String("scopes", "reports:read reports:write", "what keys may be made for")
	if err := flags.Parse(args); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(problems, nil))

	store, err := engine.OpenURL(*storeURL, logger)
	if err != nil {
		return fmt.Errorf("-store: %w", err)
	}
	defer func() { _ = store.Close() }()
	if err := store.Prepare(ctx); err != nil {
		return fmt.Errorf("-store: %w", err)
	}
	catalogue := append(strings.Fields(*scopes), scopeManage)
	keys, err := apikey.New(apikey.Config{Store: store.APIKeys, Prefix: "gatehouse", Scopes: catalogue})
	if err != nil {
		return err
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	origin := "http://" + listener.Addr().String()
	signin, err := newSignin(origin, *tenant)
	if err != nil {
		return err
	}
	h, err := handler(keys, signin, strings.Fields(*scopes), gatehouse.Log(logger))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	fmt.Fprintf(out, "listening %s\nsign-in code %s\n", origin, signin.code.Reveal())

	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(drain); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// handler puts the gate around the pages. A person comes with a cookie, a script
// with a key; both need to be of the tenant whose keys are looked after.
func handler(keys *apikey.Keys, signin *signin, scopes []string, observer gatehouse.Observer) (http.Handler, error) {
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{keys, signin.cookie},
		Realm:          "keys",
		Observer:       observer,
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	newPages(keys, scopes).register(mux)
	mux.HandleFunc("POST /logout", signin.logout)

	root := http.NewServeMux()
	root.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	root.HandleFunc("GET /login", signin.form)
	root.HandleFunc("POST /login", signin.login)
	root.Handle("/", gate.Handler(gatehouse.Require(mayManage)(mux)))
	return secure(root), nil
}

// secure sets what every page needs: no script, no frame, no cache.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
