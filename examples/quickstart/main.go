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
	"syscall"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/apikey"
	"github.com/gatehouse-go/gatehouse/authtest"
	"github.com/gatehouse-go/gatehouse/jwtauth"
)

const audience = "https://api.example.com"

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "`address` on which the API listens; port 0 is a free one")
	once := flag.Bool("once", false, "end after the walk")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, *addr, *once, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string, once bool, stdout, stderr io.Writer) error {
	cast, err := newCast() //nolint:contextcheck // it lasts until it is closed
	if err != nil {
		return err
	}
	defer cast.close()
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{trust(cast.issuer), trust(cast.down)}})
	if err != nil {
		return err
	}
	defer func() { _ = tokens.Close() }()
	seen := new(witness)
	level := new(slog.LevelVar)
	level.Set(slog.LevelError + 1) // during the walk the table says it
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	api, err := newAPI(gatehouse.Observers(seen, gatehouse.Log(log)), tokens, cast.keys)
	if err != nil {
		return err
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: api, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	defer func() { _ = server.Close() }()

	url := "http://" + listener.Addr().String()
	fmt.Fprintf(stdout, "An API at  %s  behind a gate,\nand at     %s  the issuer that it trusts.\n\n", url, cast.issuer.URL)
	scenes, err := cast.scenes(ctx)
	if err != nil {
		return err
	}
	steps, wrong, err := walk(ctx, stdout, url, seen, scenes)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n%d requests, %d with the outcome that was announced.\n", steps, steps-wrong)
	if once {
		if wrong > 0 {
			return errors.New("not all came out as announced")
		}
		return nil
	}
	level.Set(slog.LevelDebug)
	if err := cast.printCurl(ctx, stdout, url); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// trust is what the API has to know about an issuer.
func trust(i *authtest.Issuer) jwtauth.Issuer {
	return jwtauth.Issuer{
		URL:        i.URL,
		Audience:   audience,
		Algorithms: []jwtauth.Algorithm{jwtauth.ES256},
		Keys:       jwtauth.Discover(),
	}
}

func newCast() (*cast, error) {
	c := new(cast)
	for _, issuer := range []**authtest.Issuer{&c.issuer, &c.down, &c.stranger} {
		var err error
		*issuer, err = authtest.StartIssuer(authtest.IssuerConfig{Algorithms: []string{"ES256"}, Audience: audience})
		if err != nil {
			c.close()
			return nil, err
		}
	}
	c.down.BreakMetadata(authtest.Down)
	var err error
	c.keys, err = apikey.New(apikey.Config{
		Store:  apikey.NewMemory(0),
		Prefix: "demo",
		Scopes: []string{"reports:read"},
	})
	return c, err
}

func (c *cast) close() {
	for _, issuer := range []*authtest.Issuer{c.issuer, c.down, c.stranger} {
		if issuer != nil {
			issuer.Close()
		}
	}
}
