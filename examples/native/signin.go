// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// redirect is where the browser comes back to on this machine.
type redirect struct {
	port int // a free one if 0
	path string
}

// signIn logs a person in: it listens on a loopback address, shows the address
// at which the login begins, and waits until the browser comes back. It returns
// when the port is closed again.
func signIn(ctx context.Context, client *oauth.Client, to redirect, scopes gatehouse.Scopes, show func(address string)) (oauth.Result, error) {
	// RFC 8252 §8.3: clients "should open the network port only when starting the
	// authorization request and close it once the response is returned".
	listener, err := listen(ctx, to.port, "127.0.0.1", "::1")
	if err != nil {
		return oauth.Result{}, err
	}
	defer listener.Close()
	host := listener.Addr().String()
	transaction, err := client.Authorize(ctx, oauth.AuthorizationRequest{RedirectURI: "http://" + host + to.path, Scopes: scopes})
	if err != nil {
		return oauth.Result{}, whatHappened(ctx, err)
	}

	ended := make(chan outcome, 1)
	server := &http.Server{
		Handler:           callback(ctx, client, transaction, host, to.path, ended),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			ended <- outcome{err: err}
		}
	})
	defer serving.Wait()
	defer stop(ctx, server)

	show(transaction.URL)
	select {
	case got := <-ended:
		return got.result, whatHappened(ctx, got.err)
	case <-ctx.Done():
		return oauth.Result{}, context.Cause(ctx)
	}
}

// listen listens on the first of the hosts that there is.
//
//	RFC 8252 §7.3: "It is RECOMMENDED that clients attempt to bind to the loopback
//	interface using both IPv4 and IPv6 and use whichever is available."
func listen(ctx context.Context, port int, hosts ...string) (net.Listener, error) {
	var errs []error
	for _, host := range hosts {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			return listener, nil
		}
		errs = append(errs, err)
		if errors.Is(err, syscall.EADDRINUSE) { // so there is such a host
			break
		}
	}
	return nil, errors.Join(errs...)
}

// stop ends the server once the browser has its page. The port is closed at
// once; connections that browsers open in advance are not waited for.
func stop(ctx context.Context, server *http.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close() // whoever is left has had a second
	}
}

// whatHappened says why a login has failed, and nothing that a browser has said.
func whatHappened(ctx context.Context, err error) error {
	e, ok := errors.AsType[*gatehouse.Error](err)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case ok && e.Code == gatehouse.CodeAccessDenied:
		return fmt.Errorf("the sign-in was refused: %w", e.Cause)
	case ok:
		return fmt.Errorf("the sign-in could not be completed: %w", e.Cause)
	}
	return err
}
