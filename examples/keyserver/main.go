// SPDX-License-Identifier: Apache-2.0

// Keyserver is a page with forms and a JSON endpoint on which users manage the API
// keys of their tenant. Copy pages.go and its templates into a service that has a
// login.
//
//	go run ./examples/keyserver -store sqlite:keys.db -tenant acme -scopes "reports:read reports:write"
//
// login.go stands for the login of that service: the server prints a one-time code
// and the page asks for it. The browser then gets a cookie with an access token
// that this process has signed. Scripts use an API key with the scope keys:write.
package main

import (
	"context"
	"database/sql"
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

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/store/sqlstore"
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
	addr := flags.String("addr", "127.0.0.1:8081", "`address` to listen on: loopback, or behind a proxy that terminates TLS")
	storeURL := flags.String("store", "memory:", "memory: or sqlite:PATH")
	tenant := flags.String("tenant", "acme", "the tenant of the keys")
	scopes := flags.String("scopes", "reports:read reports:write", "the scopes that a key may have")
	if err := flags.Parse(args); err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(problems, nil))

	store, closeStore, err := openStore(ctx, *storeURL)
	if err != nil {
		return fmt.Errorf("-store: %w", err)
	}
	defer func() { _ = closeStore() }()
	catalogue := append(strings.Fields(*scopes), scopeManage)
	keys, err := apikey.New(apikey.Config{Store: store, Prefix: "gatehouse", Scopes: catalogue})
	if err != nil {
		return err
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", *addr)
	if err != nil {
		return err
	}
	origin := "http://" + listener.Addr().String()
	login, err := newLogin(origin, *tenant, strings.Fields(*scopes))
	if err != nil {
		return err
	}
	h, err := handler(keys, login, strings.Fields(*scopes), gatehouse.Log(logger))
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute,
	}
	fmt.Fprintf(out, "listening %s\nsign-in code %s\n", origin, login.code.Reveal())

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

// openStore opens the store and creates its tables. Package store has Postgres
// and Redis too.
func openStore(ctx context.Context, url string) (apikey.Store, func() error, error) {
	path, ok := strings.CutPrefix(url, "sqlite:")
	switch {
	case url == "memory:":
		return apikey.NewMemory(0), func() error { return nil }, nil
	case !ok || path == "":
		return nil, nil, fmt.Errorf("%q is neither memory: nor sqlite:PATH", url)
	}
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(path))
	if err != nil {
		return nil, nil, err
	}
	store, err := sqlstore.New(sqlstore.Config{DB: db})
	if err == nil {
		err = store.Migrate(ctx)
	}
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return store.APIKeys(), db.Close, nil
}

// handler puts the gate in front of the pages. Browsers send the cookie, scripts an
// API key.
func handler(keys *apikey.Keys, login *login, scopes []string, observer gatehouse.Observer) (http.Handler, error) {
	gate, err := gatehouse.New(gatehouse.Config{
		Authenticators: []gatehouse.Authenticator{keys, login.cookie},
		Realm:          "keys",
		Observer:       observer,
		LoginURL:       "/login",
	})
	if err != nil {
		return nil, err
	}
	mux := gate.Mux()
	newPages(keys, scopes).register(mux)
	mux.HandleFunc("POST /logout", login.logout, gatehouse.Authenticated)
	mux.PublicFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	mux.PublicFunc("GET /login", login.form)
	mux.PublicFunc("POST /login", login.begin)
	return secure(mux), nil
}

// secure sets the headers of every page: no script, no frame, no cache.
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
