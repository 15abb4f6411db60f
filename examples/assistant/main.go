// SPDX-License-Identifier: Apache-2.0

// Assistant keeps conversations, documents and fine-tuned models of many tenants in one
// database, each in its own tenant by row-level security of PostgreSQL.
//
//	assistant -owner env:OWNER_DSN -dsn env:APP_DSN -tenants acme,globex
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
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/tenant"
)

const (
	keep  = 30 * 24 * time.Hour // conversations
	every = time.Hour           // the job that deletes them
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "assistant:", err)
		os.Exit(1)
	}
}

// open opens the database whose URL is in an environment variable or a file.
func open(ref string) (*sql.DB, *pgx.ConnConfig, error) {
	dsn, err := gatehouse.LoadSecret(ref, 1)
	if err != nil {
		return nil, nil, err
	}
	config, err := pgx.ParseConfig(string(dsn.Reveal()))
	if err != nil {
		return nil, nil, errors.New(ref + " is not the URL of a PostgreSQL database")
	}
	return stdlib.OpenDB(*config), config, nil
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("assistant", flag.ContinueOnError)
	addr := flags.String("addr", "127.0.0.1:0", "the address to listen on")
	ownerRef := flags.String("owner", "env:OWNER_DSN", "env:NAME or file:PATH with the database URL of the owner of the tables")
	appRef := flags.String("dsn", "env:APP_DSN", "env:NAME or file:PATH with the database URL of the application")
	names := flags.String("tenants", "acme,globex", "the tenants, each of which gets a key")
	if err := flags.Parse(args); err != nil {
		return err
	}
	owner, _, err := open(*ownerRef)
	if err != nil {
		return fmt.Errorf("-owner: %w", err)
	}
	defer func() { _ = owner.Close() }()
	db, config, err := open(*appRef)
	if err != nil {
		return fmt.Errorf("-dsn: %w", err)
	}
	defer func() { _ = db.Close() }()
	if err := migrate(ctx, owner, config.User); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	// A table that the migration forgot, or a role that sees all rows, stops the program.
	if err := tenant.CheckRows(ctx, db); err != nil {
		return err
	}

	observer := gatehouse.Log(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	keys, err := apikey.New(apikey.Config{Store: apikey.NewMemory(0), Prefix: "gatehouse", Scopes: []string{"assistant:write", "assistant:admin"}, Observer: observer})
	if err != nil {
		return err
	}
	gate, err := gatehouse.New(gatehouse.Config{Authenticators: []gatehouse.Authenticator{keys}, Realm: "assistant", Observer: observer})
	if err != nil {
		return err
	}
	tenants := strings.Split(*names, ",")
	for _, name := range tenants {
		issued, err := keys.Create(ctx, apikey.Request{Owner: "demo", Tenant: name, Scopes: []string{"assistant:write", "assistant:admin"}, Lifetime: 24 * time.Hour})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "api-key %s %s\n", name, issued.Secret.Reveal())
	}
	s := &store{db}
	go func() {
		for ticker := time.NewTicker(every); ; {
			if err := s.expire(ctx, tenants, keep); err != nil && ctx.Err() == nil {
				slog.Error("the job that deletes old conversations failed", "error", err)
			}
			select {
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return serve(ctx, *addr, (&server{s}).handler(gate), out)
}

func serve(ctx context.Context, addr string, handler http.Handler, out io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(end)
	})
	fmt.Fprintf(out, "listening http://%s\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
