// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gatehouse-go/gatehouse"
	"github.com/gatehouse-go/gatehouse/oauth"
)

// redirect is the redirect URI on this machine.
type redirect struct {
	port int // 0 picks a free one
	path string
}

// signIn logs a user in: it listens on a loopback address, calls show with the URL
// of the login, and waits for the authorization response. It returns when the
// port is closed.
//
// Implements RFC 8252 §8.3 (localhost), §8.10 (unique).
func signIn(ctx context.Context, client *oauth.Client, to redirect, scopes gatehouse.Scopes, show func(address string)) (oauth.Result, error) {
	// RFC 8252 §8.3 (port): clients "should open the network port only when
	// starting the authorization request and close it once the response is
	// returned".
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
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
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

// outcome is the result of a login.
type outcome struct {
	result oauth.Result
	err    error
}

// callback accepts one authorization response and sends the outcome to ended.
//
// Every program and every web page on the machine can send requests here. A
// request without the state of this login is rejected and changes nothing. A
// request with it ends the login, successful or not; a second one is rejected.
//
// Implements RFC 8252 §8.3 (localhost), §8.9, §8.10 (match).
func callback(ctx context.Context, client *oauth.Client, transaction *oauth.Transaction, host, path string, ended chan<- outcome) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host != host: // DNS rebinding: another name for this address
			show(w, http.StatusMisdirectedRequest, pageForeign)
			return
		case r.URL.Path != path: // /favicon.ico, say
			show(w, http.StatusNotFound, pageForeign)
			return
		case r.Method != http.MethodGet:
			w.Header().Set("Allow", http.MethodGet)
			show(w, http.StatusMethodNotAllowed, pageForeign)
			return
		}
		params, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			show(w, http.StatusBadRequest, pageForeign)
			return
		}
		// The context is that of the login, so that a closed browser does not cancel
		// the token request.
		result, err := client.Redeem(ctx, transaction, params)
		e, refused := errors.AsType[*gatehouse.Error](err)
		switch {
		case refused && e.Reason == oauth.ReasonTransaction:
			show(w, e.Code.Status(), pageForeign)
			return
		case refused && e.Code == gatehouse.CodeAccessDenied:
			show(w, e.Code.Status(), pageRefused)
		case refused:
			show(w, e.Code.Status(), pageFailed)
		default:
			show(w, http.StatusOK, pageDone)
		}
		ended <- outcome{result, err}
	})
}

// listen listens on the first host that exists.
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
		if errors.Is(err, syscall.EADDRINUSE) { // the host exists
			break
		}
	}
	return nil, errors.Join(errs...)
}

// stop closes the port and waits up to a second for the response in progress. It
// does not wait for connections that browsers open in advance.
//
// Implements RFC 8252 §8.3 (port).
func stop(ctx context.Context, server *http.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
}

// whatHappened returns the error of a failed login. It contains nothing that the
// browser has sent.
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
