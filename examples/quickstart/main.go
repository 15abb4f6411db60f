// SPDX-License-Identifier: Apache-2.0

// Quickstart shows what Gatehouse does, without installation and configuration:
//
//	go run ./examples/quickstart
//
// It starts an issuer and an API behind a gate, sends one request after the other,
// and prints which ones the API accepts, which it rejects with which response, and
// the reason in the log. Then the API keeps running, with curl lines to paste.
// With -once it exits after the requests, with status 0 only if every outcome is
// the expected one. The API is in api.go.
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
	addr := flag.String("addr", "127.0.0.1:0", "`address` of the API; port 0 picks a free one")
	once := flag.Bool("once", false, "exit after the requests")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if err := run(ctx, *addr, *once, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, addr string, once bool, stdout, stderr io.Writer) error {
	peers, err := newPeers() //nolint:contextcheck // the issuers run until close
	if err != nil {
		return err
	}
	defer peers.close()
	tokens, err := jwtauth.New(jwtauth.Config{Issuers: []jwtauth.Issuer{trust(peers.issuer), trust(peers.down)}})
	if err != nil {
		return err
	}
	defer func() { _ = tokens.Close() }()
	seen := new(recorder)
	level := new(slog.LevelVar)
	level.Set(slog.LevelError + 1) // during the walk, the table shows the decisions
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	api, err := newAPI(gatehouse.Observers(seen, gatehouse.Log(log)), tokens, peers.keys)
	if err != nil {
		return err
	}

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: api, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	defer func() { _ = server.Close() }()

	url := "http://" + listener.Addr().String()
	fmt.Fprintf(stdout, "API     %s\nissuer  %s\n\n", url, peers.issuer.URL)
	scenes, err := peers.scenes(ctx)
	if err != nil {
		return err
	}
	steps, wrong, err := walk(ctx, stdout, url, seen, scenes)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "\n%d requests, %d with the expected outcome.\n", steps, steps-wrong)
	if once {
		if wrong > 0 {
			return errors.New("unexpected outcomes")
		}
		return nil
	}
	level.Set(slog.LevelDebug)
	if err := peers.printCurl(ctx, stdout, url); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		return nil
	}
}

// trust returns the configuration of an issuer at the API.
func trust(i *authtest.Issuer) jwtauth.Issuer {
	return jwtauth.Issuer{
		URL:        i.URL,
		Audiences:  []string{audience},
		Algorithms: []jwtauth.Algorithm{jwtauth.ES256},
		Keys:       jwtauth.Discover(),
		AnyTenant:  true,
	}
}

func newPeers() (*peers, error) {
	p := new(peers)
	for _, issuer := range []**authtest.Issuer{&p.issuer, &p.down, &p.unknown} {
		var err error
		*issuer, err = authtest.StartIssuer(authtest.IssuerConfig{Algorithms: []string{"ES256"}, Audience: audience})
		if err != nil {
			p.close()
			return nil, err
		}
	}
	p.down.BreakMetadata(authtest.Down)
	var err error
	p.keys, err = apikey.New(apikey.Config{
		Store:  apikey.NewMemory(0),
		Prefix: "demo",
		Scopes: []string{"reports:read"},
	})
	return p, err
}

func (p *peers) close() {
	for _, issuer := range []*authtest.Issuer{p.issuer, p.down, p.unknown} {
		if issuer != nil {
			issuer.Close()
		}
	}
}
